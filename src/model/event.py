"""An event: one detection in one frame, as everything that stores or shows it speaks of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

US_PER_MINUTE = 60_000_000
END_US = 253_402_300_800_000_000  # the year 10000: no date of BSON or Python is later


@dataclass(frozen=True, slots=True)
class Event:
    """One thing seen in one frame.

    Attributes:
        stream: name of the stream.
        run: id of the producer's run.
        frame: number of the frame in the run.
        time_us: capture time, microseconds since 1970 UTC.
        index: of this detection in its frame, from 0.
        label: what was seen.
        confidence: 0 to 1.
        scores: best labels with their scores, best first, at most five.
        file: name of the picture's own file, or None for a frame of a video or camera.
        boundingbox: left, top, width, height in pixels of the frame, or None for a label of the whole frame.
        landmarks: points in pixels of the frame.
        model: name and content hash of the classifier.
        partition: of the frame in Kafka.
        offset: of the frame in Kafka, by which the whole frame can be read back while Kafka keeps it.
        crop: JPEG file of what was seen.

    Raises:
        ValueError: it has a value that no store could keep or no reader could use: text with a NUL or half a
            character, a number that is none, a confidence outside 0 to 1, a time outside 1970 to 9999.
    """

    stream: str
    run: str
    frame: int
    time_us: int
    index: int
    label: str
    confidence: float
    model: str
    partition: int
    offset: int
    crop: bytes = b""
    boundingbox: tuple[int, int, int, int] | None = None
    landmarks: tuple[tuple[float, float], ...] = ()
    scores: tuple[tuple[str, float], ...] = ()
    file: str | None = None

    def __post_init__(self) -> None:
        for wrong in _wrong_values(self):
            raise ValueError(wrong)

    @property
    def id(self) -> str:
        """``stream/run/frame/model/index``: the same frame gives the same id however often it is delivered."""
        return f"{self.stream}/{self.run}/{self.frame}/{self.model}/{self.index}"

    @property
    def timestamp(self) -> datetime:
        """Capture time, UTC."""
        return datetime.fromtimestamp(self.time_us // 1_000_000, UTC).replace(microsecond=self.time_us % 1_000_000)


def _wrong_values(event: Event) -> Iterator[str]:
    """What must not reach the store: the embedded one cuts text at a NUL and refuses NaN, for good."""
    names = (event.file,) if event.file is not None else ()
    for text in (event.stream, event.run, event.label, event.model, *names, *(label for label, _ in event.scores)):
        if not is_storable(text):
            yield f"got {text[:80]!r}: expected text without NUL and without halves of characters"
    if not 0 <= event.confidence <= 1:
        yield f"got confidence {event.confidence}: expected 0 to 1"
    for number in (*(score for _, score in event.scores), *(at for point in event.landmarks for at in point)):
        if not math.isfinite(number):
            yield f"got {number} among scores and landmarks: expected numbers"
    if not 0 <= event.time_us < END_US:
        yield f"got time_us {event.time_us}: expected microseconds since 1970, before the year 10000"


def is_storable(text: str) -> bool:
    """Whether the store gives the text back as it is: something, without NUL and without halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return text != "" and "\0" not in text
