"""Events found again: pages, one by id, a long list row by row, and counts.

A page ends between two capture times, never inside one, so the next page starts with ``time_us < cursor`` and
needs no offset: page 2000 is as fast as page 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pymongo
from pymongo.collection import Collection
from pymongo.database import Database

from storage.events import US_PER_MINUTE, Document, Event, from_document
from storage.mongo import COUNTS, EVENTS, store_errors

MAX_PAGE = 500


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
        """The filter in MongoDB's terms, from plain typed values only."""
        query: Document = {k: v for k, v in (("stream", self.stream), ("label", self.label)) if v is not None}
        ends = [end for end in (self.until_us, before_us) if end is not None]
        time_range = {"$gte": self.since_us} if self.since_us is not None else {}
        if ends:
            time_range["$lt"] = min(ends)
        return query | ({"time_us": time_range} if time_range else {})


@dataclass(frozen=True, slots=True)
class Page:
    """Events, newest first, and the cursor of the next page or None at the end."""

    events: Sequence[Event]
    cursor: int | None


class EventQueries:
    """The reading side of the store. Every method raises StoreUnavailable when the store does not answer."""

    def __init__(self, database: Database[Document]) -> None:
        self._events: Collection[Document] = database[EVENTS]
        self._counts: Collection[Document] = database[COUNTS]

    def page(self, where: EventFilter, limit: int = 50, cursor: int | None = None) -> Page:
        """About ``limit`` events without their crops, newest first, older than the cursor.

        All events of one capture time stand on one page, so a page can be a few longer than the limit.
        """
        documents, cursor = self._page(where, limit, cursor, {"crop": 0})
        return Page([from_document(document) for document in documents], cursor)

    def get(self, event_id: str) -> Event | None:
        """The event with its crop, or None."""
        with store_errors("reading an event"):
            document = self._events.find_one({"_id": event_id})
        return from_document(document) if document else None

    def documents(self, where: EventFilter, limit: int | None = None, crops: bool = True) -> Iterator[Document]:
        """Stored documents as they are, newest first; a page at a time is held in memory, here and in the store."""
        projection = None if crops else {"crop": 0}
        cursor: int | None = None
        left = limit
        while left is None or left > 0:
            page, cursor = self._page(where, 200, cursor, projection)
            yield from page[:left]
            if cursor is None:
                return
            left = None if left is None else left - len(page)

    def counts(self, where: EventFilter) -> dict[str, int]:
        """Events of each label, most first.

        Whole minutes come from the counts kept as events are stored; the minutes that the period cuts are counted
        from the events themselves.
        """
        totals: Counter[str] = Counter()
        first, last = _whole_minutes(where)
        with store_errors("counting events"):
            for start_us, end_us in _cut_ends(where, first, last):
                edge = EventFilter(where.stream, where.label, start_us, end_us)
                totals.update(row["label"] for row in self._events.find(edge.query(), {"label": 1, "_id": 0}))
            match = EventFilter(where.stream, where.label).query()
            minutes = {"$gte": first} if first is not None else {}
            if last is not None:
                minutes["$lt"] = last
            pipeline: list[dict[str, Any]] = [
                {"$match": match | ({"minute": minutes} if minutes else {})},
                {"$group": {"_id": "$label", "n": {"$sum": "$n"}}},
            ]
            for row in self._counts.aggregate(pipeline):
                totals[row["_id"]] += row["n"]
        return {label: n for label, n in totals.most_common() if n}

    def _page(
        self, where: EventFilter, limit: int, cursor: int | None, projection: dict[str, int] | None
    ) -> tuple[list[Document], int | None]:
        limit = max(1, min(limit, MAX_PAGE))
        with store_errors("reading events"):
            rows = self._newest(where.query(cursor), projection, limit + 1)
            if len(rows) <= limit:
                return rows, None
            last_us = rows[limit - 1]["time_us"]
            if rows[limit]["time_us"] != last_us:
                return rows[:limit], last_us
            # The limit falls inside one capture time: take all of it.
            whole = [row for row in rows if row["time_us"] > last_us]
            same = EventFilter(where.stream, where.label, last_us, last_us + 1)
            return whole + self._newest(same.query(), projection, 0), last_us

    def _newest(self, query: Document, projection: dict[str, int] | None, limit: int) -> list[Document]:
        return list(self._events.find(query, projection).sort("time_us", pymongo.DESCENDING).limit(limit))


def _whole_minutes(where: EventFilter) -> tuple[int | None, int | None]:
    """First whole minute of the period, and the first one after it; None where it is open."""
    first = None if where.since_us is None else -(-where.since_us // US_PER_MINUTE)
    last = None if where.until_us is None else where.until_us // US_PER_MINUTE
    return first, last


def _cut_ends(where: EventFilter, first: int | None, last: int | None) -> Iterator[tuple[int, int]]:
    """The parts of the period, as [start, end) in microseconds, that are no whole minutes."""
    since_us, until_us = where.since_us, where.until_us
    if since_us is not None and until_us is not None and first is not None and last is not None and first > last:
        yield since_us, until_us  # all of it inside one minute
        return
    if since_us is not None and first is not None and since_us < first * US_PER_MINUTE:
        yield since_us, first * US_PER_MINUTE
    if until_us is not None and last is not None and last * US_PER_MINUTE < until_us:
        yield last * US_PER_MINUTE, until_us
