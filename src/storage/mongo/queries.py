"""Events found again: pages, one by id, a long list row by row, and counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymongo
from pymongo.database import Database

from framewatch.model.event import Event
from framewatch.model.filters import EventFilter
from framewatch.storage.interface import Document, Page
from framewatch.storage.mongo.client import primary, store_errors
from framewatch.storage.mongo.counts import Counts
from framewatch.storage.mongo.documents import from_document
from framewatch.storage.mongo.numbers import number_of
from framewatch.storage.mongo.query import event_query
from framewatch.storage.mongo.timeline import Timeline, readable

EVENTS = "events"
COUNTS = "counts"

_ROWS_AT_A_TIME = 200  # of documents(): with crops of 20 kB about 4 MB


class EventQueries:
    """The reading side of the store. Every method raises StoreUnavailable when the store does not answer."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._events = primary(database, EVENTS)
        self._counts = Counts(self._events, primary(database, COUNTS))
        self._timeline = Timeline(self._events, "time_us")
        self._lists = Timeline(database[EVENTS], "time_us")  # wherever the address says that is read

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
        return Page(list(readable(documents, from_document)), cursor)

    def get(self, event_id: str, crop: bool = True) -> Event | None:
        """The event with its crop, or None.

        Args:
            event_id: of the event.
            crop: read the crop too, which is the most of it.

        Raises:
            ValueError: the document of this id is no event.
        """
        with store_errors("reading an event"):
            document = self._events.find_one({"_id": {"$eq": event_id}}, None if crop else {"crop": 0})
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
        """Ids of documents, at most so many, that no list gives since their ``time_us`` is no number.

        Those that the server orders before and behind all numbers; arrays can stand among them.
        """
        with store_errors("reading events"):
            ends = {
                str(document["_id"]): document
                for order in (pymongo.ASCENDING, pymongo.DESCENDING)
                for document in self._events.find({}, {"time_us": 1}).sort("time_us", order).limit(limit)
            }
        return [row["_id"] for row in ends.values() if number_of(row.get("time_us")) is None][:limit]

    def counts(self, where: EventFilter) -> dict[str, int]:
        """Events of each label, most first.

        From the counts kept as events are stored; with a ``min_confidence`` from the events themselves, at the cost
        of a look at each in the index.
        """
        with store_errors("counting events"):
            totals = self._counts.totals(where)
        return {label: n for label, n in sorted(totals.items(), key=lambda row: (-row[1], row[0])) if n}

    def _page(
        self, where: EventFilter, limit: int, cursor: int | None, projection: dict[str, int] | None
    ) -> tuple[list[Document], int | None]:
        with store_errors("reading events"):
            return self._lists.page(event_query(where, cursor), limit, projection)
