"""The fields of an event, each told once: documents, JSON, CSV and the console's table are made of this table.

A new field is an attribute of ``Event`` and a ``Field`` here: pages read it from the JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any, Final, NamedTuple

from framewatch.model.event import Event
from framewatch.model.times import written

Document = Mapping[str, Any]
Box = tuple[int, int, int, int]
Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class EventScore:
    """A label with its score."""

    label: str
    score: float


class Cell(NamedTuple):
    """A column of the console's table: heading, width, and what stands there, whoever wrote the document."""

    heading: str
    width: int
    of: Callable[[Document], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event, and how each output has it.

    Attributes:
        name: in JSON and, unless ``stored_as`` says otherwise, in documents; the attribute of ``Event`` that is read.
        type: in JSON.
        description: for readers of the API; empty where the name says all.
        value: of an event, as JSON has it.
        json: position in JSON; None where it is not there.
        document: position in documents; None where it is not there.
        stored_as: its name in documents.
        store: its value in documents; None for that of JSON.
        read: the attribute of ``Event`` from a document; None for what is made of other attributes. Raises KeyError,
            TypeError or ValueError for a document that is no event.
        csv: position in CSV; None where it is not there.
        columns: of CSV.
        cells: values of these columns; None for that of JSON.
        console: position on the console; None where it is not there.
        cell: the column there.
    """

    name: str
    type: Any
    description: str
    value: Callable[[Event], Any]
    json: int | None = None
    document: int | None = None
    stored_as: str = ""
    store: Callable[[Event], Any] | None = None
    read: Callable[[Document], Any] | None = None
    csv: int | None = None
    columns: tuple[str, ...] = ()
    cells: Callable[[Event], tuple[Any, ...]] | None = None
    console: int | None = None
    cell: Cell | None = None


def _text(document: Document, name: str) -> str:
    return str(document[name])


def _whole(document: Document, name: str) -> int:
    return int(document[name])


def _plain(name: str, type_: type[str] | type[int], description: str = "", **outputs: Any) -> Field:
    """A field of text or whole numbers, which all outputs have as it is."""
    read = partial(_text if type_ is str else _whole, name=name)
    return Field(name, type_, description, attrgetter(name), read=read, columns=(name,), **outputs)


def _moment(document: Document) -> str:
    """Capture time as it can be given to --since; from the number when the date is none."""
    moment = document.get("timestamp")
    if not isinstance(moment, datetime):
        try:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=document["time_us"])
        except (TypeError, OverflowError):
            return str(document["time_us"])
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _percent(document: Document) -> Any:
    confidence = document.get("confidence")
    return f"{confidence:.2f}" if isinstance(confidence, float) else confidence


def _box_cell(document: Document) -> Any:
    box = document.get("boundingbox")
    return " ".join(map(str, box)) if isinstance(box, list) else box or "whole frame"


def _crop_cell(document: Document) -> str:
    crop = document.get("crop")
    if not (isinstance(crop, str) and crop):
        return "none"
    return f"{crop if len(crop) <= 17 else f'{crop[:16]}…'} ({len(crop)} characters)"


def _read_box(document: Document) -> Box | None:
    box = document.get("boundingbox")
    return (int(box[0]), int(box[1]), int(box[2]), int(box[3])) if box else None


def _column(name: str, width: int) -> Cell:
    return Cell(name, width, lambda document: document.get(name))


FIELDS: Final = (
    Field(
        "id", str, "stream/run/frame/model/index", attrgetter("id"),
        json=0, document=0, stored_as="_id", csv=15, columns=("id",),
    ),
    _plain("stream", str, json=1, document=1, csv=3, console=1, cell=_column("stream", 16)),
    _plain("run", str, "id of the producer's run", json=2, document=2, csv=7),
    _plain(
        "frame", int, "number of the frame in the run",
        json=3, document=3, csv=8, console=2, cell=_column("frame", 7),
    ),
    Field(
        "file", str | None, "name of the picture's own file; null for a frame of a video or camera",
        attrgetter("file"), json=4, document=4,
        read=lambda d: None if d.get("file") is None else str(d["file"]),
        csv=9, columns=("file",), cells=lambda e: (e.file or "",),
    ),
    Field(
        "index", int, "of this among what is seen in the frame, from 0", attrgetter("index"),
        json=5, read=lambda d: int(str(d["_id"]).rpartition("/")[2]), csv=10, columns=("index",),
    ),
    Field(
        "timestamp", str, "capture time, ISO 8601 in UTC", lambda e: written(e.time_us),
        json=6, document=5, store=attrgetter("timestamp"), csv=1, columns=("timestamp",),
        console=0, cell=Cell("time (UTC)", 24, _moment),
    ),
    _plain("time_us", int, "capture time, microseconds since 1970 UTC", json=7, document=6, csv=2),
    _plain("label", str, json=8, document=7, csv=4, console=3, cell=_column("label", 14)),
    Field(
        "confidence", float, "0 to 1", attrgetter("confidence"),
        json=9, document=8, store=lambda e: float(e.confidence), read=lambda d: float(d["confidence"]),
        csv=5, columns=("confidence",), console=4, cell=Cell("confidence", 10, _percent),
    ),
    Field(
        "scores", list[EventScore], "best labels, best first, at most five",
        lambda e: [EventScore(*one) for one in e.scores],
        json=12, document=9, store=lambda e: [{"label": label, "score": float(score)} for label, score in e.scores],
        read=lambda d: tuple((str(one["label"]), float(one["score"])) for one in d.get("scores") or ()),
        csv=12, columns=("scores",),
        cells=lambda e: ("; ".join(f"{label} {score:.4f}" for label, score in e.scores),),
    ),
    Field(
        "boundingbox", Box | None,
        "left, top, width, height in pixels of the frame; null for a label of the whole frame",
        attrgetter("boundingbox"),
        json=10, document=10, store=lambda e: [int(side) for side in e.boundingbox] if e.boundingbox else None,
        read=_read_box, csv=6, columns=("left", "top", "width", "height"),
        cells=lambda e: e.boundingbox or (None,) * 4, console=5, cell=Cell("box", 19, _box_cell),
    ),
    Field(
        "landmarks", Points | None, "points in pixels of the frame", lambda e: list(e.landmarks) or None,
        json=11, document=11, store=lambda e: [[float(at) for at in point] for point in e.landmarks] or None,
        read=lambda d: tuple((float(x), float(y)) for x, y in d.get("landmarks") or ()),
    ),
    _plain("model", str, "name and content hash of the classifier", json=13, document=12, csv=11),
    _plain("partition", int, "of the frame in Kafka", json=14, document=13, csv=13),
    _plain("offset", int, "of the frame in Kafka", json=15, document=14, csv=14),
    Field(
        "crop", bytes, "JPEG file of what was seen", attrgetter("crop"),
        document=15, store=lambda e: base64.b64encode(e.crop).decode(),
        read=lambda d: base64.b64decode(d.get("crop") or "", validate=True),
        console=6, cell=Cell("picture (base64)", 0, _crop_cell),
    ),
)  # fmt: skip


def _in_order(position: Callable[[Field], int | None]) -> tuple[Field, ...]:
    there = [field for field in FIELDS if position(field) is not None]
    return tuple(sorted(there, key=lambda field: position(field) or 0))


JSON_FIELDS: Final = _in_order(attrgetter("json"))
DOCUMENT_FIELDS: Final = _in_order(attrgetter("document"))
READ_FIELDS: Final = tuple(field for field in FIELDS if field.read)
CSV_FIELDS: Final = _in_order(attrgetter("csv"))
CONSOLE_FIELDS: Final = _in_order(attrgetter("console"))
