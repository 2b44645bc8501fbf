"""Which events are meant: by stream, label, capture time and confidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from framewatch.model.event import US_PER_MINUTE


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

    def cut_ends(self, unit: Unit) -> Iterator[EventFilter]:
        """The parts of the period that are no whole minutes or hours: none, one or two, each inside one of them."""
        first, after = self.whole(unit)
        if first is not None and after is not None and first > after:
            yield self  # all of it inside one, or nothing
            return
        if self.since_us is not None and first is not None and self.since_us < first * unit.us:
            yield replace(self, until_us=first * unit.us)
        if self.until_us is not None and after is not None and after * unit.us < self.until_us:
            yield replace(self, since_us=after * unit.us)

    def whole(self, unit: Unit) -> tuple[int | None, int | None]:
        """First whole minute or hour of the period, and the first one after it; None where it is open."""
        first = None if self.since_us is None else -(-self.since_us // unit.us)
        after = None if self.until_us is None else self.until_us // unit.us
        return first, after
