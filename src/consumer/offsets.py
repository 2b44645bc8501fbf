"""Which partitions the worker has, where it is in each, and which offsets may be committed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException

from framewatch.model.frame import TopicPartition

_log = logging.getLogger(__name__)


class Offsets:
    """Book-keeping between the consumer and the steps a record goes through.

    The consumer is called by the polling thread only: it keeps other threads out while one polls (seen with
    confluent-kafka 2.16: they wait for ever in an endless loop of polls). The steps on other threads leave word here.
    """

    def __init__(
        self,
        from_beginning: bool,
        finish: Callable[[], None],
        on_places: Callable[[Collection[TopicPartition]], None] = lambda places: None,
    ) -> None:
        """Make the book.

        Args:
            from_beginning: read each partition from its start whatever the group has committed.
            finish: called before partitions are given back: whoever gets them starts where we committed.
            on_places: called by the polling thread with all partitions of the worker at each assignment. Not when
                some are given back or lost: most of them come again in a moment, or when the broker does.
        """
        self._consumer: Consumer | None = None
        self._from_beginning = from_beginning
        self._finish = finish
        self._on_places = on_places
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
        """Heed the consumer no more: it ends by itself."""
        self._consumer = None

    def shown(self, place: TopicPartition, offset: int) -> None:
        """The record at the offset has been shown; of no account where the partition is another worker's by now."""
        with self._lock:
            if place in self._positions:
                self._positions[place] = offset + 1

    def positions(self) -> dict[TopicPartition, int]:
        """Offset of the next record to be shown, of each partition there is."""
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
        starts = {TopicPartition(p.topic, p.partition): _start_of(consumer, p) for p in partitions}
        with self._lock:
            self._positions |= starts
        self._on_places(self.positions())
        _log.info("has partitions %s", [p.partition for p in partitions])

    def _revoked(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        if consumer is not self._consumer:  # one that was let go
            return
        self._finish()
        self.allow_commit()
        self._lost(consumer, partitions)

    def _lost(self, consumer: Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        if consumer is not self._consumer:
            return
        with self._lock:
            for partition in partitions:
                self._positions.pop(TopicPartition(partition.topic, partition.partition), None)


def _start_of(consumer: Consumer, partition: confluent_kafka.TopicPartition) -> int:
    """Offset at which reading starts: for the lag, until a first record has come."""
    try:
        if partition.offset != OFFSET_BEGINNING:
            (committed,) = consumer.committed([partition], timeout=2)
            if committed.offset >= 0:
                return int(committed.offset)
        low, _ = consumer.get_watermark_offsets(partition, timeout=2)
        return int(low)
    except KafkaException:
        return 0
