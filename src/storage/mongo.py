"""Events written once, counted as they are, and deleted when they are old.

Only what the embedded store answers rightly and fast is used: equality and ranges of numbers on indexed fields,
updates by ``_id``, ``$match`` then ``$count``. See ``docs/store.md``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pymongo
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, ConnectionFailure, PyMongoError

from errors import SettingError, StoreUnavailable
from storage.events import US_PER_MINUTE, Document, Event, to_document
from storage.filters import EventFilter

EVENTS = "events"
COUNTS = "counts"
_DUPLICATE_KEY = 11000
_DELETED_AT_A_TIME = 1000  # so that others get their turn in between
_MAX_REASON = 300  # characters of what the driver says

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

    Raises:
        SettingError: the address cannot be used.
    """
    try:
        return pymongo.MongoClient(
            uri,
            appname="framewatch",
            tz_aware=True,
            retryWrites=False,
            serverSelectionTimeoutMS=2_000,
            connectTimeoutMS=2_000,
            socketTimeoutMS=20_000,
            maxPoolSize=16,
            # A document of another program with half a character or the year 20000 must not end a whole list.
            unicode_decode_error_handler="replace",
            datetime_conversion="DATETIME_AUTO",
        )
    except (PyMongoError, ValueError, OSError) as error:
        raise SettingError(f"the store's address (MONGODB_URI) cannot be used: {_guarded(str(error), uri)}") from None


def _guarded(text: str, uri: str) -> str:
    """The text, or less when a part of the address's user name or password stands in it."""
    secrets = re.split(r"[:/@]+", uri.partition("://")[2].rpartition("@")[0])
    return "it is no MongoDB address" if any(len(s) > 2 and s in text for s in secrets) else text


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn what the driver raises into StoreUnavailable, saying in one line what was being done and what is wrong."""
    try:
        yield
    except ConnectionFailure as error:
        raise StoreUnavailable(f"{doing}: the store does not answer: {_reason(error)}") from error
    except PyMongoError as error:
        raise StoreUnavailable(f"{doing}: {_reason(error)}") from error


def _reason(error: PyMongoError) -> str:
    """What is wrong, without the driver's picture of the topology and without whole documents."""
    text = str(error)
    if isinstance(error, BulkWriteError) and (refused := error.details.get("writeErrors")):
        text = str(refused[0].get("errmsg"))
    first = re.split(r", Timeout:| \(configured timeouts|, full error:", text, maxsplit=1)[0]
    return " ".join(first.split())[:_MAX_REASON]


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
            if unsure := error.details.get("writeConcernErrors"):
                raise StoreUnavailable(f"the store is not sure of an event: {unsure[0].get('errmsg')}") from error
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
        start_us = cell.minute * US_PER_MINUTE
        match = EventFilter(cell.stream, cell.label, start_us, start_us + US_PER_MINUTE).query()
        rows = list(self._events.aggregate([{"$match": match}, {"$count": "n"}]))
        return int(rows[0]["n"]) if rows else 0

    def prune(self, before_us: int) -> int:
        """Delete the events of the whole minutes before the given time, a batch at a time; return how many.

        Raises:
            StoreUnavailable: some may be deleted already; call again.
        """
        return self.delete(EventFilter(until_us=before_us // US_PER_MINUTE * US_PER_MINUTE))

    def delete(self, where: EventFilter) -> int:
        """Delete these events with their crops, a batch at a time, and count anew; return how many.

        What is stored in the same minutes at the same time may be counted wrongly: meant for what is past.

        Raises:
            StoreUnavailable: some may be deleted already; call again.
        """
        with store_errors("deleting events"):
            deleted = self._delete(where)
            self._counts.delete_many(where.minutes_query())
            for edge in where.cut_ends():
                self._recount(edge)
        return deleted

    def _recount(self, edge: EventFilter) -> None:
        """Bring the counts of one minute up to date after a part of it was deleted."""
        minute = (edge.since_us or 0) // US_PER_MINUTE
        inside = EventFilter(edge.stream, edge.label, minute * US_PER_MINUTE, (minute + 1) * US_PER_MINUTE)
        for row in list(self._counts.find(inside.minutes_query())):
            n = self._stored_in(_Cell(row["stream"], row["label"], row["minute"]))
            self._counts.update_one({"_id": row["_id"]}, {"$set": {"n": n}})

    def _delete(self, where: EventFilter) -> int:
        deleted = 0
        while True:
            oldest = self._events.find(where.query(), {"time_us": 1}).sort("time_us", 1).limit(_DELETED_AT_A_TIME)
            times = [row["time_us"] for row in oldest]
            if not times:
                return deleted
            # By time and not by id: one range of an index, whatever ids other programs gave.
            batch = EventFilter(where.stream, where.label, where.since_us, int(times[-1] // 1) + 1)
            gone = self._events.delete_many(batch.query()).deleted_count
            if not gone:
                raise StoreUnavailable(f"the store deleted none of {len(times)} events it was told to")
            deleted += gone


def _update(cell: _Cell, change: dict[str, Any]) -> pymongo.UpdateOne:
    fields = {"stream": cell.stream, "label": cell.label, "minute": cell.minute}
    return pymongo.UpdateOne({"_id": cell.id}, change | {"$setOnInsert": fields}, upsert=True)
