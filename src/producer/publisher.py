"""Frames to the topic: each is counted as delivered only when the broker said so."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message

from framewatch.errors import BrokerUnavailable
from framewatch.kafka.record import MAX_FRAME_BYTES, to_record
from framewatch.kafka.resilient_producer import PURGED, ResilientProducer
from framewatch.model.frame import Frame

_log = logging.getLogger(__name__)

_PATIENCE_S: Final = 320.0  # a little longer than the client itself tries
_HURRY_S: Final = 10.0


@dataclass(slots=True)
class Summary:
    """What became of the frames of one source: each one read is delivered, failed or dropped in the end.

    Attributes:
        stream: name of the stream.
        run: id of this run.
        frames_read: pictures the source gave.
        delivered: frames the broker confirmed.
        failed: frames it did not, or that were too large to send.
        dropped: pictures left out: of a live source those over the frame rate asked for, or with no room to wait for
            Kafka; of any the one in hand when there was no room and it was stopped.
        megabytes: of JPEG delivered.
        seconds: from first picture to last confirmation.
        error: why it ended early, if it did and was not asked to.
        partition: of the topic that they are on.
        first_offset: of the first of them there; with other streams' frames between them.
        last_offset: of the last.
    """

    stream: str
    run: str
    frames_read: int = 0
    delivered: int = 0
    failed: int = 0
    dropped: int = 0
    megabytes: float = 0.0
    seconds: float = 0.0
    error: str | None = None
    partition: int | None = None
    first_offset: int | None = None
    last_offset: int | None = None

    @property
    def megabytes_per_second(self) -> float:
        """Rate of what was delivered."""
        return self.megabytes / self.seconds if self.seconds else 0.0

    def note(self, partition: int | None, offset: int | None) -> None:
        """Where a frame is now. On a new topic, or more partitions, those that come after count from there anew."""
        if offset is None:
            return
        if partition != self.partition or self.last_offset is None or offset < self.last_offset:
            self.partition, self.first_offset = partition, offset
        self.last_offset = offset

    def as_json(self) -> dict[str, Any]:
        """All figures, for scripts."""
        rounded = {
            "megabytes": round(self.megabytes, 3),
            "seconds": round(self.seconds, 3),
            "megabytes_per_second": round(self.megabytes_per_second, 2),
        }
        return asdict(self) | rounded


class Publisher:
    """Sends frames by a Kafka producer made elsewhere, and keeps count.

    Args:
        producer: the Kafka client.
        topic: where to.
        summary: where to count.
        stopped: whether to end soon.
    """

    def __init__(
        self, producer: ResilientProducer, topic: str, summary: Summary, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._summary = summary
        self._stopped = stopped
        self._fatal: str | None = None
        self._told: set[str] = set()

    def send(self, frame: Frame, wait: bool) -> bool:
        """Hand the frame to the client's queue; False when it was left out for want of room.

        A queue that is full means that the broker is away or slow: with ``wait`` until there is room or it is
        stopped, else the frame is left out.

        Raises:
            BrokerUnavailable: the client failed for good.
        """
        if len(frame.jpeg) > MAX_FRAME_BYTES:
            self._failed(f"a frame of over {MAX_FRAME_BYTES} bytes is too large", frame.label)
            return True
        while True:
            try:
                self._hand_over(frame)
            except BufferError:
                self.wait(0.1 if wait else 0)
                if not wait or self._stopped():
                    return False
            else:
                self.wait(0)
                return True

    def wait(self, timeout_s: float) -> None:
        """Wait for answers of the broker, so long at most.

        Raises:
            BrokerUnavailable: the client failed for good.
        """
        self._producer.poll(timeout_s)
        self._check()

    def finish(self, patience_s: float = _PATIENCE_S, hurry_s: float = _HURRY_S) -> None:
        """Wait until the broker has answered for every frame; those left when the time is over count as failed.

        Args:
            patience_s: seconds to wait.
            hurry_s: seconds to wait from when it is stopped.

        Raises:
            BrokerUnavailable: the client failed for good.
        """
        deadline, hurried = time.monotonic() + patience_s, False
        while len(self._producer) and self._fatal is None and time.monotonic() < deadline:
            if not hurried and self._stopped():
                deadline, hurried = min(deadline, time.monotonic() + hurry_s), True
            self._producer.flush(0.2)
        if left := len(self._producer):
            _log.error("%s: no answer from Kafka for the last %d frames", self._summary.stream, left)
            self._producer.purge()
            self._producer.flush(1)
        self._check()

    def _hand_over(self, frame: Frame) -> None:
        record = to_record(frame)
        try:
            self._producer.produce(
                self._topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                timestamp=record.timestamp_ms,
                on_delivery=self._answered,
            )
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if reason.code() != KafkaError.MSG_SIZE_TOO_LARGE:
                raise BrokerUnavailable(f"Kafka refused a frame: {reason.str()}") from None
            self._failed("the client is set to smaller records (message.max.bytes)", frame.label)

    def _answered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._summary.delivered += 1
            self._summary.megabytes += len(message.value() or b"") / 1e6
            self._summary.note(message.partition(), message.offset())
            return
        if error.fatal():
            self._fatal = error.str()
        self._failed(None if error.code() in PURGED else error.str(), self._summary.stream)

    def _failed(self, reason: str | None, what: str) -> None:
        """Count a frame as failed; each reason is told once, not once a frame."""
        self._summary.failed += 1
        if reason is not None and reason not in self._told:
            self._told.add(reason)
            _log.error("%s: could not be delivered: %s", what, reason)

    def _check(self) -> None:
        if self._fatal is not None:
            raise BrokerUnavailable(f"the Kafka client failed for good: {self._fatal}")
