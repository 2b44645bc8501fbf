"""A source's way to the topic, picture by picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from framewatch.errors import BrokerUnavailable, SourceError
from framewatch.kafka.resilient_producer import ResilientProducer
from framewatch.model.frame import Frame
from framewatch.producer.pace import Pacer, rate
from framewatch.producer.publisher import Publisher, Summary
from framewatch.producer.sources.base import Picture, Source
from framewatch.vision.jpeg import encode_jpeg, scaled_down

_HOLD_S: Final = 0.1


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
        start_us: capture time of the first picture, microseconds since 1970 UTC, where it is not the time that it is.
        each_s: then seconds from one picture to the next.
        max_frames: pictures after which the rest is left out.
    """

    topic: str
    stream: str
    run: str
    fps: str | float = "native"
    loop: bool = False
    quality: int = 90
    max_side: int = 1920
    start_us: int | None = None
    each_s: float = 0.0
    max_frames: int | None = None


def produce(
    source: Source,
    plan: Plan,
    producer: ResilientProducer,
    stopped: Callable[[], bool] = lambda: False,
    on_frame: Callable[[Summary], None] = lambda summary: None,
    sleep: Callable[[float], object] = time.sleep,
    hold: Callable[[Summary], bool] = lambda summary: False,
) -> Summary:
    """Send all pictures of the source, and wait for the broker's word on each.

    A source that ends early, or a Kafka client that fails for good, does not raise: the summary's ``error`` says why.
    What raises is a second Ctrl-C, after which nothing is waited for.

    Args:
        source: of the pictures.
        plan: how to send them.
        producer: the Kafka client.
        stopped: whether to end soon.
        on_frame: called after each picture, and now and then while it is held.
        sleep: waits the given seconds; may return early when stopped.
        hold: whether to wait with the next picture, until it says otherwise.
    """
    summary = Summary(plan.stream, plan.run)
    publisher = Publisher(producer, plan.topic, summary, stopped)
    started = time.monotonic()
    try:
        _send_all(source, plan, publisher, summary, stopped, on_frame, sleep, hold)
    except (SourceError, BrokerUnavailable) as error:
        summary.error = None if stopped() else str(error)
    try:
        publisher.finish()
    except BrokerUnavailable as error:
        summary.error = str(error)
    summary.seconds = time.monotonic() - started
    return summary


def _send_all(
    source: Source,
    plan: Plan,
    publisher: Publisher,
    summary: Summary,
    stopped: Callable[[], bool],
    on_frame: Callable[[Summary], None],
    sleep: Callable[[float], object],
    hold: Callable[[Summary], bool],
) -> None:
    pacer = Pacer(rate(plan.fps, source.fps), source.live, sleep=sleep)
    last_us = 0
    for picture in _pictures(source, plan.loop, stopped):
        read_us = time.time_ns() // 1000
        admitted = pacer.admit()
        while hold(summary) and not stopped():
            publisher.wait(_HOLD_S)
            on_frame(summary)
        if stopped():
            return
        if summary.frames_read == plan.max_frames:
            raise SourceError(f"{source.name}: has more than {plan.max_frames} pictures: the rest is left out")
        summary.frames_read += 1
        if admitted:
            if plan.start_us is None:
                now_us = read_us if source.live else time.time_ns() // 1000
            else:
                now_us = plan.start_us + round((summary.frames_read - 1) * plan.each_s * 1e6)
            # A live picture was taken when it came, one of a file is shown when it goes. Strictly growing, also where
            # two come within one tick of the clock or the clock is put back.
            last_us = max(now_us, last_us + 1)
            frame = _frame(picture, plan, summary.frames_read - 1, last_us)
            admitted = publisher.send(frame, wait=not source.live)
        summary.dropped += not admitted
        on_frame(summary)


def _pictures(source: Source, loop: bool, stopped: Callable[[], bool]) -> Iterator[Picture]:
    while True:
        yield from source.read()
        if not loop or stopped():
            return


def _frame(picture: Picture, plan: Plan, number: int, time_us: int) -> Frame:
    image = scaled_down(picture.image, plan.max_side)
    height, width = image.shape[:2]
    jpeg = encode_jpeg(image, plan.quality)
    return Frame(plan.stream, plan.run, number, time_us, width, height, jpeg, picture.name)
