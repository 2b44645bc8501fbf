"""Erases from the live hub what a command or another worker has deleted from the store.

A worker that deletes erases from its own hub at once. In the others' hubs an idle stream would keep its picture for
ever, so a thread asks the store now and then, apart from the processing of frames.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from framewatch.errors import StoreRefused, StoreUnavailable
from framewatch.live.hub import LiveHub
from framewatch.model.filters import EventFilter
from framewatch.model.names import is_upload

_log = logging.getLogger(__name__)

_EVERY_S: Final = 5.0
_BACK_US: Final = 60_000_000  # clocks differ, and a stream may have been alive at the last poll


class ErasureWatcher:
    """One thread that erases from the hub what was deleted elsewhere, and what is older than the retention."""

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
            hub: of the live pictures.
            erased_after: gives the periods erased at this time or later, microseconds since 1970 UTC, each with
                whether the erasing itself was its end; raises StoreUnavailable.
            retention_us: microseconds after which all is deleted.
            every_s: seconds between two polls.
            wall: seconds since 1970 UTC.
        """
        self._hub, self._erased_after, self._retention_us = hub, erased_after, retention_us
        self._every_s = every_s
        self._wall = wall
        self._polled_us = self._now_us()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="erasure", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; one that waits for the store ends by itself."""
        self._stop.set()
        self._thread.join(1)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._poll()
            except (StoreRefused, StoreUnavailable) as error:
                _log.debug("erased periods: %s", error)  # asked for again, from the last answer on

    def _poll(self) -> None:
        now_us = self._now_us()
        # Streams that are alive show their next frame anyway, perhaps of a recording that is sent again.
        self._hub.erase(EventFilter(until_us=now_us - self._retention_us), idle_only=True)
        for where, to_its_end in self._erased_after(self._polled_us - _BACK_US):
            self._hub.erase(_whole(where) if to_its_end else where, idle_only=True)
        self._polled_us = now_us

    def _now_us(self) -> int:
        return round(self._wall() * 1_000_000)


def _whole(where: EventFilter) -> EventFilter:
    """The period with its end: frames of an upload may be later than the moment it was erased, and all are erased."""
    whole = where.stream is not None and is_upload(where.stream) and not where.since_us
    return EventFilter(where.stream) if whole else where
