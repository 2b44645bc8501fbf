"""Hours of the day in a time zone, as periods of time: right also when clocks are set forward or back."""

from __future__ import annotations

import bisect
import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from framewatch.activity.spans import Span, joined

US_PER_SECOND: Final = 1_000_000
_DAY_S: Final = 86_400
_HOURS: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*[-\u2013]\s*([0-9]{1,2}):([0-9]{2})")  # also with an en dash


def parse_hours(text: str) -> tuple[int, int]:
    """Seconds of the day at which the hours begin and end; the end comes first where they wrap midnight.

    >>> parse_hours("22:00-06:00")
    (79200, 21600)

    Raises:
        ValueError: the text is no such hours.
    """
    found = _HOURS.fullmatch(text.strip())
    if not found:
        raise ValueError("expected hours such as 22:00-06:00")
    first, last = (int(found[at]) * 3600 + int(found[at + 1]) * 60 for at in (1, 3))
    if int(found[2]) > 59 or int(found[4]) > 59 or first >= _DAY_S or last > _DAY_S:
        raise ValueError("expected hours from 00:00 to 24:00, such as 22:00-06:00")
    if first == last:
        raise ValueError("expected an end other than the start; all day is 00:00-24:00")
    return first, last


class Hours:
    """The periods during which a clock on the wall shows one of the given hours."""

    def __init__(self, hours: Sequence[tuple[int, int]], zone: ZoneInfo | None) -> None:
        """Hours of every day.

        Args:
            hours: seconds of the day at which each begins and ends, as parse_hours gives them.
            zone: of the clock; None is the zone of this machine.
        """
        self._zone = zone
        self._hours = tuple(sorted(part for first, last in hours for part in _unwrapped(first, last)))
        # Several streams go through the same day at the same time, or through a few of them.
        self._inside_of_day = lru_cache(maxsize=16)(self._find_inside_of_day)

    def spans(self, first_us: int, last_us: int) -> Iterator[Span]:
        """The parts of a period inside the hours, in order; two can touch each other.

        Args:
            first_us: start of the period, microseconds since 1970 UTC; a moment is a period, too.
            last_us: end of the period. A part of no length stands for a moment inside the hours.
        """
        for day in range(first_us // (_DAY_S * US_PER_SECOND), last_us // (_DAY_S * US_PER_SECOND) + 1):
            for start_us, end_us in self._inside_of_day(day):
                low, high = max(first_us, start_us), min(last_us, end_us)
                if low <= high and low < end_us:
                    yield low, high

    def next_edge(self, after_us: int) -> int:
        """A time after the given one until which no hours begin or end: at most the end of the day in UTC."""
        day = after_us // (_DAY_S * US_PER_SECOND)
        edges = (edge for span in self._inside_of_day(day) for edge in span if edge > after_us)
        return min(edges, default=(day + 1) * _DAY_S * US_PER_SECOND)

    def _find_inside_of_day(self, day: int) -> tuple[Span, ...]:
        """The periods inside the hours on a day of UTC, counted from 1970; microseconds."""
        found: list[Span] = []
        for start_s, end_s, offset_s in self._offsets(day * _DAY_S):
            for local in range((start_s + offset_s) // _DAY_S, (end_s + offset_s) // _DAY_S + 1):
                for first, last in self._hours:
                    low = max(start_s, local * _DAY_S + first - offset_s)
                    high = min(end_s, local * _DAY_S + last - offset_s)
                    if low < high:
                        found.append((low, high))
        return tuple((low * US_PER_SECOND, high * US_PER_SECOND) for low, high in joined(found))

    def _offsets(self, start_s: int) -> list[tuple[int, int, int]]:
        """Parts of a day of UTC with the seconds by which the clock is ahead of it; one change a day at most."""
        end_s = start_s + _DAY_S
        before, after = self._offset(start_s), self._offset(end_s - 1)
        if before == after:
            return [(start_s, end_s, before)]
        change_s = start_s + bisect.bisect_left(
            range(start_s, end_s), True, key=lambda at: self._offset(at) != before
        )
        return [(start_s, change_s, before), (change_s, end_s, after)]

    def _offset(self, at_s: int) -> int:
        try:
            if self._zone is None:
                return time.localtime(at_s).tm_gmtoff
            offset = datetime.fromtimestamp(at_s, UTC).astimezone(self._zone).utcoffset()
        except (ValueError, OverflowError, OSError):  # at the ends of time, which some camera's clock will show
            return 0
        return 0 if offset is None else round(offset.total_seconds())


def _unwrapped(first: int, last: int) -> list[tuple[int, int]]:
    """The hours as parts of one day, none of which wraps midnight."""
    if first < last:
        return [(first, last)]
    return [(first, _DAY_S), *([(0, last)] if last else [])]
