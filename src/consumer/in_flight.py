"""How much a worker may have in flight: records that are not shown yet, and bytes of all that is not stored yet."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

# Frames of a camera are 50 kB, and then the counts bind; of 8K ones at 16 MB it is this.
_MAX_BYTES: Final = 192 * 1024 * 1024


class InFlightLimiter:
    """Counts records from consumed to shown to done; each step happens in the order consumed."""

    def __init__(self, max_waiting: int, max_bytes: int = _MAX_BYTES) -> None:
        """Nothing is in flight yet.

        Args:
            max_waiting: records consumed that are not shown yet.
            max_bytes: of records that are not done yet. The last one may go beyond it: none is too large to
                be taken in alone.
        """
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._waiting = 0
        self._sizes: deque[int] = deque()  # of what is not done with, oldest first
        self._bytes = 0
        self._changed = threading.Condition()

    def wait_for_capacity(self, timeout_s: float) -> bool:
        """Whether one more may be taken in, within the time. For the one thread that calls ``consumed``."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._waiting < self._max_waiting and self._bytes < self._max_bytes, timeout_s
            )

    def consumed(self, size: int) -> None:
        """A record of so many bytes has come in."""
        with self._changed:
            self._waiting += 1
            self._sizes.append(size)
            self._bytes += size

    def shown(self) -> None:
        """The oldest of those waiting has been shown."""
        with self._changed:
            self._waiting -= 1
            self._changed.notify_all()

    def done(self, n: int) -> None:
        """The n oldest are stored, or are dead letters."""
        with self._changed:
            for _ in range(n):
                self._bytes -= self._sizes.popleft()
            self._changed.notify_all()
