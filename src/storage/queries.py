"""Events found again: pages, one by id, a long list row by row, and counts.

A page ends between two capture times, never inside one, so the next page starts with ``time_us < cursor`` and
needs no offset: page 2000 is as fast as page 1.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pymongo
from pymongo.collection import Collection
from pymongo.database import Database

from storage.events import Document, Event, from_document
from storage.filters import EventFilter
from storage.mongo import COUNTS, EVENTS, store_errors

__all__ = ["MAX_PAGE", "EventFilter", "EventQueries", "Page"]

_log = logging.getLogger(__name__)

MAX_PAGE = 500
_ROWS_AT_A_TIME = 200  # of documents(): with crops of 20 kB about 4 MB


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

        All events of one capture time stand on one page, so a page can be longer than the limit. A document that
        is no event is left out and logged, so a page can be shorter, too.

        Args:
            where: which events.
            limit: 1 to ``MAX_PAGE``; a number outside counts as the nearer end.
            cursor: of the page before, or None for the first page.
        """
        documents, cursor = self._page(where, limit, cursor, {"crop": 0})
        return Page(list(_events_among(documents)), cursor)

    def get(self, event_id: str) -> Event | None:
        """The event with its crop, or None.

        Raises:
            ValueError: the document of this id is no event.
        """
        with store_errors("reading an event"):
            document = self._events.find_one({"_id": {"$eq": event_id}})
        return from_document(document) if document else None

    def documents(self, where: EventFilter, limit: int | None = None, crops: bool = True) -> Iterator[Document]:
        """Stored documents as they are, newest first; a page at a time is held in memory, here and in the store."""
        projection = None if crops else {"crop": 0}
        cursor: int | None = None
        left = limit
        while left is None or left > 0:
            rows = _ROWS_AT_A_TIME if left is None else min(left, _ROWS_AT_A_TIME)
            page, cursor = self._page(where, rows, cursor, projection)
            yield from page[:left]
            if cursor is None:
                return
            left = None if left is None else left - len(page)

    def untimed(self, limit: int) -> list[Any]:
        """Ids of documents, at most so many, that no list shows since their ``time_us`` is no number."""
        with store_errors("reading events"):
            return [
                document["_id"]
                for kind in ({"$eq": None}, {"$gte": ""})  # null or not there; text
                for document in self._events.find({"time_us": kind}, {"_id": 1}).limit(limit)
            ][:limit]

    def counts(self, where: EventFilter) -> dict[str, int]:
        """Events of each label, most first.

        Whole minutes come from the counts kept as events are stored; the minutes that the period cuts are counted
        from the events themselves.
        """
        totals: Counter[str] = Counter()
        with store_errors("counting events"):
            for edge in where.cut_ends():
                totals.update(_totals(self._events, edge.query(), 1))
            totals.update(_totals(self._counts, where.minutes_query(), "$n"))
        return {label: n for label, n in sorted(totals.items(), key=lambda row: (-row[1], row[0])) if n}

    def _page(
        self, where: EventFilter, limit: int, cursor: int | None, projection: dict[str, int] | None
    ) -> tuple[list[Document], int | None]:
        limit = max(1, min(limit, MAX_PAGE))
        with store_errors("reading events"):
            rows = self._newest(where.query(cursor), projection, limit + 1)
            if len(rows) <= limit:
                return rows, None
            last_us = _time_us(rows[limit - 1])
            if _time_us(rows[limit]) != last_us:
                return rows[:limit], last_us
            # The limit falls inside one capture time: take all of it.
            whole = [row for row in rows if _time_us(row) > last_us]
            same = EventFilter(where.stream, where.label, last_us, last_us + 1)
            return whole + self._newest(same.query(), projection, 0), last_us

    def _newest(self, query: Document, projection: dict[str, int] | None, limit: int) -> list[Document]:
        rows = list(self._events.find(query, projection).sort("time_us", pymongo.DESCENDING).limit(limit))
        # A store is free in the order of equal times; we are not, or two looks at one page would differ.
        return sorted(rows, key=lambda row: (-row["time_us"], str(row["_id"])))


def _events_among(documents: Iterable[Document]) -> Iterator[Event]:
    for document in documents:
        try:
            yield from_document(document)
        except ValueError as error:
            _log.warning("left out of a list: %s", error)


def _time_us(row: Document) -> int:
    """Capture time in whole microseconds: another program may have stored a fraction."""
    return int(row["time_us"] // 1)


def _totals(collection: Collection[Document], match: Document, each: int | str) -> dict[str, int]:
    """Sum of ``each``, a number or a field, by label."""
    stages: list[Document] = [{"$match": match}, {"$group": {"_id": "$label", "n": {"$sum": each}}}]
    return {row["_id"]: int(row["n"]) for row in collection.aggregate(stages) if isinstance(row["_id"], str)}
