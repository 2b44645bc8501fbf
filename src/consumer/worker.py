"""The worker's loop: receive, classify side by side, show in order, hand on to be stored.

    poll ──► lanes (side by side) ──► show (in order) ──► writer (store, then commit)

What is in hand is bounded in number and in bytes (see ``in_flight``), and the writer takes few in advance. When all
is full, polling waits; when that lasts, the partitions are paused, so that Kafka does not take the worker for dead.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Final

from confluent_kafka import Consumer

from framewatch.consumer.classifier_pool import ClassifierPool
from framewatch.consumer.frame_consumer import FrameConsumer
from framewatch.consumer.in_flight import InFlightLimiter
from framewatch.consumer.processing import ClassifiedFrame, Outcome
from framewatch.consumer.stats import Stats
from framewatch.consumer.writer import Writer
from framewatch.kafka.broker_health import BrokerHealth
from framewatch.live.hub import LiveHub
from framewatch.model.frame import TopicPartition
from framewatch.model.names import is_upload
from framewatch.vision.annotate import annotated_jpeg
from framewatch.vision.tracking.label_smoothing import StreamSmoothers, unsmoothed

_log = logging.getLogger(__name__)

OnDone = Callable[[int, Mapping[TopicPartition, int]], None]
OnFailure = Callable[[BaseException], None]

_HANDOVER_S: Final = 5.0
_DRAIN_S: Final = 10.0


class Worker:
    """Takes the streams that the group gives it, until stopped."""

    def __init__(
        self,
        make_consumer: Callable[[BrokerHealth], Consumer],
        topic: str,
        lanes: ClassifierPool,
        make_writer: Callable[[OnDone, OnFailure], Writer],
        hub: LiveHub,
        stats: Stats,
        on_seen: Callable[[ClassifiedFrame], None] = lambda seen: None,
        from_beginning: bool = False,
        labels: Sequence[str] = (),
    ) -> None:
        """Make the worker; ``run`` starts it.

        Args:
            make_consumer: makes the Kafka client, which tells the contact and which the worker closes; called again
                when it is of no more use.
            topic: to read.
            lanes: classify; closed by the worker.
            make_writer: makes the writer, given what it is to call after each batch and at its failure.
            hub: gets each frame with steadied labels, in order.
            stats: counts.
            on_seen: called for each frame in order, once it is classified.
            from_beginning: read the topic from its start whatever the group has committed.
            labels: of the classifiers, in index order: pictures have their colours by it.
        """
        self._labels = tuple(labels)
        self._lanes = lanes
        self._hub = hub
        self._stats = stats
        self._on_seen = on_seen
        self._intake = FrameConsumer(make_consumer, topic, from_beginning, self._finish_for_handover, hub.show_only)
        self._room = InFlightLimiter(lanes.room)
        self._steadiers = StreamSmoothers()
        self._pending: queue.SimpleQueue[Future[Outcome] | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._ended = False
        self._writer = make_writer(self._batch_done, self._fail)
        self._shower = threading.Thread(target=self._show, name="show", daemon=True)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Work until ``stopped``; then finish what is in hand, commit it and leave the group.

        Raises:
            BrokerUnavailable: the Kafka client failed for good.
        """
        self._shower.start()

        def ended() -> bool:
            return stopped() or self._failure is not None

        try:
            while not ended():
                received = self._intake.next(self._room.wait_for_capacity, ended)
                if received is not None:
                    self._stats.count("received")
                    self._room.received(len(received.record.value or b""))
                    self._pending.put(self._lanes.submit(received))
        finally:
            self._end()
        if self._failure is not None:
            raise self._failure

    def positions(self) -> dict[TopicPartition, int]:
        """Offset of the next record to be shown, of each partition this worker has."""
        return self._intake.offsets.positions()

    def _show(self) -> None:
        """In the order received: to the hub, to the console, to the writer."""
        try:
            while (future := self._pending.get()) is not None:
                outcome = future.result()
                received = outcome.received
                self._intake.offsets.shown(received.topic_partition, received.offset)
                if isinstance(outcome, ClassifiedFrame):
                    outcome = self._published(outcome)
                self._room.shown()
                self._writer.put(outcome)
        except BaseException as error:
            self._fail(error)

    def _published(self, seen: ClassifiedFrame) -> ClassifiedFrame:
        """Show it with steadied labels; its events keep the raw ones."""
        frame = seen.frame
        if frame.name is None:
            steady = self._steadiers.steadied(frame.stream, seen.detections, frame.time_us)
        else:  # a picture by itself has nothing to do with the one before
            steady = unsmoothed(seen.detections)
        render = partial(annotated_jpeg, frame.jpeg, steady.detections, self._labels)
        place = seen.received.topic_partition
        self._hub.publish(frame.stream, frame.number, frame.time_us, steady.labels, render, place)
        latency_s = None if is_upload(frame.stream) else time.time() - frame.time_us / 1e6
        self._stats.shown(seen.detect_s, latency_s)
        self._on_seen(seen)
        return replace(seen, steady=steady.detections)

    def _batch_done(self, n: int, offsets: Mapping[TopicPartition, int]) -> None:
        self._intake.offsets.done(offsets)
        self._room.done(n)

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            _log.error("the worker ends: %s: %s", type(error).__name__, error)
            self._failure = error

    def _finish_for_handover(self) -> None:
        """Wait until all that was received is stored, within the time that a rebalance has for it."""
        left = self._room.wait_empty(lambda: self._ended or self._failure is not None, _HANDOVER_S)
        if left and not self._ended:
            _log.warning("gave partitions back with %d frames not stored: they come again", left)
        self._writer.flush_for_rebalance(_HANDOVER_S)

    def _end(self) -> None:
        """Finish what is in hand, in the order of the way of a frame."""
        self._lanes.close()
        self._pending.put(None)
        self._shower.join(_DRAIN_S)
        if not self._writer.close(_DRAIN_S):
            _log.warning("not all frames in hand could be stored: they come again at the next start")
        self._ended = True
        self._intake.leave()
        self._hub.close()
