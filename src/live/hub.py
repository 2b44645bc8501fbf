"""The live hub: the newest annotated picture of each stream, made once and handed to every viewer.

A slot holds one frame, whose picture is made when the first viewer wants it, by that viewer's thread: nothing is
drawn or encoded for nobody. A viewer takes the newest when it can, so a slow one skips frames and holds up nobody,
and memory does not grow with viewers.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from framewatch.errors import CapacityExceeded
from framewatch.live.frame import LiveFrame
from framewatch.model.filters import EventFilter
from framewatch.model.frame import TopicPartition
from framewatch.model.names import is_upload

_MAX_STREAMS: Final = 256
_ALIVE_S: Final = 5.0
_ENDED_S: Final = 10.0
_FPS_WINDOW_S: Final = 3.0


@dataclass(slots=True)
class _Slot:
    newest: LiveFrame
    changed: threading.Condition
    first: int  # sequence of its first frame: what was shown before was forgotten
    place: TopicPartition | None = None
    latency_s: float = 0.0
    published: deque[float] = field(default_factory=lambda: deque(maxlen=1000))  # monotonic seconds

    def put(self, frame: LiveFrame, now_s: float, place: TopicPartition | None, latency_s: float) -> None:
        while self.published and now_s - self.published[0] > _FPS_WINDOW_S:
            self.published.popleft()
        self.published.append(now_s)
        self.newest = frame
        self.place, self.latency_s = place, latency_s
        self.changed.notify_all()

    def fps(self, now_s: float) -> float:
        return sum(now_s - t <= _FPS_WINDOW_S for t in self.published) / _FPS_WINDOW_S

    def alive(self, now_s: float) -> bool:
        return now_s - self.published[-1] < _ALIVE_S

    def lies_in(self, where: EventFilter) -> bool:
        time_us = self.newest.time_us
        after = where.since_us is None or where.since_us <= time_us
        return after and (where.until_us is None or time_us < where.until_us)


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """What a stream is at.

    Attributes:
        stream: its name.
        frame: number of the newest frame in its run.
        time_us: capture time of that frame, microseconds since 1970 UTC.
        age_s: seconds from that capture until now.
        frames_per_second: published over the last three seconds.
        labels: what is seen, steadied over time as on the picture.
        latency_ms: from the capture of that frame until it was shown.
        lag: frames that wait in the partition it came from, or None while the broker cannot be asked.
        ended: whether it is an upload of which no frame came for ten seconds: it has a page of its own.
    """

    stream: str
    frame: int
    time_us: int
    age_s: float
    frames_per_second: float
    labels: tuple[str, ...]
    latency_ms: float
    lag: int | None
    ended: bool


class LiveHub:
    """Newest frames, and whoever waits for the next.

    At most 256 streams: one more takes the place of the one that was published longest ago.

    Args:
        max_viewers: places for viewers.
        clock: seconds that never jump: rates, and whether a stream is alive, go by it.
        wall: seconds since 1970 UTC: ages of frames go by it.
        lags: frames that wait in each partition, as far as known.
    """

    def __init__(
        self,
        max_viewers: int,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        lags: Callable[[], Mapping[TopicPartition, int]] = dict,
    ) -> None:
        self._max_viewers = max_viewers
        self._clock = clock
        self._wall = wall
        self._lags = lags
        self._slots: dict[str, _Slot] = {}
        self._places: Collection[TopicPartition] | None = None
        self._sequence = 0
        self._viewers = 0
        self._closed = False
        # One lock for all; beside this condition each slot has its own, so that a frame wakes only who watches it.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def publish(
        self,
        stream: str,
        number: int,
        time_us: int,
        labels: tuple[str, ...],
        render: Callable[[], bytes],
        place: TopicPartition | None = None,
    ) -> None:
        """Show this frame from now on; one from a partition that is another worker's by now is not shown.

        Args:
            stream: name of the stream.
            number: of the frame in its run.
            time_us: capture time, microseconds since 1970 UTC.
            labels: what is seen.
            render: makes the annotated picture as a JPEG file; called at most once, by a viewer's thread.
            place: topic and partition it came from.
        """
        now_s, latency_s = self._clock(), self._wall() - time_us / 1e6
        with self._lock:
            if not self._shows(place):
                return
            self._sequence += 1
            frame = LiveFrame(self._sequence, stream, number, time_us, labels, render)
            slot = self._slots.pop(stream, None) or _Slot(frame, threading.Condition(self._lock), frame.sequence)
            slot.put(frame, now_s, place, max(0.0, latency_s))
            self._slots[stream] = slot  # last in the dict: the most recently published
            if len(self._slots) > _MAX_STREAMS:
                self._drop([next(iter(self._slots))])
            self._changed.notify_all()

    def show_only(self, places: Collection[TopicPartition]) -> None:
        """Show streams of these partitions from now on: those of others are another worker's to show."""
        with self._lock:
            self._places = frozenset(places)
            self._drop(name for name, slot in self._slots.items() if not self._shows(slot.place))

    def forget(self, where: EventFilter, still: bool = False) -> None:
        """Show no more what was erased: a stream whose newest frame lies in the period is not there until its next.

        Args:
            where: what was erased. Its label does not count: a picture shows all that was seen.
            still: only streams of which no picture was published in the last five seconds.
        """
        now_s = self._clock()
        with self._lock:
            self._drop(
                name
                for name, slot in self._slots.items()
                if where.stream in {None, name} and slot.lies_in(where) and not (still and slot.alive(now_s))
            )

    def newest(self, stream: str) -> LiveFrame | None:
        """The newest picture of the stream, or None when it has none."""
        with self._lock:
            slot = self._slots.get(stream)
            return slot.newest if slot else None

    def wait_newer(self, stream: str | None, seen: int, timeout_s: float) -> LiveFrame | None:
        """The newest picture once it is newer than ``seen``, or None after the time or when the hub closes.

        Args:
            stream: whose; without one, of the one published last.
            seen: sequence of the picture had last, 0 for none.
            timeout_s: seconds to wait at most.
        """
        ends_s = time.monotonic() + timeout_s
        with self._lock:
            while not (self._closed or self._is_newer(stream, seen)) and (left_s := ends_s - time.monotonic()) > 0:
                slot = self._slots.get(stream) if stream is not None else None  # each time: it may be forgotten
                (slot.changed if slot else self._changed).wait(left_s)
            return self._of(stream) if self._is_newer(stream, seen) and not self._closed else None

    def shows(self, frame: LiveFrame) -> bool:
        """Whether this picture may still be shown: its stream was not forgotten since."""
        with self._lock:
            slot = self._slots.get(frame.stream)
            return slot is not None and slot.first <= frame.sequence

    def is_alive(self, stream: str) -> bool:
        """Whether a picture of the stream was published in the last five seconds."""
        with self._lock:
            return self._alive(stream, self._clock())

    def pick(self) -> str | None:
        """The stream to show to somebody who names none: the first alive by name, else the last that was."""
        now_s = self._clock()
        with self._lock:
            alive = [name for name in self._slots if self._alive(name, now_s)]
            return min(alive) if alive else next(reversed(self._slots), None)

    def streams(self) -> list[StreamStatus]:
        """All streams, by name."""
        now_s, wall_s, lags = self._clock(), self._wall(), self._lags()
        with self._lock:
            return [
                StreamStatus(
                    stream=name,
                    frame=slot.newest.number,
                    time_us=slot.newest.time_us,
                    age_s=round(max(0.0, wall_s - slot.newest.time_us / 1e6), 3),
                    frames_per_second=round(slot.fps(now_s), 1),
                    labels=slot.newest.labels,
                    latency_ms=round(1000 * slot.latency_s, 1),
                    lag=lags.get(slot.place) if slot.place else None,
                    ended=is_upload(name) and now_s - slot.published[-1] > _ENDED_S,
                )
                for name, slot in sorted(self._slots.items())
            ]

    @contextmanager
    def viewer(self) -> Iterator[None]:
        """A place among the viewers.

        Raises:
            CapacityExceeded: all are taken.
        """
        with self._lock:
            if self._viewers >= self._max_viewers:
                raise CapacityExceeded(f"{self._max_viewers} viewers are watching already")
            self._viewers += 1
        try:
            yield
        finally:
            with self._lock:
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
        with self._lock:
            self._closed = True
            for changed in (self._changed, *(slot.changed for slot in self._slots.values())):
                changed.notify_all()

    def _alive(self, stream: str, now_s: float) -> bool:
        slot = self._slots.get(stream)
        return slot is not None and slot.alive(now_s)

    def _shows(self, place: TopicPartition | None) -> bool:
        return place is None or self._places is None or place in self._places

    def _drop(self, streams: Iterable[str]) -> None:
        for name in list(streams):
            self._slots.pop(name).changed.notify_all()  # who waits there waits for it as for one that never was

    def _of(self, stream: str | None) -> LiveFrame | None:
        name = stream if stream is not None else next(reversed(self._slots), None)
        slot = self._slots.get(name) if name is not None else None
        return slot.newest if slot else None

    def _is_newer(self, stream: str | None, seen: int) -> bool:
        frame = self._of(stream)
        return frame is not None and frame.sequence > seen
