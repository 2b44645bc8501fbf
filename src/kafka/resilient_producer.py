"""A producer that outlives its Kafka client: what was not delivered goes on with a new one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from framewatch.kafka.broker_health import BrokerHealth

_log = logging.getLogger(__name__)

OnDelivery = Callable[[KafkaError | None, Message], None]

PURGED: Final = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})
"""Errors of records that were given up by ``purge``."""

_LOOK_S: Final = 1.0


class ResilientProducer:
    """Calls of ``confluent_kafka.Producer``, as far as they are used here. For one thread.

    Records keep their order for each key. One that the lost client had sent without an answer may come twice:
    events have ids by which that does no harm.
    """

    def __init__(self, make: Callable[[BrokerHealth], Producer]) -> None:
        """Make the first client.

        Args:
            make: a client that tells the given contact.
        """
        self._make = make
        self._moving = False
        self._begin()

    def __len__(self) -> int:
        """Records without an answer yet."""
        return len(self._client)

    def produce(
        self, topic: str, value: bytes | None, on_delivery: OnDelivery = lambda error, message: None, **about: Any
    ) -> None:
        """Queue a record.

        Args:
            topic: to send it to.
            value: of the record.
            on_delivery: called with the broker's word on it, or why there is none.
            about: its key, headers and timestamp.

        Raises:
            BufferError: there is no room: poll, and try again.
            KafkaException: the record cannot be sent.
        """
        self._client.produce(topic, value, on_delivery=partial(self._answered, topic, about, on_delivery), **about)

    def poll(self, timeout_s: float) -> None:
        """Take the broker's answers, and wait so long for one."""
        self._client.poll(timeout_s)
        self._renew_if_lost()

    def flush(self, timeout_s: float) -> int:
        """Wait for all answers, so long at most; how many are still to come."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0 and len(self._client):
            self._client.flush(min(_LOOK_S, left_s))
            self._renew_if_lost()
        return len(self._client)

    def purge(self) -> None:
        """Give up what is queued or under way; each is answered as such at the next poll."""
        self._client.purge()

    def _begin(self) -> None:
        self._contact = BrokerHealth()
        self._client = self._make(self._contact)

    def _renew_if_lost(self) -> None:
        if not self._contact.lost:
            return
        lost = self._client
        _log.warning("the Kafka client knows no broker any more and is replaced; %d records go on", len(lost))
        self._begin()
        self._moving = True
        try:
            lost.purge()
            lost.flush(_LOOK_S)
        finally:
            self._moving = False

    def _answered(
        self, topic: str, about: dict[str, Any], on_delivery: OnDelivery, error: KafkaError | None, message: Message
    ) -> None:
        if not (self._moving and error is not None and error.code() in PURGED):
            on_delivery(error, message)
            return
        try:
            # The message has its value still, which is large, but not all of the rest.
            self.produce(topic, message.value(), on_delivery, **about)
        except (BufferError, KafkaException):
            on_delivery(error, message)
