"""Frames to the topic: each is counted as delivered only when the broker said so."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from errors import BrokerUnavailable
from stream.message import MAX_FRAME_BYTES, Frame, to_record

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Summary:
    """What became of the frames of one source.

    Attributes:
        stream: name of the stream.
        run: id of this run.
        frames_read: pictures the source gave.
        delivered: frames the broker confirmed.
        failed: frames it did not, or that were too large to send.
        dropped: pictures of a live source left out: over the frame rate asked for, or with no room to wait for Kafka.
        megabytes: of JPEG delivered.
        seconds: from first picture to last confirmation.
        error: why the source ended early, if it did.
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

    @property
    def megabytes_per_second(self) -> float:
        """Rate of what was delivered."""
        return self.megabytes / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """All figures, for scripts."""
        return asdict(self) | {"megabytes_per_second": round(self.megabytes_per_second, 2)}


class Publisher:
    """Sends frames by a Kafka producer made elsewhere, and keeps count."""

    def __init__(self, producer: Producer, topic: str, summary: Summary) -> None:
        self._producer = producer
        self._topic = topic
        self._summary = summary
        self._fatal: str | None = None

    def send(self, frame: Frame, wait: bool, stopped: Callable[[], bool]) -> bool:
        """Hand the frame to the client's queue; whether there was room.

        A queue that is full means that the broker is away or slow: with ``wait`` until there is room or
        ``stopped``, else the frame is left out.

        Raises:
            BrokerUnavailable: the client failed for good.
        """
        if len(frame.jpeg) > MAX_FRAME_BYTES:
            _log.error("%s: %d bytes, at most %d: not sent", frame.label, len(frame.jpeg), MAX_FRAME_BYTES)
            self._summary.failed += 1
            return True
        record = to_record(frame)
        while True:
            self._check()
            try:
                self._producer.produce(
                    self._topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    timestamp=record.timestamp_ms,
                    on_delivery=self._delivered,
                )
            except BufferError:
                if not wait or stopped():
                    return False
                self._producer.poll(0.1)
                continue
            except KafkaException as error:
                raise BrokerUnavailable(f"Kafka refused a frame: {error.args[0].str()}") from None
            self._producer.poll(0)
            return True

    def finish(self, timeout_s: float) -> None:
        """Wait until the broker has answered for every frame, or the time is over: those left count as failed."""
        deadline = time.monotonic() + timeout_s
        while len(self._producer) and self._fatal is None and time.monotonic() < deadline:
            self._producer.flush(0.2)
        if left := len(self._producer):
            self._producer.purge()
            self._producer.flush(1)
            _log.error("%s: no answer from Kafka for the last %d frames", self._summary.stream, left)
        self._check()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._summary.delivered += 1
            self._summary.megabytes += len(message.value() or b"") / 1e6
            return
        self._summary.failed += 1
        if error.fatal():
            self._fatal = error.str()
        if self._summary.failed == 1:
            _log.error("%s: a frame could not be delivered: %s", self._summary.stream, error.str())

    def _check(self) -> None:
        if self._fatal is not None:
            raise BrokerUnavailable(f"the Kafka client failed for good: {self._fatal}")
