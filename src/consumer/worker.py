"""The worker's loop: consume, classify side by side, show in order, hand to the sinks.

    poll ──► classifier pool (side by side) ──► show (in order) ──► writer (sinks, then commit)

What is in flight is bounded in number and in bytes (see ``in_flight``), and the writer takes few in advance. When all
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
from framewatch.consumer.writer import Handover, Writer
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
_POLL_S: Final = 0.1


class Worker:
    """Works on the streams that the group gives it, until stopped."""

    def __init__(
        self,
        make_consumer: Callable[[BrokerHealth], Consumer],
        topic: str,
        classifiers: ClassifierPool,
        make_writer: Callable[[OnDone, OnFailure], Writer],
        hub: LiveHub,
        stats: Stats,
        from_beginning: bool = False,
        labels: Sequence[str] = (),
    ) -> None:
        """Make the worker; ``run`` starts it.

        Args:
            make_consumer: makes the Kafka client, which reports to the broker health and which the worker closes;
                called again when the client has failed.
            topic: to read.
            classifiers: closed by the worker.
            make_writer: makes the writer, given what it calls after each batch and at its failure.
            hub: gets each frame with smoothed labels, in order.
            stats: counts.
            from_beginning: read the topic from its start whatever the group has committed.
            labels: of the classifiers, in index order: pictures have their colours by it.
        """
        self._labels = tuple(labels)
        self._classifiers = classifiers
        self._hub = hub
        self._stats = stats
        self._consumer = FrameConsumer(
            make_consumer, topic, from_beginning, self._finish_for_rebalance, self._forget_streams, hub.show_only
        )
        self._in_flight = InFlightLimiter(classifiers.capacity)
        self._smoothers = StreamSmoothers()
        self._pending: queue.SimpleQueue[Future[Outcome] | Handover | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._ended = False
        self._writer = make_writer(self._batch_done, self._fail)
        self._shower = threading.Thread(target=self._show, name="show", daemon=True)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Work until ``stopped``; then finish what is in flight, commit it and leave the group.

        Raises:
            BrokerUnavailable: the Kafka client failed for good.
            FramewatchError: a sink failed for good.
        """
        self._shower.start()

        def ended() -> bool:
            return stopped() or self._failure is not None

        try:
            while not ended():
                consumed = self._consumer.next(self._in_flight.wait_for_capacity, ended)
                if consumed is not None:
                    self._stats.count("received")
                    self._in_flight.consumed(len(consumed.record.value or b""))
                    self._pending.put(self._classifiers.submit(consumed))
        finally:
            self._end()
        if self._failure is not None:
            raise self._failure

    def positions(self) -> dict[TopicPartition, int]:
        """Offset of the next record to show, of each partition of this worker; see ``Offsets.positions``."""
        return self._consumer.offsets.positions()

    def problem(self) -> str | None:
        """Why nothing is stored any more, or None while all is well."""
        return self._writer.problem()

    def _show(self) -> None:
        """In the order consumed: to the hub, then to the writer."""
        try:
            while (item := self._pending.get()) is not None:
                if isinstance(item, Handover):
                    self._writer.put(item)
                    continue
                outcome = item.result()
                self._consumer.offsets.shown(outcome.consumed.topic_partition, outcome.consumed.offset)
                if isinstance(outcome, ClassifiedFrame):
                    outcome = self._published(outcome)
                self._in_flight.shown()
                self._writer.put(outcome)
        except BaseException as error:
            self._fail(error)

    def _published(self, classified: ClassifiedFrame) -> ClassifiedFrame:
        """Show it with smoothed labels; its events keep the raw ones."""
        frame = classified.frame
        if frame.name is None:
            smoothed = self._smoothers.smooth(frame.stream, classified.detections, frame.time_us)
        else:  # a picture by itself has nothing to do with the one before
            smoothed = unsmoothed(classified.detections)
        render = partial(annotated_jpeg, frame.jpeg, smoothed.detections, self._labels)
        partition = classified.consumed.topic_partition
        self._hub.publish(frame.stream, frame.number, frame.time_us, smoothed.labels, render, partition)
        latency_s = None if is_upload(frame.stream) else time.time() - frame.time_us / 1e6
        self._stats.shown(classified.detect_s, latency_s)
        return replace(classified, smoothed=smoothed.detections)

    def _batch_done(self, n: int, offsets: Mapping[TopicPartition, int]) -> None:
        self._consumer.offsets.done(offsets)
        self._in_flight.done(n)

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            _log.error("the worker ends: %s: %s", type(error).__name__, error)
            self._failure = error

    def _finish_for_rebalance(self) -> None:
        """Wait until all that was consumed is stored and flushed, within the time that a rebalance has for it."""
        if self._ended:
            return
        mark = Handover()
        self._pending.put(mark)
        deadline_s = time.monotonic() + _HANDOVER_S
        while not mark.done.wait(_POLL_S) and self._failure is None:
            if time.monotonic() >= deadline_s:
                _log.warning("gave partitions back before all their frames were stored: those come again")
                return

    def _forget_streams(self) -> None:
        """The partitions are lost: forget streams behind the frames in flight, ahead of those that come again."""
        if not self._ended:
            self._pending.put(Handover())

    def _end(self) -> None:
        """Finish what is in flight, in the order of the way of a frame."""
        self._classifiers.close()
        self._pending.put(None)
        self._shower.join(_DRAIN_S)
        if not self._writer.close(_DRAIN_S):
            _log.warning("not all frames in flight could be stored: they come again at the next start")
        self._ended = True
        self._consumer.leave()
        self._hub.close()
