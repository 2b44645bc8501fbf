"""The live hub: the newest annotated picture of each stream, made once and handed to every viewer.

A slot holds one ready-made part. A viewer takes the newest when it can, so a slow one skips frames and holds up
nobody, and memory does not grow with viewers.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from errors import FramewatchError

BOUNDARY: Final = "framewatch"
OPENING: Final = f"--{BOUNDARY}\r\n".encode()

_MAX_STREAMS: Final = 256
_ALIVE_S: Final = 5.0
_FPS_WINDOW_S: Final = 3.0


class TooManyViewers(FramewatchError):
    """Every place for a viewer is taken."""


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """The newest picture of a stream.

    Attributes:
        sequence: grows with every frame published, over all streams.
        stream: name of the stream.
        number: of the frame in its run.
        time_us: capture time, microseconds since 1970 UTC.
        labels: what was seen.
        jpeg: the annotated picture.
        part: the picture as a part of a multipart/x-mixed-replace answer, closed by the next boundary: a browser
            paints a part only once it has seen that.
    """

    sequence: int
    stream: str
    number: int
    time_us: int
    labels: tuple[str, ...]
    jpeg: bytes
    part: bytes


@dataclass(slots=True)
class _Slot:
    newest: LiveFrame
    published: deque[float]

    def fps(self, now_s: float) -> float:
        recent = [t for t in self.published if now_s - t <= _FPS_WINDOW_S]
        return len(recent) / _FPS_WINDOW_S


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """What a stream is at."""

    stream: str
    frame: int
    time_us: int
    age_s: float
    frames_per_second: float
    labels: tuple[str, ...]


class LiveHub:
    """Newest frames, and whoever waits for the next."""

    def __init__(self, max_viewers: int, clock: Callable[[], float] = time.time) -> None:
        self._max_viewers = max_viewers
        self._clock = clock
        self._slots: dict[str, _Slot] = {}
        self._sequence = 0
        self._viewers = 0
        self._closed = False
        self._changed = threading.Condition()

    def publish(self, stream: str, number: int, time_us: int, labels: tuple[str, ...], jpeg: bytes) -> None:
        """Show this picture from now on."""
        head = (
            f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n"
            f"X-Timestamp: {time_us / 1e6:.6f}\r\nX-Frame: {number}\r\n\r\n"
        )
        part = head.encode() + jpeg + b"\r\n" + OPENING
        now_s = self._clock()
        with self._changed:
            self._sequence += 1
            frame = LiveFrame(self._sequence, stream, number, time_us, labels, jpeg, part)
            slot = self._slots.pop(stream, None) or _Slot(frame, deque(maxlen=1000))
            slot.newest = frame
            slot.published.append(now_s)
            self._slots[stream] = slot  # last in the dict: the most recently published
            if len(self._slots) > _MAX_STREAMS:
                del self._slots[next(iter(self._slots))]
            self._changed.notify_all()

    def newest(self, stream: str) -> LiveFrame | None:
        """The newest picture of the stream, or None when it has none."""
        with self._changed:
            slot = self._slots.get(stream)
            return slot.newest if slot else None

    def wait_newer(self, stream: str | None, seen: int, timeout_s: float) -> LiveFrame | None:
        """The newest picture once it is newer than ``seen``, or None after the time or when the hub closes.

        Without a stream: of the one published last.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._is_newer(stream, seen), timeout_s)
            if self._closed or not self._is_newer(stream, seen):
                return None
            return self._of(stream)

    def is_alive(self, stream: str) -> bool:
        """Whether a picture of the stream was published in the last seconds."""
        with self._changed:
            return self._alive(stream, self._clock())

    def pick(self) -> str | None:
        """The stream to show to somebody who names none: the first alive by name, else the last that was."""
        now_s = self._clock()
        with self._changed:
            alive = [name for name in self._slots if self._alive(name, now_s)]
            return min(alive) if alive else next(reversed(self._slots), None)

    def streams(self) -> list[StreamStatus]:
        """All streams, by name."""
        now_s = self._clock()
        with self._changed:
            return [
                StreamStatus(
                    stream=name,
                    frame=slot.newest.number,
                    time_us=slot.newest.time_us,
                    age_s=round(max(0.0, now_s - slot.newest.time_us / 1e6), 3),
                    frames_per_second=round(slot.fps(now_s), 1),
                    labels=slot.newest.labels,
                )
                for name, slot in sorted(self._slots.items())
            ]

    @contextmanager
    def viewer(self) -> Iterator[None]:
        """A place among the viewers.

        Raises:
            TooManyViewers: all are taken.
        """
        with self._changed:
            if self._viewers >= self._max_viewers:
                raise TooManyViewers(f"{self._max_viewers} viewers are watching already")
            self._viewers += 1
        try:
            yield
        finally:
            with self._changed:
                self._viewers -= 1

    @property
    def viewers(self) -> int:
        """How many are watching."""
        return self._viewers

    @property
    def closed(self) -> bool:
        """Whether no more pictures come."""
        return self._closed

    def close(self) -> None:
        """End every viewer's wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _alive(self, stream: str, now_s: float) -> bool:
        slot = self._slots.get(stream)
        return slot is not None and now_s - slot.published[-1] < _ALIVE_S

    def _of(self, stream: str | None) -> LiveFrame | None:
        name = stream if stream is not None else next(reversed(self._slots), None)
        slot = self._slots.get(name) if name is not None else None
        return slot.newest if slot else None

    def _is_newer(self, stream: str | None, seen: int) -> bool:
        frame = self._of(stream)
        return frame is not None and frame.sequence > seen
