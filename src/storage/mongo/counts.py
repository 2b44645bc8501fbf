"""Events counted as they are stored: by stream, label and minute, and the minutes summed up by hour.

A count over a period adds up its whole hours, the whole minutes of the hours that it cuts, and the events themselves
in the minutes that it cuts. Errors are the driver's: callers turn them into StoreUnavailable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection as Some
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pymongo
from pymongo.collection import Collection

from framewatch.model.event import Event
from framewatch.model.filters import HOUR, MINUTE, EventFilter, Unit
from framewatch.storage.interface import Document
from framewatch.storage.mongo.indexes import make_indexes
from framewatch.storage.mongo.numbers import whole_number_of
from framewatch.storage.mongo.query import between, event_query, strict, touched_query, whole_query
from framewatch.storage.mongo.timeline import Timeline, sum_by


class _Cell(NamedTuple):
    """What events are counted by."""

    stream: str
    label: str
    unit: Unit
    at: int

    @property
    def id(self) -> str:
        return f"{self.stream}/{self.unit.mark}{self.at}/{self.label}"

    @property
    def where(self) -> EventFilter:
        return EventFilter(self.stream, self.label, self.at * self.unit.us, (self.at + 1) * self.unit.us)


class Counts:
    """How many events there are, without looking at them."""

    def __init__(self, events: Collection[Document], counts: Collection[Document]) -> None:
        self._events = events
        self._counts = counts

    def setup(self) -> None:
        """Make the indexes that are not there yet, and the sums of a store that has counts but no sums."""
        names = ((MINUTE.name,), (HOUR.name,), ("stream", MINUTE.name, "label"))
        make_indexes(self._counts, [[(name, pymongo.ASCENDING) for name in index] for index in names])
        if self._counts.find_one(whole_query(EventFilter(), HOUR), {"_id": 1}) is None:
            sums: Counter[_Cell] = Counter()
            for row in Timeline(self._counts, MINUTE.name).rows(whole_query(EventFilter(), MINUTE)):
                if cell := _cell(row, MINUTE):
                    hour = cell.at * MINUTE.us // HOUR.us
                    sums[cell._replace(unit=HOUR, at=hour)] += whole_number_of(row.get("n")) or 0
            self._write(_set(cell, n) for cell, n in sums.items())

    def add(self, events: Sequence[Event], known: Some[int]) -> None:
        """Count the events.

        An event the store had already may have been stored by a worker that died before it counted, so a cell
        with such an event is counted anew; the others only grow.

        Args:
            events: all of which are stored.
            known: positions of those that the store had already.
        """
        minutes = [_Cell(e.stream, e.label, MINUTE, e.time_us // MINUTE.us) for e in events]
        hours = [_Cell(e.stream, e.label, HOUR, e.time_us // HOUR.us) for e in events]
        anew = {cells[position] for cells in (minutes, hours) for position in known}
        more = Counter(cell for cell in (*minutes, *hours) if cell not in anew)
        again = [_set(cell, self._stored_in(cell)) for cell in anew if cell.unit is MINUTE]
        self._write([_update(cell, {"$inc": {"n": n}}) for cell, n in more.items()] + again)
        self._write(_set(cell, self._summed(cell)) for cell in anew if cell.unit is HOUR)

    def deleted(self, where: EventFilter) -> None:
        """Bring the counts up to date after these events were deleted."""
        if where.min_confidence is not None:  # any minute may have kept some
            self._recount([where], [where])
            return
        for unit in (MINUTE, HOUR):
            self._counts.delete_many(strict(whole_query(where, unit)))
        self._recount(where.cut_ends(MINUTE), where.cut_ends(HOUR))

    def totals(self, where: EventFilter) -> Counter[str]:
        """Events of each label."""
        if where.min_confidence is not None:
            return _labels(sum_by(self._events, event_query(where), "label", 1))
        totals = self._sums(where, HOUR)
        for part in where.cut_ends(HOUR):
            totals += self._sums(part, MINUTE)
            for edge in part.cut_ends(MINUTE):
                totals += _labels(sum_by(self._events, event_query(edge), "label", 1))
        return totals

    def _recount(self, minutes: Iterable[EventFilter], hours: Iterable[EventFilter]) -> None:
        """Count anew in all minutes, and then sum up in all hours, of which the periods have a part."""
        for where in minutes:
            self._write(_set(cell, self._stored_in(cell)) for cell in self._cells(where, MINUTE))
        for where in hours:
            self._write(_set(cell, self._summed(cell)) for cell in self._cells(where, HOUR))

    def _cells(self, where: EventFilter, unit: Unit) -> Iterator[_Cell]:
        for row in Timeline(self._counts, unit.name).rows(touched_query(where, unit)):
            if cell := _cell(row, unit):
                yield cell

    def _stored_in(self, cell: _Cell) -> int:
        return Timeline(self._events, "time_us").count(event_query(cell.where))

    def _summed(self, hour: _Cell) -> int:
        return self._sums(hour.where, MINUTE)[hour.label]

    def _sums(self, where: EventFilter, unit: Unit) -> Counter[str]:
        """Events of each label in the whole minutes or hours of the period."""
        return _labels(sum_by(self._counts, whole_query(where, unit) | {"n": between(0, None)}, "label", "$n"))

    def _write(self, updates: Iterable[pymongo.UpdateOne]) -> None:
        if listed := list(updates):
            self._counts.bulk_write(listed, ordered=False)


def _set(cell: _Cell, n: int) -> pymongo.UpdateOne:
    return _update(cell, {"$set": {"n": n}})


def _update(cell: _Cell, change: dict[str, Any]) -> pymongo.UpdateOne:
    fields = {"stream": cell.stream, "label": cell.label, cell.unit.name: cell.at}
    return pymongo.UpdateOne({"_id": cell.id}, change | {"$setOnInsert": fields}, upsert=True)


def _cell(row: Document, unit: Unit) -> _Cell | None:
    """What the count is of; None for a document of another program."""
    stream, label, at = row.get("stream"), row.get("label"), row[unit.name]
    return (
        _Cell(stream, label, unit, at)
        if isinstance(stream, str) and isinstance(label, str) and type(at) is int
        else None
    )


def _labels(sums: Counter[Any]) -> Counter[str]:
    return Counter({label: n for label, n in sums.items() if isinstance(label, str)})
