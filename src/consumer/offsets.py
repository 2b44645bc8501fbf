"""Which partitions the worker has, where it is in each, and which offsets may be committed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Final

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException

from framewatch.model.frame import TopicPartition

_log = logging.getLogger(__name__)

_ANSWER_S: Final = 2.0


class Offsets:
    """Book-keeping between the consumer and the steps that a record goes through.

    Only the polling thread calls the consumer: while one thread polls, the client keeps others out (seen with
    confluent-kafka 2.16: they wait for ever in an endless loop of polls). The steps on other threads leave
    notes here.
    """

    def __init__(
        self,
        from_beginning: bool,
        on_revoked: Callable[[], None],
        on_lost: Callable[[], None] = lambda: None,
        on_assigned: Callable[[Collection[TopicPartition]], None] = lambda partitions: None,
    ) -> None:
        """Start with no partitions.

        Args:
            from_beginning: read each partition from its start whatever the group has committed.
            on_revoked: called before partitions are given back, to store what was consumed: whoever gets them starts
                where we committed.
            on_lost: called when partitions are lost: another worker may have them already.
            on_assigned: called by the polling thread with all partitions of the worker at each assignment. Not when
                some are given back or lost: most of them come again in a moment, or when the broker does.
        """
        self._consumer: Consumer | None = None
        self._from_beginning = from_beginning
        self._on_revoked = on_revoked
        self._on_lost = on_lost
        self._on_assigned = on_assigned
        self._begun: set[int] = set()
        self._lock = threading.Lock()
        self._positions: dict[TopicPartition, int] = {}
        self._done: dict[TopicPartition, int] = {}

    def subscribe(self, consumer: Consumer, topic: str) -> None:
        """Take part in the group's share of the topic; what was noted with another consumer is forgotten."""
        with self._lock:
            self._consumer = consumer
            self._positions, self._done = {}, {}
        consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    def detach(self) -> None:
        """Stop calling the consumer: it ends by itself."""
        self._consumer = None

    def shown(self, partition: TopicPartition, offset: int) -> None:
        """The record at the offset has been shown; ignored where the partition is another worker's by now."""
        with self._lock:
            if partition in self._positions:
                self._positions[partition] = offset + 1

    def positions(self) -> dict[TopicPartition, int]:
        """Offset of the next record to show, of each partition of this worker; OFFSET_BEGINNING is its first."""
        with self._lock:
            return dict(self._positions)

    def done(self, offsets: Mapping[TopicPartition, int]) -> None:
        """What comes before these offsets is done with."""
        with self._lock:
            self._done |= offsets

    def allow_commit(self) -> None:
        """Let the client commit what is done with, which it does within its interval, at a rebalance and at its end.

        For the polling thread.
        """
        with self._lock:
            done, self._done = self._done, {}
        if not done or self._consumer is None:
            return
        try:
            self._consumer.store_offsets(
                offsets=[
                    confluent_kafka.TopicPartition(topic, partition, offset)
                    for (topic, partition), offset in done.items()
                ]
            )
        except KafkaException as error:  # a partition was given to another worker meanwhile
            _log.warning("stored, but another worker may do it again: %s", error.args[0].str())

    def _assigned(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        for partition in partitions:
            if self._from_beginning and partition.partition not in self._begun:
                self._begun.add(partition.partition)
                partition.offset = OFFSET_BEGINNING
        if self._from_beginning:
            consumer.assign(partitions)
        starts = self._starts(consumer, partitions)
        with self._lock:
            self._positions |= starts
        self._on_assigned(self.positions())
        _log.info("has partitions %s", [p.partition for p in partitions])

    def _starts(
        self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]
    ) -> dict[TopicPartition, int]:
        """Where reading starts in each, for the lag until a first record has come; by one request for all."""
        starts = {TopicPartition(p.topic, p.partition): OFFSET_BEGINNING for p in partitions}
        asked = [p for p in partitions if p.offset != OFFSET_BEGINNING]
        try:
            for p in consumer.committed(asked, timeout=_ANSWER_S) if asked else ():
                if p.offset >= 0 and p.error is None:
                    starts[TopicPartition(p.topic, p.partition)] = p.offset
        except KafkaException as error:
            _log.debug("committed offsets: %s", error)
        return starts

    def _revoked(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        if consumer is not self._consumer:  # one that was detached
            return
        self._on_revoked()
        self.allow_commit()
        self._remove(partitions)

    def _lost(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        if consumer is not self._consumer:
            return
        _log.warning("lost partitions %s: another worker may have them", [p.partition for p in partitions])
        self._remove(partitions)
        self._on_lost()

    def _remove(self, partitions: list[confluent_kafka.TopicPartition]) -> None:
        with self._lock:
            for p in partitions:
                self._positions.pop(TopicPartition(p.topic, p.partition), None)
