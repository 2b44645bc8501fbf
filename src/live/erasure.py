"""What others erased, no longer shown here: a command, or another worker that was told to delete.

A worker that is told to delete has its own hub forget at once. Of the others' a stream that stands still would keep
its picture for ever, so the store is asked now and then, beside the way of the frames.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from framewatch.errors import StoreUnavailable
from framewatch.live.hub import LiveHub
from framewatch.model.filters import EventFilter
from framewatch.model.names import is_upload

_log = logging.getLogger(__name__)

_EVERY_S: Final = 5.0
_BACK_US: Final = 60_000_000  # clocks differ, and a stream may have been alive at the last look


class Erasure:
    """One thread that has the hub forget what was erased elsewhere, and what is older than all that is kept."""

    def __init__(
        self,
        hub: LiveHub,
        erased_after: Callable[[int], Sequence[tuple[EventFilter, bool]]],
        retention_us: int,
        every_s: float = _EVERY_S,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Start the thread.

        Args:
            hub: that forgets.
            erased_after: gives the periods erased at this time or later, microseconds since 1970 UTC, each with
                whether the erasing itself was its end; raises StoreUnavailable.
            retention_us: microseconds after which all is deleted.
            every_s: seconds between two looks.
            wall: seconds since 1970 UTC.
        """
        self._hub, self._erased_after, self._retention_us = hub, erased_after, retention_us
        self._every_s = every_s
        self._wall = wall
        self._looked_us = self._now_us()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forgetting", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; one that waits for the store ends by itself."""
        self._stop.set()
        self._thread.join(1)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._look()
            except StoreUnavailable as error:
                _log.debug("what was erased: %s", error)  # looked for again, from the last answer on

    def _look(self) -> None:
        now_us = self._now_us()
        # Streams that are alive show their next frame anyway, perhaps of a recording sent once more.
        self._hub.forget(EventFilter(until_us=now_us - self._retention_us), still=True)
        for where, to_its_end in self._erased_after(self._looked_us - _BACK_US):
            self._hub.forget(_whole(where) if to_its_end else where, still=True)
        self._looked_us = now_us

    def _now_us(self) -> int:
        return round(self._wall() * 1_000_000)


def _whole(where: EventFilter) -> EventFilter:
    """What is erased ends with the erasing. Frames of an upload may lie beyond: all of one is erased at once."""
    whole = where.stream is not None and is_upload(where.stream) and not where.since_us
    return EventFilter(where.stream) if whole else where
