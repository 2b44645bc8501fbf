"""Figures of a worker, counted as they happen."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from prometheus_client import Histogram

_WINDOW_S: Final = 5.0
_SAMPLES: Final = 2000
_DETECT_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_LATENCY_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Stats:
    """Counters, recent rates and histograms of one worker; any thread may count and read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(
            ("received", "classified", "dead_letters", "dropped", "stored", "duplicates", "refused", "done"), 0
        )
        self._shown: deque[float] = deque(maxlen=_SAMPLES)
        self._detect_s: deque[float] = deque(maxlen=_SAMPLES)
        self._latency_s: deque[float] = deque(maxlen=_SAMPLES)
        # In no registry: a process may have several workers, as in tests.
        self._detect = Histogram(
            "framewatch_detect_seconds", "Time of the classifier for a frame", buckets=_DETECT_S, registry=None
        )
        self._latency = Histogram(
            "framewatch_latency_seconds", "Time from capture to shown", buckets=_LATENCY_S, registry=None
        )

    @property
    def histograms(self) -> tuple[Histogram, Histogram]:
        """Seconds of the classifier for a frame, and from capture to shown, since the start."""
        return self._detect, self._latency

    def count(self, what: str, n: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[what] += n

    def shown(self, detect_s: float, latency_s: float | None) -> None:
        """A frame has been classified and shown, so long after its capture; None where that says nothing."""
        with self._lock:
            self._counts["classified"] += 1
            self._shown.append(self._clock())
            self._detect_s.append(detect_s)
            if latency_s is not None:
                self._latency_s.append(latency_s)
        self._detect.observe(detect_s)
        if latency_s is not None:
            self._latency.observe(max(0.0, latency_s))  # clocks of other machines may be ahead

    def counts(self) -> dict[str, int]:
        """All counters."""
        with self._lock:
            return dict(self._counts)

    def frames_per_second(self) -> float:
        """Frames shown a second, over the last five."""
        now = self._clock()
        with self._lock:
            times = [t for t in self._shown if now - t <= _WINDOW_S]
        if len(times) == _SAMPLES:  # more came within the window than are remembered
            return _SAMPLES / max(now - times[0], 1e-9)
        return len(times) / _WINDOW_S

    def medians_ms(self) -> dict[str, float]:
        """Median detection time, and median time from capture to shown, of the last frames."""
        with self._lock:
            samples = {"detect_ms": list(self._detect_s), "latency_ms": list(self._latency_s)}
        return {name: round(1000 * statistics.median(s), 2) if s else 0.0 for name, s in samples.items()}
