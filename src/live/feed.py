"""Stored events and alerts for listeners, as they come.

The writer's thread only appends them to a list of bounded length; each listener's own thread takes what it wants from
there. So publishing takes as long for sixty listeners as for one, a slow listener misses what has left the list and
delays nobody, and memory does not grow with listeners.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, NamedTuple, TypeVar

from framewatch.errors import CapacityExceeded
from framewatch.model.alert import Alert
from framewatch.model.event import Event

T = TypeVar("T")

MAX_LISTENERS: Final = 64

_KEPT_EVENTS: Final = 4096  # without crops: a few megabytes, and some seconds of ten busy cameras
_KEPT_ALERTS: Final = 256
_EACH_S: Final = 1.0  # between two events of one stream and label
_PAUSE_S: Final = 0.25  # between two batches
_MAX_KEYS: Final = 1024  # streams and labels with their last event, before old ones are dropped


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters of a listener; None means any.

    Attributes:
        stream: name of the stream.
        label: of the event.
        min_confidence: of events, 0 to 1.
    """

    stream: str | None = None
    label: str | None = None
    min_confidence: float | None = None

    def event(self, event: Event) -> bool:
        """Whether this event is wanted."""
        sure = self.min_confidence is None or event.confidence >= self.min_confidence
        return sure and self._names(event.stream, event.label)

    def alert(self, alert: Alert) -> bool:
        """Whether this alert is wanted."""
        return self._names(alert.stream, alert.label)

    def _names(self, stream: str, label: str) -> bool:
        return self.stream in (None, stream) and self.label in (None, label)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a listener gets at once.

    Attributes:
        events: in the order they were stored, without crops.
        left_out: how many more there were since the last batch: more of the same a second, or missed.
        alerts: new ones, and ended ones.
    """

    events: Sequence[Event]
    left_out: int
    alerts: Sequence[Alert]


class _Published(NamedTuple):
    at_s: float  # of the feed's clock
    event: Event


class Feed:
    """Stored events and alerts for at most 64 listeners."""

    def __init__(self, max_listeners: int = MAX_LISTENERS, clock: Callable[[], float] = time.monotonic) -> None:
        """Have no listener yet.

        Args:
            max_listeners: listeners at a time.
            clock: seconds that never jump.
        """
        self._max_listeners = max_listeners
        self._clock = clock
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._listeners = 0
        self._waiting = 0
        self._ended = threading.Event()
        self._events: deque[_Published] = deque(maxlen=_KEPT_EVENTS)
        self._alerts: deque[Alert] = deque(maxlen=_KEPT_ALERTS)
        self._events_ever = 0
        self._alerts_ever = 0

    def publish(self, events: Sequence[Event]) -> None:
        """Publish events of a frame that are stored. Takes microseconds, however many listen."""
        if not self._listeners or not events:  # read without the lock: a listener that came just now may miss these
            return
        at_s = self._clock()
        published = [_Published(at_s, replace(event, crop=b"")) for event in events]
        with self._lock:
            self._events.extend(published)
            self._events_ever += len(published)
            self._wake()

    def publish_alert(self, alert: Alert) -> None:
        """Publish an alert that is stored, or has ended."""
        with self._lock:
            if self._listeners:
                self._alerts.append(alert)
                self._alerts_ever += 1
                self._wake()

    @contextmanager
    def listener(self, wanted: Wanted) -> Iterator[Listener]:
        """A listener to all that comes from now on.

        Raises:
            CapacityExceeded: there are too many.
        """
        with self._lock:
            if self._listeners >= self._max_listeners:
                raise CapacityExceeded(f"{self._max_listeners} are listening already")
            self._listeners += 1
            made = Listener(self, wanted, self._events_ever, self._alerts_ever)
        try:
            yield made
        finally:
            with self._lock:
                self._listeners -= 1
                if not self._listeners:
                    self._events.clear()
                    self._alerts.clear()

    @property
    def listeners(self) -> int:
        """How many are listening."""
        return self._listeners

    @property
    def closed(self) -> bool:
        """Whether nothing more comes."""
        return self._ended.is_set()

    def close(self) -> None:
        """End every listener's wait."""
        with self._lock:
            self._ended.set()
            self._changed.notify_all()

    def _wake(self) -> None:
        if self._waiting:
            self._changed.notify_all()

    def _wait_beyond(self, events_ever: int, alerts_ever: int, timeout_s: float) -> None:
        """Until there are more than these, for a listener."""
        with self._lock:
            self._waiting += 1
            try:
                self._changed.wait_for(
                    lambda: self.closed or self._events_ever > events_ever or self._alerts_ever > alerts_ever,
                    max(0.0, timeout_s),
                )
            finally:
                self._waiting -= 1

    def _rest(self, seconds: float) -> None:
        if seconds > 0:
            self._ended.wait(seconds)

    def _since(self, events_ever: int, alerts_ever: int) -> tuple[list[_Published], int, list[Alert], int]:
        """What came after these that is still there, and how many there ever were."""
        with self._lock:
            return (
                _last(self._events, self._events_ever - events_ever),
                self._events_ever,
                _last(self._alerts, self._alerts_ever - alerts_ever),
                self._alerts_ever,
            )


class Listener:
    """A listener, for one thread."""

    def __init__(self, feed: Feed, wanted: Wanted, events_ever: int, alerts_ever: int) -> None:
        self._feed = feed
        self._wanted = wanted
        self._events_ever = events_ever
        self._alerts_ever = alerts_ever
        self._last_s: dict[tuple[str, str], float] = {}
        self._left_out = 0
        self._taken_s = -_PAUSE_S

    def next(self, timeout_s: float) -> Batch | None:
        """Wait for what came since the last call; None after the timeout, or when the feed closes.

        At most four batches a second, and in them one event a second of each stream and label.

        Args:
            timeout_s: seconds to wait at most.
        """
        feed, clock = self._feed, self._feed._clock
        deadline = clock() + timeout_s
        while not feed.closed:
            # It wakes no more often than this even where all that comes is left out.
            feed._rest(min(self._taken_s + _PAUSE_S, deadline) - clock())
            feed._wait_beyond(self._events_ever, self._alerts_ever, deadline - clock())
            batch, self._taken_s = self._take(), clock()
            if batch.events or batch.alerts:
                self._left_out = 0
                return batch
            if clock() >= deadline:
                return None
        return None

    def _take(self) -> Batch:
        published, events_ever, alerts, self._alerts_ever = self._feed._since(self._events_ever, self._alerts_ever)
        self._left_out += events_ever - self._events_ever - len(published)
        self._events_ever = events_ever
        events = []
        for at_s, event in published:
            if not self._wanted.event(event):
                continue
            if self._is_due(event, at_s):
                events.append(event)
            else:
                self._left_out += 1
        return Batch(events, self._left_out, [alert for alert in alerts if self._wanted.alert(alert)])

    def _is_due(self, event: Event, at_s: float) -> bool:
        key = (event.stream, event.label)
        last_s = self._last_s.get(key)
        if last_s is not None and at_s - last_s < _EACH_S:
            return False
        if len(self._last_s) >= _MAX_KEYS:
            self._last_s = {key: then for key, then in self._last_s.items() if at_s - then < _EACH_S}
        self._last_s[key] = at_s
        return True


def _last(kept: deque[T], n: int) -> list[T]:
    """The last n of them, or all where there are fewer."""
    return list(islice(reversed(kept), n))[::-1]
