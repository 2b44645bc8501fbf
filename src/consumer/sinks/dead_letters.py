"""Records that cannot be classified, kept with the reason in a topic of their own: the dead letters.

A dead letter must never stop the streams. So the topic is made here, each record is cut to what the topic takes, and
errors are told apart: a broker that is away is waited for, a record that the topic will never take is counted as
dropped, named in the log, and passed over.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from framewatch.consumer.processing import DeadLetter
from framewatch.consumer.sinks.base import Sink
from framewatch.consumer.stats import Stats
from framewatch.errors import BrokerUnavailable, TopicRefused
from framewatch.model.frame import TopicPartition

_log = logging.getLogger(__name__)

_MAX_KEPT_BYTES: Final = 1024 * 1024
_MAX_KEY_BYTES: Final = 1024
_MAX_HEADERS: Final = 32
_MAX_HEADER_BYTES: Final = 500
_MAX_NAME_CHARACTERS: Final = 100
_OVERHEAD_BYTES: Final = 1024  # of a record batch, and of what frames the headers
_ANSWER_S: Final = 30.0

_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
_NO_TOPIC: Final = frozenset(
    {KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART}
)
_NEVER: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError._INVALID_ARG,
        KafkaError._BAD_MSG,
    }
)


@dataclass(frozen=True, slots=True)
class _Failure:
    """A dead letter that was not taken, cut to so many bytes."""

    letter: DeadLetter
    kept_bytes: int
    error: KafkaError


class DeadLetterSink(Sink):
    """Sends dead letters to their topic, each with why it is one and where it came from."""

    def __init__(self, make: Callable[[], Producer], topic: str, ensure: Callable[[], int], stats: Stats) -> None:
        """Make the producer.

        Args:
            make: a producer; called now, and again after one that got no answer: it may never get one, see
                ``kafka.broker_health``. It reports no statistics: nobody would take them while nothing fails.
            topic: of the dead letters.
            ensure: makes the topic unless it is there, and returns the bytes of the largest record that it takes;
                raises BrokerUnavailable, and TopicRefused where it may not be made.
            stats: counts what is dropped.
        """
        self._make = make
        self._producer = make()
        self._topic = topic
        self._ensure = ensure
        self._stats = stats
        self._limit_bytes = _MAX_KEPT_BYTES
        self._taken: set[tuple[TopicPartition, int]] = set()  # of a batch that is retried

    def setup(self) -> None:
        """Make the topic. One that may not be made is logged: the streams go on without it."""
        try:
            self._limit_bytes = min(self._ensure(), _MAX_KEPT_BYTES)
        except TopicRefused as error:
            _log.error("%s: records that cannot be classified are dropped until it is there", error)

    def add_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Send the records and wait for the broker's answer.

        Raises:
            BrokerUnavailable: not all were taken; call again with the same records.
        """
        left = [(letter, self._limit_bytes) for letter in dead_letters if _source(letter) not in self._taken]
        may_ensure = True
        while left:
            failures = self._send(left)
            left = []
            for failure in failures:
                code = failure.error.code()
                if code in _TOO_LARGE and failure.kept_bytes > 0:
                    left.append((failure.letter, failure.kept_bytes // 2 if failure.kept_bytes > 1024 else 0))
                elif code in _NO_TOPIC and may_ensure and self._is_made_again():
                    left.append((failure.letter, self._limit_bytes))
                elif code in _TOO_LARGE | _NEVER | _NO_TOPIC:
                    self._drop(failure)
                else:
                    raise BrokerUnavailable(f"dead letters not taken by topic {self._topic}: {failure.error.str()}")
            may_ensure = False
        self._taken.clear()

    def close(self) -> None:
        """Give up what is still under way; all that was taken has its answer."""
        self._producer.purge()

    def _is_made_again(self) -> bool:
        """Whether the topic is there (again): somebody may have deleted it."""
        try:
            self._limit_bytes = min(self._ensure(), _MAX_KEPT_BYTES)
        except TopicRefused as error:
            _log.debug("%s", error)
            return False
        self._replace_producer()  # the old one remembers for a while that there is no such topic
        return True

    def _drop(self, failure: _Failure) -> None:
        source = failure.letter.consumed
        self._stats.count("dropped")
        _log.error(
            "dropped: %s partition %d offset %d (%s): topic %s does not take it: %s",
            source.topic, source.partition, source.offset, failure.letter.reason, self._topic, failure.error.str(),
        )  # fmt: skip

    def _send(self, letters: Iterable[tuple[DeadLetter, int]]) -> list[_Failure]:
        """Send each, cut to its number of bytes, and wait; those that were not taken.

        Raises:
            BrokerUnavailable: no answer.
        """
        failures: list[_Failure] = []
        deadline_s = time.monotonic() + _ANSWER_S
        for letter, kept_bytes in letters:
            answered = partial(self._answered, failures, letter, kept_bytes)
            self._queue(letter, kept_bytes, answered, deadline_s)
        if self._producer.flush(max(1.0, deadline_s - time.monotonic())) or any(f.error.fatal() for f in failures):
            self._replace_producer()
            raise BrokerUnavailable(f"dead letters not taken by topic {self._topic}: no answer")
        return failures

    def _queue(
        self,
        letter: DeadLetter,
        kept_bytes: int,
        answered: Callable[[KafkaError | None, Message | None], None],
        deadline_s: float,
    ) -> None:
        """Give the record to the client; where its queue is full, wait for answers first."""
        record = letter.consumed.record
        headers = _headers(letter, with_own=kept_bytes > 0)
        key = record.key and record.key[:_MAX_KEY_BYTES]
        spent = len(key or b"") + sum(len(name.encode()) + len(value or b"") for name, value in headers)
        value = (record.value or b"")[: max(0, kept_bytes - spent - _OVERHEAD_BYTES)]
        if len(value) < len(record.value or b""):
            headers.append(("original_bytes", str(len(record.value or b"")).encode()))
        while True:
            try:
                self._producer.produce(
                    self._topic,
                    key=key,
                    value=value,
                    headers=list(headers),
                    timestamp=max(0, record.timestamp_ms),
                    on_delivery=answered,
                )
                return
            except BufferError:
                if time.monotonic() > deadline_s:
                    self._replace_producer()
                    raise BrokerUnavailable(f"dead letters not taken by topic {self._topic}: no answer") from None
                self._producer.poll(0.1)
            except KafkaException as error:
                answered(error.args[0], None)
                return

    def _answered(
        self,
        failures: list[_Failure],
        letter: DeadLetter,
        kept_bytes: int,
        error: KafkaError | None,
        _: Message | None,
    ) -> None:
        if error is not None:
            failures.append(_Failure(letter, kept_bytes, error))
            return
        self._taken.add(_source(letter))
        source = letter.consumed
        _log.warning(
            "dead letter: %s partition %d offset %d: %s",
            source.topic, source.partition, source.offset, letter.detail[:300],
        )  # fmt: skip

    def _replace_producer(self) -> None:
        self._producer.purge()
        self._producer.flush(1)
        self._producer = self._make()


def _source(letter: DeadLetter) -> tuple[TopicPartition, int]:
    return letter.consumed.topic_partition, letter.consumed.offset


def _headers(letter: DeadLetter, with_own: bool) -> list[tuple[str, bytes | None]]:
    """The record's own headers, cut, then why it is a dead letter and where it came from."""
    source = letter.consumed
    about = {
        "reason": letter.reason,
        "detail": letter.detail[:_MAX_HEADER_BYTES],
        "source_topic": source.topic,
        "source_partition": str(source.partition),
        "source_offset": str(source.offset),
    }
    own = list(source.record.headers)[:_MAX_HEADERS] if with_own else []
    return [
        *((name[:_MAX_NAME_CHARACTERS], value and value[:_MAX_HEADER_BYTES]) for name, value in own),
        *((name, text.encode("utf-8", "replace")) for name, text in about.items()),
    ]
