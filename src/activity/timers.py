"""One rule on one stream, by the time that counts: exactly when it comes to be broken, and when it no longer is.

A timer hears now and then for how long its label was seen. It computes the moments at which a breach begins and ends
and does not take them from the frames: so they are the same however the frames fall, also when some of them come once
more after a restart.
"""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from collections import deque
from typing import ClassVar, Final

NEVER: Final = 2**63 - 1
_MAX_PIECES: Final = 1024


class Timer(ABC):
    """Whether a rule is broken on a stream. All times are microseconds since 1970 UTC.

    Each call goes on from the time at which the one before ended.

    Attributes:
        counts_unseen: whether ``unseen`` is called; else time out of sight is a pause, too.
        since_us: start of the latest piece of time that counts.
        end_us: its end so far.
        broken_us: when the rule came to be broken; None while it is not.
        ended_us: when the last breach was over; read after the call that ended it.
    """

    __slots__ = ("broken_us", "end_us", "ended_us", "since_us")

    counts_unseen: ClassVar[bool] = False

    def __init__(self) -> None:
        self.since_us = self.end_us = 0
        self.broken_us: int | None = None
        self.ended_us = 0

    @abstractmethod
    def seen(self, first_us: int, last_us: int) -> None:
        """The label was in sight all that time, inside the rule's hours."""

    @abstractmethod
    def pause(self, last_us: int) -> None:
        """Until then, nothing counted: out of sight, outside the rule's hours, or the stream stood still."""

    def unseen(self, first_us: int, last_us: int) -> None:
        """The label was out of sight all that time, inside the rule's hours, while frames came."""
        raise NotImplementedError

    def counted_us(self) -> int:
        """Time that counts against the rule by now."""
        return self.end_us - self.since_us

    @abstractmethod
    def due_us(self) -> int:
        """Before this time nothing changes, as long as the label stays in or out of sight as it is."""


class StretchTimer(Timer):
    """Whether one unbroken piece of time gets as long as is too much; any length, for a need of 0."""

    __slots__ = ("_growing", "_need_us")

    def __init__(self, need_s: float) -> None:
        super().__init__()
        self._need_us = round(need_s * 1_000_000)
        self._growing = False

    def seen(self, first_us: int, last_us: int) -> None:
        """The stretch begins or goes on."""
        if not self._growing:
            self._growing = True
            self.since_us = first_us
        self.end_us = last_us
        if self.broken_us is None and last_us - self.since_us >= self._need_us:
            self.broken_us = self.since_us + self._need_us

    def pause(self, last_us: int) -> None:  # noqa: ARG002
        """The stretch is over, and the breach with it."""
        self._growing = False
        if self.broken_us is not None:
            self.broken_us = None
            self.ended_us = self.end_us

    def due_us(self) -> int:
        """When the stretch is long enough."""
        return self.since_us + self._need_us if self._growing and self.broken_us is None else NEVER


class WindowTimer(Timer):
    """Whether the time adds up, within a sliding window, to as much as is too much."""

    __slots__ = ("_growing", "_need_us", "_now_us", "_pieces", "_total_us", "_within_us")

    def __init__(self, need_s: float, within_s: float) -> None:
        super().__init__()
        self._need_us = round(need_s * 1_000_000)
        self._within_us = round(within_s * 1_000_000)
        self._growing = False
        self._pieces: deque[tuple[int, int]] = deque()  # that reach into the window, the growing one last
        self._total_us = 0  # of the pieces, whole
        self._now_us = 0

    def seen(self, first_us: int, last_us: int) -> None:
        """The sum grows."""
        if not self._growing:
            self._growing = True
            self.since_us = first_us
            self._pieces.append((first_us, first_us))
        self._total_us += last_us - self._pieces[-1][1]
        self._pieces[-1] = self.since_us, last_us
        self.end_us = last_us
        if self.broken_us is None and self._sum_us(last_us) >= self._need_us:
            # Never less while it grows: the old end of the window loses no more than the new end gains.
            moments = range(first_us, last_us + 1)
            self.broken_us = moments[bisect.bisect_left(moments, self._need_us, key=self._sum_us)]
        self._forget(last_us)

    def pause(self, last_us: int) -> None:
        """The window goes on without anything new in it, which may end the breach."""
        if self._growing:
            self._growing = False
            if self._pieces[-1][0] == self._pieces[-1][1]:
                self._pieces.pop()
            elif len(self._pieces) > _MAX_PIECES:
                self._coarsen()
        if self.broken_us is not None and self._falls_us() < last_us:
            self.ended_us = self._falls_us()
            self.broken_us = None
        self._forget(last_us)

    def counted_us(self) -> int:
        """The sum by now."""
        return self._sum_us(self._now_us)

    def due_us(self) -> int:
        """When the sum is enough, or no longer."""
        if self._growing:
            return self._now_us + self._need_us - self._sum_us(self._now_us) if self.broken_us is None else NEVER
        return NEVER if self.broken_us is None else self._falls_us() + 1

    def _sum_us(self, at_us: int) -> int:
        """Time of the pieces inside the window that ends at a time, no earlier than what was forgotten."""
        start_us = at_us - self._within_us
        if not self._pieces or at_us < self._pieces[-1][1] or self._pieces[0][1] <= start_us:
            return sum(max(0, min(last, at_us) - max(first, start_us)) for first, last in self._pieces)
        return self._total_us - max(0, start_us - self._pieces[0][0])

    def _falls_us(self) -> int:
        """The last moment at which the sum is enough, where it is now and nothing is added."""
        need_us = self._need_us
        for first, last in reversed(self._pieces):
            if last - first >= need_us:
                return last - need_us + self._within_us
            need_us -= last - first
        return self._now_us

    def _forget(self, now_us: int) -> None:
        """Drop what the window has left behind."""
        self._now_us = now_us
        while self._pieces and self._pieces[0][1] <= now_us - self._within_us and len(self._pieces) > self._growing:
            first, last = self._pieces.popleft()
            self._total_us -= last - first

    def _coarsen(self) -> None:
        """Join the pieces two by two, lengths kept: a label that flickers all day takes no more memory for it."""
        pieces = list(self._pieces)
        if len(pieces) % 2:
            pieces.insert(0, (pieces[0][0], pieces[0][0]))
        self._pieces = deque(
            (last - (last - first) - (left_last - left_first), last)
            for (left_first, left_last), (first, last) in zip(pieces[::2], pieces[1::2], strict=True)
        )
