"""A frame: one picture of a stream; and the partition that it is read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a stream.

    Attributes:
        stream: name of the stream.
        run: id of the producer's run; frame numbers start anew in each.
        number: of the frame in its run, from 0.
        time_us: capture time, microseconds since 1970 UTC.
        width: pixels.
        height: pixels.
        jpeg: the picture as a JPEG file.
        name: of the file that the picture is, such as ``1.png``; None for one of a video or camera.
    """

    stream: str
    run: str
    number: int
    time_us: int
    width: int
    height: int
    jpeg: bytes
    name: str | None = None

    @property
    def label(self) -> str:
        """Name for logs and files, such as ``door #12``."""
        return f"{self.stream} #{self.number}"
