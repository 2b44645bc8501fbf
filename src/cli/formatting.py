"""Values of stored documents as text that is safe to print, to parse and to name files by.

Anybody may have written them: other programs, models with labels of their own, senders of frames.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.cells import cell_len

from framewatch.model.event_fields import CONSOLE_FIELDS
from framewatch.storage.interface import Document

_CELLS = [field.cell for field in CONSOLE_FIELDS if field.cell]
_NOT_ASCII = re.compile(r"[^ -~]")
_NOT_IN_FILE_NAME = re.compile(r"[^A-Za-z0-9@.-]+")


def shown(value: object, most: int = 80) -> str:
    """The value as text that fits a line and does nothing to a terminal."""
    text = "" if value is None else str(value)
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def json_line(document: object) -> str:
    """The document as one line of JSON, without a character that a terminal or a reader of lines would act on."""
    line = json.dumps(_plain(document), ensure_ascii=False, allow_nan=False)
    if line.isprintable() and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8":
        return line
    return _NOT_ASCII.sub(lambda odd: json.dumps(odd[0])[1:-1], line)


def _plain(value: Any) -> Any:
    """The value in JSON's terms: times as ISO 8601, NaN and infinity as null, what JSON has not as text."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, str | int | float | None) else str(value)


def table_row(document: Document) -> str:
    """The document as a line under ``table_header()``, with the start of its crop as it is stored: base64."""
    return _line(shown(cell.of(document)) for cell in _CELLS)


def table_header() -> str:
    """Names of the columns."""
    return _line(cell.heading for cell in _CELLS)


def _line(cells: Iterable[str]) -> str:
    padded = (text + " " * (cell.width - cell_len(text)) for text, cell in zip(cells, _CELLS, strict=True))
    return "  ".join(padded)


def file_name(document_id: object) -> str:
    """A name for any id, safe on every file system, and another one for every other id.

    >>> file_name("front door/20261121T101500-3f9a1c/12/faces@1f3a/0")
    'front_door_20261121T101500-3f9a1c_12_faces@1f3a_0-9beca326d0a512fd.jpg'
    """
    readable = _NOT_IN_FILE_NAME.sub("_", str(document_id)).strip("_.-")[:100]
    return f"{readable or 'event'}-{hashlib.sha256(repr(document_id).encode()).hexdigest()[:16]}.jpg"
