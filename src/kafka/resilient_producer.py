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
            make: a client that reports to the given health.
        """
        self._make = make
        self._resending = False
        self._make_client()

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
            on_delivery: called with the broker's answer, or why there is none.
            about: its key, headers and timestamp.

        Raises:
            BufferError: the queue is full: poll, and try again.
            KafkaException: the record cannot be sent.
        """
        self._client.produce(topic, value, on_delivery=partial(self._on_answer, topic, about, on_delivery), **about)

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

    def _make_client(self) -> None:
        self._health = BrokerHealth()
        self._client = self._make(self._health)

    def _renew_if_lost(self) -> None:
        if not self._health.is_stuck:
            return
        lost = self._client
        _log.warning("the Kafka client knows no broker any more and is replaced; %d records go on", len(lost))
        self._make_client()
        self._resending = True
        try:
            lost.purge()
            lost.flush(_LOOK_S)
        finally:
            self._resending = False

    def _on_answer(
        self, topic: str, about: dict[str, Any], on_delivery: OnDelivery, error: KafkaError | None, message: Message
    ) -> None:
        if not (self._resending and error is not None and error.code() in PURGED):
            on_delivery(error, message)
            return
        try:
            # The message has its value still, which is large, but not all of the rest.
            self.produce(topic, message.value(), on_delivery, **about)
        except (BufferError, KafkaException):
            on_delivery(error, message)
