"""The live hub: the newest annotated picture of each stream, drawn once for all viewers.

Each stream has one frame, whose picture is drawn by the thread of the first viewer that needs it: what nobody watches
is not drawn. A viewer takes the newest frame when it can, so a slow one skips frames and delays nobody, and memory
does not grow with viewers.
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
    first: int  # sequence of its first frame: earlier ones were erased
    partition: TopicPartition | None = None
    latency_s: float = 0.0
    published: deque[float] = field(default_factory=lambda: deque(maxlen=1000))  # monotonic seconds

    def put(self, frame: LiveFrame, now_s: float, partition: TopicPartition | None, latency_s: float) -> None:
        while self.published and now_s - self.published[0] > _FPS_WINDOW_S:
            self.published.popleft()
        self.published.append(now_s)
        self.newest = frame
        self.partition, self.latency_s = partition, latency_s
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
    """A stream and its newest frame.

    Attributes:
        stream: its name.
        frame: number of the newest frame in its run.
        time_us: capture time of that frame, microseconds since 1970 UTC.
        age_s: seconds from that capture until now.
        frames_per_second: published over the last three seconds.
        labels: smoothed over time as on the picture.
        latency_ms: from the capture of that frame until it was published.
        lag: frames that wait in its partition, or None while the broker does not answer.
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
    """The newest frames, and the viewers that wait for the next ones.

    At most 256 streams: one more replaces the one that was published longest ago.

    Args:
        max_viewers: viewers at a time.
        clock: seconds that never jump: rates, and whether a stream is alive, go by it.
        wall: seconds since 1970 UTC: ages of frames go by it.
        lags: gives the frames that wait in each partition, as far as that is known.
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
        self._partitions: Collection[TopicPartition] | None = None
        self._sequence = 0
        self._viewers = 0
        self._closed = False
        # One lock for all; beside this condition each slot has its own, so that a frame wakes only its viewers.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def publish(
        self,
        stream: str,
        number: int,
        time_us: int,
        labels: tuple[str, ...],
        render: Callable[[], bytes],
        partition: TopicPartition | None = None,
    ) -> None:
        """Make this the newest frame of its stream, unless its partition is another worker's by now.

        Args:
            stream: name of the stream.
            number: of the frame in its run.
            time_us: capture time, microseconds since 1970 UTC.
            labels: seen in it.
            render: draws the annotated picture as a JPEG file; called at most once, by a viewer's thread.
            partition: topic and partition it came from.
        """
        now_s, latency_s = self._clock(), self._wall() - time_us / 1e6
        with self._lock:
            if not self._is_ours(partition):
                return
            self._sequence += 1
            frame = LiveFrame(self._sequence, stream, number, time_us, labels, render)
            slot = self._slots.pop(stream, None) or _Slot(frame, threading.Condition(self._lock), frame.sequence)
            slot.put(frame, now_s, partition, max(0.0, latency_s))
            self._slots[stream] = slot  # last in the dict: the most recently published
            if len(self._slots) > _MAX_STREAMS:
                self._drop([next(iter(self._slots))])
            self._changed.notify_all()

    def show_only(self, partitions: Collection[TopicPartition]) -> None:
        """Drop all streams but those of these partitions, and take no others: another worker shows them."""
        with self._lock:
            self._partitions = frozenset(partitions)
            self._drop(name for name, slot in self._slots.items() if not self._is_ours(slot.partition))

    def erase(self, where: EventFilter, idle_only: bool = False) -> None:
        """Drop each stream whose newest frame was erased; it comes back with its next frame.

        Args:
            where: what was erased. Its label is ignored: a picture shows all labels.
            idle_only: drop only streams of which no frame was published in the last five seconds.
        """
        now_s = self._clock()
        with self._lock:
            self._drop(
                name
                for name, slot in self._slots.items()
                if where.stream in {None, name} and slot.lies_in(where) and not (idle_only and slot.alive(now_s))
            )

    def newest(self, stream: str) -> LiveFrame | None:
        """The newest frame of the stream, or None where it has none."""
        with self._lock:
            slot = self._slots.get(stream)
            return slot.newest if slot else None

    def wait_newer(self, stream: str | None, seen: int, timeout_s: float) -> LiveFrame | None:
        """Wait for a frame newer than ``seen``; None after the timeout, or when the hub closes.

        Args:
            stream: its name; None for the stream published last.
            seen: sequence of the viewer's last frame, 0 for none.
            timeout_s: seconds to wait at most.
        """
        ends_s = time.monotonic() + timeout_s
        with self._lock:
            while not (self._closed or self._is_newer(stream, seen)) and (left_s := ends_s - time.monotonic()) > 0:
                slot = self._slots.get(stream) if stream is not None else None  # each time: it may be dropped
                (slot.changed if slot else self._changed).wait(left_s)
            return self._of(stream) if self._is_newer(stream, seen) and not self._closed else None

    def is_current(self, frame: LiveFrame) -> bool:
        """Whether this frame may still be shown: its stream was not dropped since."""
        with self._lock:
            slot = self._slots.get(frame.stream)
            return slot is not None and slot.first <= frame.sequence

    def is_alive(self, stream: str) -> bool:
        """Whether a frame of the stream was published in the last five seconds."""
        with self._lock:
            return self._alive(stream, self._clock())

    def pick(self) -> str | None:
        """The stream to show where none is named: the first alive by name, else the one published last."""
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
                    lag=lags.get(slot.partition) if slot.partition else None,
                    ended=is_upload(name) and now_s - slot.published[-1] > _ENDED_S,
                )
                for name, slot in sorted(self._slots.items())
            ]

    @contextmanager
    def viewer(self) -> Iterator[None]:
        """Count a viewer.

        Raises:
            CapacityExceeded: there are too many.
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
        """Whether no more frames come."""
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

    def _is_ours(self, partition: TopicPartition | None) -> bool:
        return partition is None or self._partitions is None or partition in self._partitions

    def _drop(self, streams: Iterable[str]) -> None:
        for name in list(streams):
            self._slots.pop(name).changed.notify_all()  # its viewers now wait as for a stream that has no frame yet

    def _of(self, stream: str | None) -> LiveFrame | None:
        name = stream if stream is not None else next(reversed(self._slots), None)
        slot = self._slots.get(name) if name is not None else None
        return slot.newest if slot else None

    def _is_newer(self, stream: str | None, seen: int) -> bool:
        frame = self._of(stream)
        return frame is not None and frame.sequence > seen
