"""Events written once, counted as they are, and deleted when they are old.

Only what the embedded store answers rightly and fast is used: equality and ranges of numbers on indexed fields,
updates by ``_id``, ``$match`` then ``$count``. See ``docs/store.md``.
"""

from __future__ import annotations

from collections.abc import Sequence

import pymongo
from pymongo.errors import BulkWriteError

from framewatch.errors import StoreRefused, StoreUnavailable
from framewatch.model.event import US_PER_MINUTE, Event
from framewatch.model.filters import EventFilter
from framewatch.storage.interface import Stored
from framewatch.storage.mongo.client import store_errors
from framewatch.storage.mongo.documents import to_document
from framewatch.storage.mongo.queries import EventQueries
from framewatch.storage.mongo.query import event_query

_DUPLICATE_KEY = 11000

_AFTER_TIME = [("confidence", pymongo.ASCENDING), ("label", pymongo.ASCENDING)]
INDEXES: Sequence[Sequence[tuple[str, int]]] = (
    # With what a count by confidence needs at their end, so that it reads no event.
    [("time_us", pymongo.DESCENDING), *_AFTER_TIME],
    [("stream", pymongo.ASCENDING), ("time_us", pymongo.DESCENDING), *_AFTER_TIME],
    [("label", pymongo.ASCENDING), ("time_us", pymongo.DESCENDING), *_AFTER_TIME[:1]],
    [("stream", pymongo.ASCENDING), ("label", pymongo.ASCENDING), ("time_us", pymongo.DESCENDING), *_AFTER_TIME[:1]],
)


class EventStore(EventQueries):
    """Events stored once, found again, and deleted."""

    def setup(self) -> None:
        """Make the indexes that are not there yet.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        with store_errors("making indexes"):
            for keys in INDEXES:
                self._events.create_index(keys)
            self._counts.setup()

    def problem(self, timeout_s: float = 1.0) -> str | None:
        """Why events cannot be stored now, in one line; None when they can. Answers about within the time."""
        try:
            with store_errors("asking the store"), pymongo.timeout(timeout_s):
                # Not the ping command: the embedded store writes a log line for each, and this is asked every second.
                self._events.find_one({"_id": "none"}, {"_id": 1})
        except (StoreUnavailable, StoreRefused) as error:
            return str(error)
        return None

    def ping(self, timeout_s: float = 1.0) -> bool:
        """Whether there is no problem."""
        return self.problem(timeout_s) is None

    def add(self, events: Sequence[Event]) -> Stored:
        """Store the events that are not stored yet, and count them. Doing it again changes nothing.

        Raises:
            StoreUnavailable: not all are stored and counted; call again with the same events.
        """
        if not events:
            return Stored(0, 0)
        with store_errors(f"storing {len(events)} events"):
            known = self._insert(events)
            self._counts.add(events, known)
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
            deleted = self._timeline.delete(event_query(where))
            self._counts.deleted(where)
        return deleted
