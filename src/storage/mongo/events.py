"""Events written once, counted as they are, and deleted when they are old.

Only what the embedded store answers rightly and fast is used: equality and ranges of numbers on indexed fields,
updates by ``_id``, ``$match`` then ``$group`` by a plain field. See ``docs/store.md``.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import bson
import pymongo
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError

from framewatch.errors import StoreRefused, StoreUnavailable
from framewatch.model.event import US_PER_MINUTE, Event
from framewatch.model.filters import EventFilter
from framewatch.storage.interface import Refused, Stored
from framewatch.storage.mongo.client import DOCUMENT_REFUSALS, REFUSALS, store_errors
from framewatch.storage.mongo.documents import to_document
from framewatch.storage.mongo.indexes import Keys, make_indexes
from framewatch.storage.mongo.queries import EventQueries
from framewatch.storage.mongo.query import event_query

_log = logging.getLogger(__name__)

_DUPLICATE_KEY: Final = 11000
_OTHER_INDEX: Final = re.compile(r"index: (?!_id_)(\S+) dup key")
_MAX_BYTES: Final = 16 * 1024 * 1024  # of a document in MongoDB; some servers close the connection over a larger one
_CHECK_WRITING_S: Final = 10.0

_AFTER_TIME = [("confidence", pymongo.ASCENDING), ("label", pymongo.ASCENDING)]
INDEXES: Sequence[Keys] = (
    # With what a count by confidence needs at their end, so that it reads no event.
    [("time_us", pymongo.DESCENDING), *_AFTER_TIME],
    [("stream", pymongo.ASCENDING), ("time_us", pymongo.DESCENDING), *_AFTER_TIME],
    [("label", pymongo.ASCENDING), ("time_us", pymongo.DESCENDING), *_AFTER_TIME[:1]],
    [("stream", pymongo.ASCENDING), ("label", pymongo.ASCENDING), ("time_us", pymongo.DESCENDING), *_AFTER_TIME[:1]],
)


class _Inserted(NamedTuple):
    """Positions of the events that the store had already, and of those that it never takes, with the reason."""

    known: set[int]
    refused: dict[int, str]


class EventStore(EventQueries):
    """Events stored once, found again, and deleted."""

    _writing_checked_s = -_CHECK_WRITING_S
    _write_refusal: str | None = None

    def setup(self) -> None:
        """Make the indexes that are not there yet.

        Raises:
            StoreUnavailable: the store did not answer.
            StoreRefused: an index of this name has other keys or options, or the user may make none.
        """
        make_indexes(self._events, INDEXES)
        with store_errors("counting events"):
            self._counts.setup()

    def problem(self, timeout_s: float = 1.0) -> str | None:
        """Why events cannot be stored now, in one line; None when they can. Answers about within the time.

        Whether the user may write is asked every ten seconds.
        """
        try:
            with pymongo.timeout(timeout_s):
                with store_errors("reading events"):
                    # Not the ping command: the embedded store logs each, and this is asked every second.
                    self._events.find_one({"_id": "none"}, {"_id": 1})
                return self._check_writing()
        except (StoreUnavailable, StoreRefused) as error:
            return str(error)

    def ping(self, timeout_s: float = 1.0) -> bool:
        """Whether there is no problem."""
        return self.problem(timeout_s) is None

    def _check_writing(self) -> str | None:
        """Why the store refuses to write; None where it does not, or is only busy."""
        if time.monotonic() - self._writing_checked_s >= _CHECK_WRITING_S or self._write_refusal:
            try:
                with store_errors("storing events"):
                    self._events.update_one({"_id": "none"}, {"$set": {"label": "none"}})  # there is no such event
                self._write_refusal = None
            except StoreRefused as error:
                self._write_refusal = str(error)
            except StoreUnavailable:
                pass  # whoever writes says so
            self._writing_checked_s = time.monotonic()
        return self._write_refusal

    def add(self, events: Sequence[Event]) -> Stored:
        """Store the events that are not stored yet, and count them. Doing it again changes nothing.

        Returns:
            How many were new, how many were known, and those that the store never takes, such as one over 16 MiB.

        Raises:
            StoreUnavailable: not all others are stored and counted; call again with the same events.
            StoreRefused: the store takes no event at all.
        """
        if not events:
            return Stored(0, 0)
        with store_errors(f"storing {len(events)} events"):
            known, refused = self._insert(events)
            taken = [position for position in range(len(events)) if position not in refused]
            if taken:
                self._counts.add(
                    [events[position] for position in taken],
                    {n for n, position in enumerate(taken) if position in known},
                )
        for position, reason in refused.items():
            _log.warning("event %s is not stored: %s", events[position].id, reason)
        return Stored(
            len(taken) - len(known), len(known), tuple(Refused(events[n], why) for n, why in refused.items())
        )

    def _insert(self, events: Sequence[Event]) -> _Inserted:
        """Insert those that the store does not have yet."""
        documents: dict[int, RawBSONDocument] = {}
        refused: dict[int, str] = {}
        for position, event in enumerate(events):
            try:
                documents[position] = _encoded(event)
            except (BSONError, OverflowError, ValueError) as error:
                refused[position] = str(error)
        if not documents:
            return _Inserted(set(), refused)
        positions = list(documents)
        try:
            self._events.insert_many(list(documents.values()), ordered=False)
        except BulkWriteError as error:
            known, more = _write_errors(error)
            refused |= {positions[n]: reason for n, reason in more.items()}
            return _Inserted({positions[n] for n in known}, refused)
        return _Inserted(set(), refused)

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


def _encoded(event: Event) -> RawBSONDocument:
    """The event as it is sent.

    Raises:
        BSONError, OverflowError, ValueError: no store takes it.
    """
    encoded = bson.encode(to_document(event))
    if len(encoded) > _MAX_BYTES:
        raise ValueError(f"got an event of {len(encoded):,} bytes: the store takes at most {_MAX_BYTES:,}")
    return RawBSONDocument(encoded)


def _write_errors(error: BulkWriteError) -> _Inserted:
    """Which documents the store had, and which it never takes.

    Raises:
        StoreUnavailable: one is not stored for another reason, or not surely.
        StoreRefused: the store takes none.
    """
    if unsure := error.details.get("writeConcernErrors"):
        raise StoreUnavailable(f"the store is not sure of an event: {unsure[0].get('errmsg')}") from error
    known: set[int] = set()
    refused: dict[int, str] = {}
    for one in error.details["writeErrors"]:
        if one["code"] == _DUPLICATE_KEY and _is_of_id(one):
            known.add(int(one["index"]))
        elif one["code"] in {_DUPLICATE_KEY, *DOCUMENT_REFUSALS}:
            refused[int(one["index"])] = str(one.get("errmsg"))[:300]
        else:
            kind = StoreRefused if one["code"] in REFUSALS else StoreUnavailable
            raise kind(f"the store refused an event: {one.get('errmsg')}") from error
    return _Inserted(known, refused)


def _is_of_id(duplicate: dict[str, Any]) -> bool:
    """Whether the store has the same event, and not another one that a unique index of somebody else's forbids."""
    keys = duplicate.get("keyPattern")
    return "_id" in keys if keys else not _OTHER_INDEX.search(str(duplicate.get("errmsg")))
