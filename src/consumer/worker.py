"""The worker's loop: receive, classify side by side, show in order, hand on to be stored.

    poll ──► lanes (side by side) ──► show (in order) ──► writer (store, then commit)

Every step is bounded: at most four records a lane are between poll and show, and the writer takes few in advance.
When all is full, polling waits; when that lasts, the partitions are paused, so that Kafka does not take the worker
for dead.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from consumer.examine import Outcome, Received, Seen
from consumer.lanes import Lanes
from consumer.live import LiveHub
from consumer.offsets import Offsets, Place
from consumer.stats import Stats
from consumer.writer import Writer
from errors import BrokerUnavailable
from stream.message import Record

_log = logging.getLogger(__name__)

OnDone = Callable[[int, Mapping[Place, int]], None]
OnFailure = Callable[[BaseException], None]

_POLL_S: Final = 0.1
_PATIENCE_S: Final = 2.0
_HANDOVER_S: Final = 5.0
_DRAIN_S: Final = 10.0
_LEAVE_S: Final = 5.0


class Worker:
    """Takes the streams that the group gives it, until stopped."""

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        lanes: Lanes,
        make_writer: Callable[[OnDone, OnFailure], Writer],
        hub: LiveHub,
        stats: Stats,
        on_seen: Callable[[Seen], None] = lambda seen: None,
        from_beginning: bool = False,
    ) -> None:
        """Make the worker; ``run`` starts it.

        Args:
            consumer: made by the caller, closed by the worker.
            topic: to read.
            lanes: classify; closed by the worker.
            make_writer: makes the writer, given what it is to call after each batch and at its failure.
            hub: gets each annotated picture, in order.
            stats: counts.
            on_seen: called for each frame in order, once it is classified.
            from_beginning: read the topic from its start whatever the group has committed.
        """
        self._consumer = consumer
        self._topic = topic
        self._lanes = lanes
        self._hub = hub
        self._stats = stats
        self._on_seen = on_seen
        self._offsets = Offsets(consumer, from_beginning, self._finish_for_handover)
        self._slots = threading.BoundedSemaphore(4 * lanes.count)
        self._pending: queue.SimpleQueue[Future[Outcome] | None] = queue.SimpleQueue()
        self._unfinished = 0
        self._finished = threading.Condition()
        self._failure: BaseException | None = None
        self._topic_missing = False  # said once, not at each look
        self._writer = make_writer(self._batch_done, self._fail)
        self._shower = threading.Thread(target=self._show, name="show", daemon=True)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Work until ``stopped``; then finish what is in hand, commit it and leave the group.

        Raises:
            BrokerUnavailable: the Kafka client failed for good.
        """
        self._shower.start()
        self._offsets.subscribe(self._topic)
        try:
            while not stopped() and self._failure is None:
                self._offsets.allow_commit()
                if self._has_room(stopped):
                    self._receive(self._consumer.poll(_POLL_S))
        finally:
            self._end()
        if self._failure is not None:
            raise self._failure

    def positions(self) -> dict[Place, int]:
        """Offset of the next record to be shown, of each partition this worker has."""
        return self._offsets.positions()

    def _has_room(self, stopped: Callable[[], bool]) -> bool:
        """Whether a record may be taken in. Waits a moment for room; then keeps polling with all paused."""
        if self._slots.acquire(timeout=_PATIENCE_S):
            return True
        assigned = self._consumer.assignment()
        self._consumer.pause(assigned)
        room = False
        while not (room or stopped() or self._failure):
            self._offsets.allow_commit()
            # Only callbacks are served; what a rebalance adds meanwhile is not paused and must not be lost.
            if (message := self._consumer.poll(0)) is not None and message.error() is None:
                back = _received(message)
                self._consumer.seek(TopicPartition(back.topic, back.partition, back.offset))
                self._consumer.pause(self._consumer.assignment())
            room = self._slots.acquire(timeout=0.5)
        if assigned := self._consumer.assignment():
            self._consumer.resume(assigned)
        return room

    def _receive(self, message: Message | None) -> None:
        """Send one record on its way; the slot that ``_has_room`` took goes with it or is given back."""
        if message is None or (error := message.error()) is not None:
            self._slots.release()
            if message is not None and error is not None:
                self._check(error)
            return
        self._topic_missing = False
        received = _received(message)
        self._stats.count("received")
        with self._finished:
            self._unfinished += 1
        self._pending.put(self._lanes.submit(received))

    def _check(self, error: KafkaError) -> None:
        if error.fatal():
            raise BrokerUnavailable(f"the Kafka client failed for good: {error.str()}")
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            if not self._topic_missing:
                _log.info("topic %s is not there (yet): waiting for it", self._topic)
            self._topic_missing = True
        elif error.code() != KafkaError._PARTITION_EOF:
            _log.warning("Kafka: %s", error.str())

    def _show(self) -> None:
        """In the order received: to the hub, to the console, to the writer."""
        try:
            while (future := self._pending.get()) is not None:
                outcome = future.result()
                received = outcome.received
                self._offsets.shown((received.topic, received.partition), received.offset)
                if isinstance(outcome, Seen):
                    self._publish(outcome)
                self._slots.release()
                self._writer.put(outcome)
        except BaseException as error:
            self._fail(error)

    def _publish(self, seen: Seen) -> None:
        frame = seen.frame
        labels = tuple(event.label for event in seen.events)
        self._hub.publish(frame.stream, frame.number, frame.time_us, labels, seen.annotated_jpeg)
        self._stats.shown(seen.detect_s, time.time() - frame.time_us / 1e6)
        self._on_seen(seen)

    def _batch_done(self, n: int, offsets: Mapping[Place, int]) -> None:
        self._offsets.done(offsets)
        with self._finished:
            self._unfinished -= n
            self._finished.notify_all()

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            _log.error("the worker ends: %s: %s", type(error).__name__, error)
            self._failure = error

    def _finish_for_handover(self) -> None:
        """Wait until all that was received is stored, within the time that a rebalance has for it."""
        with self._finished:
            if not self._finished.wait_for(lambda: self._unfinished <= 0 or bool(self._failure), _HANDOVER_S):
                _log.warning("gave partitions back with %d frames not stored: they come again", self._unfinished)

    def _end(self) -> None:
        """Finish what is in hand, in the order of the way of a frame."""
        self._lanes.close()
        self._pending.put(None)
        self._shower.join(_DRAIN_S)
        if not self._writer.close(_DRAIN_S):
            _log.warning("not all frames in hand could be stored: they come again at the next start")
        with self._finished:
            self._unfinished = 0
        self._offsets.allow_commit()
        self._leave()
        self._hub.close()

    def _leave(self) -> None:
        """Commit and leave the group. The client may wait for a broker that is away: longer than we can."""
        closing = threading.Thread(target=self._consumer.close, name="leave", daemon=True)
        closing.start()
        closing.join(_LEAVE_S)
        if closing.is_alive():
            _log.warning("no answer from Kafka: the last offsets may not be committed, their frames come again")


def _received(message: Message) -> Received:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and partition is not None and offset is not None  # a message has a place
    _, timestamp_ms = message.timestamp()
    record = Record(_bytes(message.key()), _bytes(message.value()), _headers(message), timestamp_ms)
    return Received(topic, partition, offset, record)


def _bytes(raw: str | bytes | None) -> bytes | None:
    return raw.encode() if isinstance(raw, str) else raw


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return [(name, _bytes(value)) for name, value in pairs]
