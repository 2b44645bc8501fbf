"""Filters in MongoDB's terms, from plain typed values only."""

from __future__ import annotations

from typing import Any

from framewatch.model.filters import EventFilter, Unit
from framewatch.storage.interface import Document

LEAST, _MOST = -(2**63) + 1, 2**63 - 1  # what BSON holds, but for the least: some servers take it for -infinity


def event_query(where: EventFilter, before_us: int | None = None) -> Document:
    """The events of the filter.

    The time always has an end: so documents of other programs whose ``time_us`` is text or not there, which
    cannot be ordered by time, never match.

    Args:
        where: which events.
        before_us: only events captured before this as well.
    """
    ends = [end for end in (where.until_us, before_us) if end is not None]
    times = between(where.since_us, min(ends, default=None))
    return name_query(where) | {"time_us": times} | at_least("confidence", where.min_confidence)


def whole_query(where: EventFilter, unit: Unit) -> Document:
    """The counts of the whole minutes or hours of the period, of all confidences."""
    return name_query(where) | {unit.name: between(*where.whole(unit))}


def touched_query(where: EventFilter, unit: Unit) -> Document:
    """The counts of all minutes or hours of which the period has a part."""
    first = None if where.since_us is None else where.since_us // unit.us
    after = None if where.until_us is None else -(-where.until_us // unit.us)
    return name_query(where) | {unit.name: between(first, after)}


def name_query(where: EventFilter) -> Document:
    """The part that events have in common with what else is kept of a stream and a label.

    ``$eq`` and not the bare value: for that one the embedded store also looks into lists, by no index.
    """
    named: dict[str, Any] = {"stream": where.stream, "label": where.label}
    return {field: {"$eq": value} for field, value in named.items() if value is not None}


def between(since: int | None, until: int | None) -> Document:
    """At or after, and before: a range of an integer field, always with an end.

    So text and what is missing never match. Without ``since`` it has no start: with one the embedded store chooses
    an index that makes counts twenty times as slow.
    """
    return ({} if since is None else {"$gte": _within_int64(since)}) | {
        "$lt": _MOST if until is None else _within_int64(until)
    }


def strict(query: Document) -> Document:
    """The same, of documents alone in which each of these fields is one value that can be ordered.

    MongoDB looks into arrays: ``[1, 9]`` is in the range of 4 to 6, since one element is over 4 and one under 6.
    And minus infinity is before all times.
    """
    starts = {field: {"$gte": LEAST} | range_ for field, range_ in query.items() if "$lt" in range_}
    return query | starts | {f"{field}.0": {"$exists": False} for field in query}


def at_least(field: str, least: float | None) -> Document:
    """The field with this number to 1; nothing to ask for where it is None.

    With an end as well, or text, which others may have stored there, would be more than any number.
    """
    return {} if least is None else {field: {"$gte": least, "$lte": 1}}


def _within_int64(number: int) -> int:
    """The number, or the end of the range of BSON's integers that it lies beyond."""
    return max(LEAST, min(number, _MOST))
