"""A collection in the order of one integer field: read in pages, deleted in batches, counted.

A page ends between two times, never inside one, so the next page starts with ``field < cursor`` and needs no
offset: page 2000 is as fast as page 1. Errors are the driver's: callers turn them into StoreUnavailable.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import pymongo
from bson.decimal128 import Decimal128
from pymongo.collection import Collection

from framewatch.errors import StoreUnavailable
from framewatch.storage.interface import MAX_PAGE, Document
from framewatch.storage.mongo.numbers import Number, number_of, whole_number_of
from framewatch.storage.mongo.query import LEAST, strict

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_DELETED_AT_A_TIME = 1000  # so that others get their turn in between
_ROWS_AT_A_TIME = 1000


class Timeline:
    """Documents by one field, newest first.

    Every query has a range of the field, as ``query.between`` gives: so documents of other programs in which it is
    text or missing never match. Those in which it is an array do, on some servers: they are in no page, deleted by
    no period and not counted.
    """

    def __init__(self, collection: Collection[Document], field: str) -> None:
        self._collection = collection
        self._field = field

    def page(
        self, query: Document, limit: int, projection: dict[str, int] | None = None
    ) -> tuple[list[Document], int | None]:
        """About ``limit`` documents, and what the next page's are before; None at the end.

        All documents of one time stand on one page, so a page can be longer than the limit.

        Args:
            query: which documents.
            limit: 1 to ``MAX_PAGE``; a number outside counts as the nearer end.
            projection: fields to leave out, as MongoDB has it.
        """
        return self._page(query, max(1, min(limit, MAX_PAGE)), projection)

    def rows(self, query: Document) -> Iterator[Document]:
        """All documents, newest first; a page at a time is held in memory, here and in the store."""
        cursor: int | None = None
        while True:
            page, cursor = self._page(self._before(query, cursor), _ROWS_AT_A_TIME)
            yield from page
            if cursor is None:
                return

    def delete(self, query: Document) -> int:
        """Delete the documents, oldest first, a batch at a time; return how many.

        Raises:
            StoreUnavailable: the store found documents that it did not delete.
        """
        deleted = 0
        kept: list[Document] = []
        while True:
            oldest = self._collection.find(strict(query), {self._field: 1}).sort(self._field, pymongo.ASCENDING)
            batch = list(oldest.limit(_DELETED_AT_A_TIME))
            if not batch:
                return deleted
            # By time and not by id: one range of an index, whatever ids other programs gave.
            until = self._before(query, self._time(batch[-1]) + 1)
            gone = self._collection.delete_many(strict(until)).deleted_count
            if not gone and batch == kept:  # once may be since another deletes the same
                raise StoreUnavailable(f"the store deleted none of {len(batch)} documents it was told to")
            deleted += gone
            kept = [] if gone else batch

    def count(self, query: Document) -> int:
        """How many documents there are; reads each index entry of the range."""
        return sum_by(self._collection, query, None, 1)[None]

    def _page(
        self, query: Document, limit: int, projection: dict[str, int] | None = None
    ) -> tuple[list[Document], int | None]:
        rows = self._newest(query, projection, limit + 1)
        if len(rows) <= limit:
            return rows, None
        last = self._time(rows[limit - 1])
        if self._time(rows[limit]) != last:
            return rows[:limit], last
        # The limit falls inside one time: take all of it.
        whole = [row for row in rows if self._time(row) > last]
        same = query | {self._field: {"$gte": last, "$lt": last + 1}}
        return whole + self._newest(same, projection, 0), last

    def _before(self, query: Document, cursor: int | None) -> Document:
        if cursor is None:
            return query
        times = query[self._field]
        return query | {self._field: times | {"$lt": min(times["$lt"], cursor)}}

    def _newest(self, query: Document, projection: dict[str, int] | None, limit: int) -> list[Document]:
        """The newest documents, at most so many; 0 is all."""
        asked = limit
        while True:
            found = list(self._collection.find(query, projection).sort(self._field, pymongo.DESCENDING).limit(asked))
            rows = [row for row in found if number_of(row[self._field]) is not None]
            if limit == 0 or len(rows) >= limit or len(found) < asked:
                break
            asked *= 2  # arrays were among them
        # A server is free in the order of equal times; we are not, or the same page would differ when read again.
        rows.sort(key=lambda row: (-self._number(row), str(row["_id"])))
        return rows[:limit] if limit else rows

    def _number(self, row: Document) -> Number:
        number = number_of(row[self._field])
        assert number is not None  # the others are not among the rows
        return number

    def _time(self, row: Document) -> int:
        """The field as a whole number: another program may have stored a fraction."""
        return math.floor(self._number(row))


def sum_by(collection: Collection[Document], query: Document, key: str | None, each: int | str) -> Counter[Any]:
    """Sum of ``each``, a number or a ``$field``, by the text of a field, or of all documents under None.

    Documents in which a field of the query is an array, NaN or minus infinity do not count. Arrays are ordered
    behind all numbers and text, the others before them, so the ends tell whether there is one. Only then each
    document is asked: slow on the embedded store, which never matches them.
    """
    fields = [f"${field}" for field in query]
    ends = {f"{end}{n}": {f"${end}": field} for n, field in enumerate(fields) for end in ("min", "max")}
    groups = _groups(collection, query, key, {"n": {"$sum": each}, **ends})
    if any(_is_unordered(group[name]) for group in groups for name in ends):
        unordered = [test for field in fields for test in ({"$isArray": field}, {"$lt": [field, LEAST]})]
        groups = _groups(collection, query, key, {"n": {"$sum": {"$cond": [{"$or": unordered}, 0, each]}}})
    return Counter(
        {
            group["_id"]: whole_number_of(group["n"]) or 0
            for group in groups
            if group["_id"] is None or isinstance(group["_id"], str)
        }
    )


def _is_unordered(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, float | Decimal128) and number_of(value) is None)


def _groups(collection: Collection[Document], query: Document, key: str | None, sums: Document) -> list[Document]:
    by = None if key is None else f"${key}"
    return list(collection.aggregate([{"$match": query}, {"$group": {"_id": by, **sums}}]))


def readable(documents: Iterable[Document], read: Callable[[Document], _T]) -> Iterator[_T]:
    """What the documents say; one that cannot be read (``read`` raises ValueError) is left out and logged."""
    for document in documents:
        try:
            yield read(document)
        except ValueError as error:
            _log.warning("left out of a list: %s", error)
