"""What is older than the retention, deleted once an hour on a thread of its own: frames do not wait for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from framewatch.errors import StoreRefused, StoreUnavailable

_log = logging.getLogger(__name__)

_EVERY_S: Final = 3600.0


class Pruner:
    """Deletes what is older than the retention, at the start and then once an hour."""

    def __init__(self, prunes: Sequence[Callable[[int], int]], retention_us: int, every_s: float = _EVERY_S) -> None:
        """Start the thread.

        Args:
            prunes: each deletes what is older than the time it is given, microseconds since 1970 UTC, a batch at a
                time, and returns how many; may raise StoreUnavailable or
                StoreRefused.
            retention_us: microseconds that all is kept.
            every_s: seconds between two rounds.
        """
        self._prunes = prunes
        self._retention_us = retention_us
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pruner", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End after the batch in hand; a round that lasts longer goes on at the next start."""
        self._stop.set()
        self._thread.join(1)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._prune()
            self._stop.wait(self._every_s)

    def _prune(self) -> None:
        before_us = time.time_ns() // 1000 - self._retention_us
        deleted = 0
        for prune in self._prunes:
            try:
                deleted += prune(before_us)
            except (StoreUnavailable, StoreRefused) as error:
                _log.warning("%s; retried in an hour", error)
        if deleted:
            _log.info("deleted %d documents older than the retention", deleted)
