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
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.cells import cell_len

from framewatch.storage.interface import Document

_COLUMNS = (("time (UTC)", 24), ("stream", 16), ("frame", 7), ("label", 14), ("confidence", 10), ("box", 19))
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
    box, crop, confidence = (document.get(field) for field in ("boundingbox", "crop", "confidence"))
    cells = [
        _time(document),
        *(shown(document.get(field)) for field in ("stream", "frame", "label")),
        f"{confidence:.2f}" if isinstance(confidence, float) else shown(confidence),
        shown(" ".join(map(str, box)) if isinstance(box, list) else box or "whole frame"),
    ]
    picture = f"{shown(crop, 17)} ({len(crop)} characters)" if isinstance(crop, str) and crop else "none"
    return _line(cells, picture)


def table_header() -> str:
    """Names of the columns."""
    return _line([name for name, _ in _COLUMNS], "picture (base64)")


def _time(document: Document) -> str:
    """Capture time as it can be given to --since; from the number when the date is none."""
    moment = document.get("timestamp")
    if not isinstance(moment, datetime):
        try:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=document["time_us"])
        except (TypeError, OverflowError):
            return shown(document["time_us"])
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _line(cells: Iterable[str], last: str) -> str:
    padded = (text + " " * (width - cell_len(text)) for text, (_, width) in zip(cells, _COLUMNS, strict=True))
    return "  ".join((*padded, last))


def file_name(document_id: object) -> str:
    """A name for any id, safe on every file system, and another one for every other id.

    >>> file_name("front door/20261121T101500-3f9a1c/12/faces@1f3a/0")
    'front_door_20261121T101500-3f9a1c_12_faces@1f3a_0-9beca326d0a512fd.jpg'
    """
    readable = _NOT_IN_FILE_NAME.sub("_", str(document_id)).strip("_.-")[:100]
    return f"{readable or 'event'}-{hashlib.sha256(repr(document_id).encode()).hexdigest()[:16]}.jpg"
