"""How far a recording may be ahead of those who classify it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from framewatch.producer.publisher import Summary

_ASK_EACH_S: Final = 0.2


class Backpressure:
    """Says when a source that could be sent at once is to wait for the workers.

    What lies on a partition is classified in turn: without it, a camera's frames would wait behind all of a long
    video.
    """

    def __init__(
        self, most: int, committed: Callable[[int], int | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Ask for the group's offset at most a few times a second.

        Args:
            most: frames of its partition, from the source's first one on, that are not classified yet.
            committed: the group's offset on a partition; None where it has none, or Kafka does not answer.
            clock: seconds, from any start.
        """
        self._most = most
        self._committed = committed
        self._clock = clock
        self._asked_s = -_ASK_EACH_S
        self._done: int | None = None

    def is_too_far(self, summary: Summary) -> bool:
        """Whether the next picture is to wait."""
        if self._waiting(summary) < self._most:
            return False
        if summary.partition is not None and self._clock() - self._asked_s >= _ASK_EACH_S:
            self._done = self._committed(summary.partition)
            self._asked_s = self._clock()
        return self._waiting(summary) >= self._most

    def _waiting(self, summary: Summary) -> int:
        unanswered = summary.frames_read - summary.delivered - summary.failed - summary.dropped
        if summary.first_offset is None or summary.last_offset is None:
            return unanswered
        done = summary.first_offset if self._done is None else max(self._done, summary.first_offset)
        return unanswered + max(0, summary.last_offset + 1 - done)
