"""Which events are meant: by stream, label and capture time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from storage.events import US_PER_MINUTE, Document

_LEAST, _MOST = -(2**63), 2**63 - 1  # what BSON holds


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; None means any.

    Attributes:
        stream: name of the stream.
        label: what was seen.
        since_us: capture time at or after, microseconds since 1970 UTC.
        until_us: capture time before.
    """

    stream: str | None = None
    label: str | None = None
    since_us: int | None = None
    until_us: int | None = None

    def query(self, before_us: int | None = None) -> Document:
        """The filter in MongoDB's terms, from plain typed values only.

        The time always has an end: so documents of other programs whose ``time_us`` is text or not there, which
        have no place in an order by time, never match.

        Args:
            before_us: only events captured before this as well.
        """
        ends = [end for end in (self.until_us, before_us) if end is not None]
        times = {"$lt": _within_int64(min(ends, default=_MOST))}
        if self.since_us is not None:
            times["$gte"] = _within_int64(self.since_us)
        return self._names() | {"time_us": times}

    def minutes_query(self) -> Document:
        """The counts of the whole minutes of the period."""
        first, after = self._whole_minutes()
        minutes = {"$gte": first} if first is not None else {}
        if after is not None:
            minutes["$lt"] = after
        return self._names() | ({"minute": minutes} if minutes else {})

    def cut_ends(self) -> Iterator[EventFilter]:
        """The parts of the period that are no whole minutes: none, one or two, each inside one minute."""
        first, after = self._whole_minutes()
        if first is not None and after is not None and first > after:
            yield self  # all of it inside one minute, or nothing
            return
        if self.since_us is not None and first is not None and self.since_us < first * US_PER_MINUTE:
            yield replace(self, until_us=first * US_PER_MINUTE)
        if self.until_us is not None and after is not None and after * US_PER_MINUTE < self.until_us:
            yield replace(self, since_us=after * US_PER_MINUTE)

    def _whole_minutes(self) -> tuple[int | None, int | None]:
        """First whole minute of the period, and the first one after it; None where it is open."""
        first = None if self.since_us is None else -(-_within_int64(self.since_us) // US_PER_MINUTE)
        after = None if self.until_us is None else _within_int64(self.until_us) // US_PER_MINUTE
        return first, after

    def _names(self) -> Document:
        """The part that events and their counts have in common.

        ``$eq`` and not the bare value: for that one the embedded store also looks into lists, by no index.
        """
        named: dict[str, Any] = {"stream": self.stream, "label": self.label}
        return {field: {"$eq": value} for field, value in named.items() if value is not None}


def _within_int64(number: int) -> int:
    """The number, or the end of the range of BSON's integers that it lies beyond."""
    return max(_LEAST, min(number, _MOST))
