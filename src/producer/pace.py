"""When to send the next frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

MAX: Final = "max"
NATIVE: Final = "native"

_TOO_LATE_S: Final = 1.0


class Pacer:
    """Lets through so many frames a second, at even distances.

    A file is waited with. Of a live source the pictures nearest to their time are let through at once and the others
    left out: held back, a picture would be old when it goes, and the next one late. Once more than a second behind,
    it starts counting anew rather than catching up in a burst.

    Args:
        fps: frames a second, or None for all as they come.
        live: whether the source goes on by itself.
        clock: seconds, from any start.
        sleep: waits the given seconds; may return early.
    """

    def __init__(
        self,
        fps: float | None,
        live: bool,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._interval_s = 1.0 / fps if fps else 0.0
        self._live = live
        self._clock = clock
        self._sleep = sleep
        self._due: float | None = None

    def admit(self) -> bool:
        """Whether the picture at hand is to be sent; returns when it is time for it."""
        if not self._interval_s:
            return True
        now = self._clock()
        if self._due is None:
            self._due = now
        if self._live:
            if now < self._due - self._interval_s / 2:
                return False
        elif now < self._due:
            self._sleep(self._due - now)
        self._due = now if now > self._due + _TOO_LATE_S else self._due
        self._due += self._interval_s
        return True


def rate(wanted: str | float, native: float | None) -> float | None:
    """Frames a second for the option's value, or None for as fast as possible."""
    if wanted == MAX:
        return None
    return native if wanted == NATIVE else float(wanted)
