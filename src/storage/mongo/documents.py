"""An event as a MongoDB document."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from framewatch.model.event import Event
from framewatch.storage.interface import Document

__all__ = ["Document", "from_document", "to_document"]


def to_document(event: Event) -> Document:
    """The event as stored. ``timestamp`` is for people; ranges, order and paging go by ``time_us``.

    Numbers become Python's own: BSON takes no other library's, and classifiers give them.
    """
    return {
        "_id": event.id,
        "stream": event.stream,
        "run": event.run,
        "frame": event.frame,
        "file": event.file,
        "timestamp": event.timestamp,
        "time_us": event.time_us,
        "label": event.label,
        "confidence": float(event.confidence),
        "scores": [{"label": label, "score": float(score)} for label, score in event.scores],
        "boundingbox": [int(side) for side in event.boundingbox] if event.boundingbox else None,
        "landmarks": [[float(at) for at in point] for point in event.landmarks] or None,
        "model": event.model,
        "partition": event.partition,
        "offset": event.offset,
        "crop": base64.b64encode(event.crop).decode(),
    }


def from_document(document: Mapping[str, Any]) -> Event:
    """The event of a document; without its crop when the document was read without.

    Raises:
        ValueError: the document is no event: which field is missing or cannot be read.
    """
    try:
        box = document.get("boundingbox")
        event = Event(
            stream=str(document["stream"]),
            run=str(document["run"]),
            frame=int(document["frame"]),
            time_us=int(document["time_us"]),
            index=int(str(document["_id"]).rpartition("/")[2]),
            label=str(document["label"]),
            confidence=float(document["confidence"]),
            model=str(document["model"]),
            partition=int(document["partition"]),
            offset=int(document["offset"]),
            crop=base64.b64decode(document.get("crop") or "", validate=True),
            boundingbox=(int(box[0]), int(box[1]), int(box[2]), int(box[3])) if box else None,
            landmarks=tuple((float(x), float(y)) for x, y in document.get("landmarks") or ()),
            file=None if document.get("file") is None else str(document["file"]),
            scores=tuple((str(s["label"]), float(s["score"])) for s in document.get("scores") or ()),
        )
        if event.id != document["_id"]:
            raise ValueError(f"its _id is not {event.id!r}")
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, binascii.Error) as error:
        what = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"document {document.get('_id')!r} is no event: {what}") from None
    return event
