"""A source's way to the topic, picture by picture."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Producer

from errors import SourceError
from producer.pace import Pacer, rate
from producer.publisher import Publisher, Summary
from producer.sources import Source
from stream.message import Frame
from vision.jpeg import encode_jpeg, scaled_down
from vision.types import Image

_log = logging.getLogger(__name__)

_FINISH_S: Final = 320.0  # a little longer than the client itself tries
_FINISH_STOPPED_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a source is to be sent.

    Attributes:
        topic: Kafka topic.
        stream: name of the stream.
        run: id of this run.
        fps: ``native``, ``max`` or frames a second.
        loop: start again at the end, until stopped.
        quality: of the JPEGs, 1 to 100.
        max_side: pixels of the longer side; larger pictures are scaled down.
    """

    topic: str
    stream: str
    run: str
    fps: str | float = "native"
    loop: bool = False
    quality: int = 90
    max_side: int = 1920


def produce(
    source: Source,
    plan: Plan,
    producer: Producer,
    stopped: Callable[[], bool] = lambda: False,
    on_frame: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Send all pictures of the source, and wait for the broker's word on each.

    A source that ends early does not raise: what could be read is sent and ``error`` of the summary says why.

    Raises:
        BrokerUnavailable: the Kafka client failed for good.
    """
    summary = Summary(plan.stream, plan.run)
    publisher = Publisher(producer, plan.topic, summary)
    pacer = Pacer(rate(plan.fps, source.fps), source.live)
    started = time.monotonic()
    last_us = 0
    try:
        for image in _pictures(source, plan.loop, stopped):
            if stopped():
                break
            summary.frames_read += 1
            if not pacer.admit():
                summary.dropped += 1
                continue
            # Strictly growing, also where two pictures come within one tick of the clock.
            last_us = max(time.time_ns() // 1000, last_us + 1)
            frame = _frame(image, plan, summary.frames_read - 1, last_us)
            if not publisher.send(frame, wait=not source.live, stopped=stopped):
                summary.dropped += source.live
                summary.failed += not source.live
            on_frame(summary)
    except SourceError as error:
        summary.error = str(error)
    finally:
        publisher.finish(_FINISH_STOPPED_S if stopped() else _FINISH_S)
        summary.seconds = time.monotonic() - started
    return summary


def _pictures(source: Source, loop: bool, stopped: Callable[[], bool]) -> Iterator[Image]:
    while True:
        yield from source.read()
        if not loop or stopped():
            return


def _frame(image: Image, plan: Plan, number: int, time_us: int) -> Frame:
    image = scaled_down(image, plan.max_side)
    height, width = image.shape[:2]
    return Frame(plan.stream, plan.run, number, time_us, width, height, encode_jpeg(image, plan.quality))
