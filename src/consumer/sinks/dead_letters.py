"""Records that are no frames, kept with the reason in a topic of their own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from framewatch.consumer.processing import DeadLetter
from framewatch.errors import BrokerUnavailable

_log = logging.getLogger(__name__)

_KEPT_BYTES: Final = 1024 * 1024
_MAX_HEADERS: Final = 32
_ANSWER_S: Final = 30.0


class DeadLetterTopic:
    """Sends rejected records to their topic, each with why and where it came from."""

    def __init__(self, make: Callable[[], Producer], topic: str) -> None:
        """Make the producer.

        Args:
            make: a producer; called now, and again after one that got no answer: it may never get one, see
                ``kafka.broker_health``. It tells no statistics: nobody would take them while nothing is rejected.
            topic: of the rejected records.
        """
        self._make = make
        self._producer = make()
        self._topic = topic

    def add(self, rejected: Sequence[DeadLetter]) -> None:
        """Send the records and wait for the broker's word.

        Raises:
            BrokerUnavailable: not all were taken; call again with the same records.
        """
        failures: list[str] = []

        def delivered(error: KafkaError | None, message: Message) -> None:  # noqa: ARG001
            if error is not None:
                failures.append(error.str())

        for one in rejected:
            received = one.received
            _log.warning(
                "rejected: partition %d offset %d: %s", received.partition, received.offset, one.detail[:300]
            )
            self._producer.produce(
                self._topic,
                key=received.record.key,
                value=(received.record.value or b"")[:_KEPT_BYTES],
                headers=_headers(one),
                timestamp=max(0, received.record.timestamp_ms),
                on_delivery=delivered,
            )
        left = self._producer.flush(_ANSWER_S)
        if left:
            self._producer.purge()
            self._producer.flush(1)
            self._producer = self._make()
        if left or failures:
            raise BrokerUnavailable(
                f"rejected records not taken by topic {self._topic}: {(failures or ['no answer'])[0]}"
            )


def _headers(one: DeadLetter) -> list[tuple[str, str | bytes | None]]:
    """The record's own headers, then why, where from, and how large it was when not all of it is kept."""
    received = one.received
    size = len(received.record.value or b"")
    about = {
        "reason": one.reason,
        "detail": one.detail[:500],
        "source_topic": received.topic,
        "source_partition": str(received.partition),
        "source_offset": str(received.offset),
    }
    if size > _KEPT_BYTES:
        about["original_bytes"] = str(size)
    original: list[tuple[str, str | bytes | None]]
    original = [(name, value and value[:500]) for name, value in list(received.record.headers)[:_MAX_HEADERS]]
    return [*original, *((name, text.encode()) for name, text in about.items())]
