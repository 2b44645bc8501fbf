"""Events written once, counted as they are, and deleted when they are old.

Only what the embedded store answers rightly and fast is used: equality and ranges of numbers on indexed fields,
updates by ``_id``, ``$match`` then ``$count``. See ``docs/store.md``.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pymongo
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, PyMongoError

from errors import StoreUnavailable
from storage.events import US_PER_MINUTE, Document, Event, to_document

_log = logging.getLogger(__name__)

EVENTS = "events"
COUNTS = "counts"
_DUPLICATE_KEY = 11000
_PRUNE_BATCH = 1000

INDEXES: Sequence[Sequence[tuple[str, int]]] = (
    [("time_us", pymongo.DESCENDING)],
    [("stream", pymongo.ASCENDING), ("time_us", pymongo.DESCENDING)],
    [("label", pymongo.ASCENDING), ("time_us", pymongo.DESCENDING)],
    [("stream", pymongo.ASCENDING), ("label", pymongo.ASCENDING), ("time_us", pymongo.DESCENDING)],
)


class Stored(NamedTuple):
    """How many of the events given were new, and how many the store had already."""

    new: int
    duplicates: int


class _Cell(NamedTuple):
    """What events are counted by."""

    stream: str
    label: str
    minute: int

    @property
    def id(self) -> str:
        return f"{self.stream}/{self.minute}/{self.label}"


def connect(uri: str) -> pymongo.MongoClient[Document]:
    """A client that notices within seconds that the store is away; it connects at the first use.

    Writes are not retried by the driver: ours can be repeated as they are, and the embedded store has no
    sessions to retry in.
    """
    return pymongo.MongoClient(
        uri,
        appname="framewatch",
        tz_aware=True,
        retryWrites=False,
        serverSelectionTimeoutMS=2_000,
        connectTimeoutMS=2_000,
        socketTimeoutMS=20_000,
        maxPoolSize=16,
    )


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn what the driver raises into StoreUnavailable, saying what was being done."""
    try:
        yield
    except PyMongoError as error:
        # The first sentence says what is wrong; the rest is the driver's picture of the topology.
        reason = str(error).split(", Timeout:", 1)[0].split(" (configured timeouts", 1)[0]
        raise StoreUnavailable(f"{doing}: {reason}") from error


class EventStore:
    """The writing side of the store."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._events: Collection[Document] = database[EVENTS]
        self._counts: Collection[Document] = database[COUNTS]

    def setup(self) -> None:
        """Make the indexes that are not there yet.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        with store_errors("making indexes"):
            for keys in INDEXES:
                self._events.create_index(keys)
            self._counts.create_index([("minute", pymongo.ASCENDING)])

    def ping(self, timeout_s: float = 1.0) -> bool:
        """Whether the store answers within the time."""
        try:
            with pymongo.timeout(timeout_s):
                # Not the ping command: the embedded store writes a log line for each, and this is asked every second.
                self._events.find_one({"_id": "none"}, {"_id": 1})
        except PyMongoError:
            return False
        return True

    def add(self, events: Sequence[Event]) -> Stored:
        """Store the events that are not stored yet, and count them. Doing it again changes nothing.

        Raises:
            StoreUnavailable: not all are stored and counted; call again with the same events.
        """
        if not events:
            return Stored(0, 0)
        with store_errors(f"storing {len(events)} events"):
            known = self._insert(events)
            self._count(events, known)
        return Stored(len(events) - len(known), len(known))

    def _insert(self, events: Sequence[Event]) -> set[int]:
        """Insert the events and return the positions of those that the store had."""
        try:
            self._events.insert_many([to_document(event) for event in events], ordered=False)
        except BulkWriteError as error:
            refused = [e for e in error.details["writeErrors"] if e["code"] != _DUPLICATE_KEY]
            if refused:
                raise StoreUnavailable(f"the store refused an event: {refused[0].get('errmsg')}") from error
            return {int(e["index"]) for e in error.details["writeErrors"]}
        return set()

    def _count(self, events: Sequence[Event], known: set[int]) -> None:
        """Bring the counts a minute up to date.

        An event the store had already may have been stored by a worker that died before it counted, so a cell
        with such an event is counted anew; the others only grow.
        """
        cells = [_Cell(e.stream, e.label, e.time_us // US_PER_MINUTE) for e in events]
        recount = {cells[position] for position in known}
        updates: list[pymongo.UpdateOne] = []
        for cell, new in Counter(cell for cell in cells if cell not in recount).items():
            updates.append(_update(cell, {"$inc": {"n": new}}))
        for cell in recount:
            updates.append(_update(cell, {"$set": {"n": self._stored_in(cell)}}))
        self._counts.bulk_write(updates, ordered=False)

    def _stored_in(self, cell: _Cell) -> int:
        start = cell.minute * US_PER_MINUTE
        match = {
            "stream": cell.stream,
            "label": cell.label,
            "time_us": {"$gte": start, "$lt": start + US_PER_MINUTE},
        }
        rows = list(self._events.aggregate([{"$match": match}, {"$count": "n"}]))
        return int(rows[0]["n"]) if rows else 0

    def prune(self, before_us: int) -> int:
        """Delete the events of the whole minutes before the given time, a batch at a time; return how many.

        Raises:
            StoreUnavailable: some may be deleted already; call again.
        """
        minute = before_us // US_PER_MINUTE
        old: Document = {"time_us": {"$lt": minute * US_PER_MINUTE}}
        deleted = 0
        with store_errors("deleting old events"):
            while ids := [
                row["_id"] for row in self._events.find(old, {"_id": 1}).sort("time_us", 1).limit(_PRUNE_BATCH)
            ]:
                deleted += self._events.delete_many({"_id": {"$in": ids}}).deleted_count
            self._counts.delete_many({"minute": {"$lt": minute}})
        return deleted


def _update(cell: _Cell, change: dict[str, Any]) -> pymongo.UpdateOne:
    fields = {"stream": cell.stream, "label": cell.label, "minute": cell.minute}
    return pymongo.UpdateOne({"_id": cell.id}, change | {"$setOnInsert": fields}, upsert=True)
