"""Long lists of events as files: CSV and JSON lines, made while they are sent, a page in memory at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from framewatch.model.event import Event
from framewatch.model.event_fields import CSV_FIELDS
from framewatch.model.filters import EventFilter
from framewatch.storage.interface import MAX_PAGE, EventQueries
from framewatch.web.event_schemas import EventOut

COLUMNS: Final = tuple(column for field in CSV_FIELDS for column in field.columns)

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def pages(queries: EventQueries, where: EventFilter) -> Iterator[Sequence[Event]]:
    """All these events, newest first, a page at a time. What is stored meanwhile and is newer does not disturb it.

    Raises:
        StoreUnavailable: while the next page is asked for.
    """
    cursor: int | None = None
    while True:
        page = queries.page(where, MAX_PAGE, cursor)
        yield page.events
        cursor = page.cursor
        if cursor is None:
            return


def as_csv(pages_of_events: Iterable[Sequence[Event]]) -> Iterator[bytes]:
    """The events as CSV (RFC 4180) in UTF-8 with a header row, a block for each page."""
    yield _block([COLUMNS])
    for events in pages_of_events:
        yield _block(map(_row, events))


def as_json_lines(pages_of_events: Iterable[Sequence[Event]]) -> Iterator[bytes]:
    """The events as JSON, one in a line, a block for each page."""
    for events in pages_of_events:
        yield b"".join(EventOut.of(event).model_dump_json().encode() + b"\n" for event in events)


def _block(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _row(event: Event) -> list[object]:
    cells = [field.cells(event) if field.cells else (field.value(event),) for field in CSV_FIELDS]
    return [_safe(cell) if isinstance(cell, str) else cell for row in cells for cell in row]


def _safe(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would take it for a formula and run it."""
    return f"'{text}" if text.startswith(_FORMULA) else text
