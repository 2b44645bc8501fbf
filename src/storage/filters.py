"""Which events are meant: by stream, label, capture time and confidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from storage.events import US_PER_MINUTE, Document

_LEAST, _MOST = -(2**63), 2**63 - 1  # what BSON holds


class Unit(NamedTuple):
    """Of time, by which events are counted: its field in a count, its length, what its ids are marked with."""

    name: str
    us: int
    mark: str


MINUTE = Unit("minute", US_PER_MINUTE, "")
HOUR = Unit("hour", 60 * US_PER_MINUTE, "h")


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; None means any.

    Attributes:
        stream: name of the stream.
        label: what was seen.
        since_us: capture time at or after, microseconds since 1970 UTC.
        until_us: capture time before.
        min_confidence: this confidence or more, 0 to 1.
    """

    stream: str | None = None
    label: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    min_confidence: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no moment lies in the period."""
        return self.since_us is not None and self.until_us is not None and self.since_us >= self.until_us

    def query(self, before_us: int | None = None) -> Document:
        """The filter in MongoDB's terms, from plain typed values only.

        The time always has an end: so documents of other programs whose ``time_us`` is text or not there, which
        have no place in an order by time, never match.

        Args:
            before_us: only events captured before this as well.
        """
        ends = [end for end in (self.until_us, before_us) if end is not None]
        times = between(self.since_us, min(ends, default=None))
        return self.names() | {"time_us": times} | at_least("confidence", self.min_confidence)

    def whole_query(self, unit: Unit) -> Document:
        """The counts of the whole minutes or hours of the period, of all confidences."""
        return self.names() | {unit.name: between(*self._whole(unit))}

    def touched_query(self, unit: Unit) -> Document:
        """The counts of all minutes or hours of which the period has a part."""
        first = None if self.since_us is None else self.since_us // unit.us
        after = None if self.until_us is None else -(-self.until_us // unit.us)
        return self.names() | {unit.name: between(first, after)}

    def cut_ends(self, unit: Unit) -> Iterator[EventFilter]:
        """The parts of the period that are no whole minutes or hours: none, one or two, each inside one of them."""
        first, after = self._whole(unit)
        if first is not None and after is not None and first > after:
            yield self  # all of it inside one, or nothing
            return
        if self.since_us is not None and first is not None and self.since_us < first * unit.us:
            yield replace(self, until_us=first * unit.us)
        if self.until_us is not None and after is not None and after * unit.us < self.until_us:
            yield replace(self, since_us=after * unit.us)

    def _whole(self, unit: Unit) -> tuple[int | None, int | None]:
        """First whole minute or hour of the period, and the first one after it; None where it is open."""
        first = None if self.since_us is None else -(-_within_int64(self.since_us) // unit.us)
        after = None if self.until_us is None else _within_int64(self.until_us) // unit.us
        return first, after

    def names(self) -> Document:
        """The part that events have in common with what else is kept of a stream and a label.

        ``$eq`` and not the bare value: for that one the embedded store also looks into lists, by no index.
        """
        named: dict[str, Any] = {"stream": self.stream, "label": self.label}
        return {field: {"$eq": value} for field, value in named.items() if value is not None}


def between(since: int | None, until: int | None) -> Document:
    """At or after, and before: a range of an integer field, always with an end."""
    return ({} if since is None else {"$gte": _within_int64(since)}) | {
        "$lt": _MOST if until is None else _within_int64(until)
    }


def at_least(field: str, least: float | None) -> Document:
    """The field with this number to 1; nothing to ask for where it is None.

    With an end as well, or text, which others may have stored there, would be more than any number.
    """
    return {} if least is None else {field: {"$gte": least, "$lte": 1}}


def _within_int64(number: int) -> int:
    """The number, or the end of the range of BSON's integers that it lies beyond."""
    return max(_LEAST, min(number, _MOST))
