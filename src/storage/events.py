"""An event as a MongoDB document: the only place that knows its fields."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

US_PER_MINUTE = 60_000_000

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing seen in one frame.

    Attributes:
        stream: name of the stream.
        run: id of the producer's run.
        frame: number of the frame in the run.
        time_us: capture time, microseconds since 1970 UTC.
        index: of this detection in its frame, from 0.
        label: what was seen.
        confidence: 0 to 1.
        scores: best labels with their scores, best first, at most five.
        boundingbox: left, top, width, height in pixels of the frame, or None for a label of the whole frame.
        landmarks: points in pixels of the frame.
        model: name and content hash of the classifier.
        partition: of the frame in Kafka.
        offset: of the frame in Kafka, by which the whole frame can be read back while Kafka keeps it.
        crop: JPEG file of what was seen.
    """

    stream: str
    run: str
    frame: int
    time_us: int
    index: int
    label: str
    confidence: float
    model: str
    partition: int
    offset: int
    crop: bytes = b""
    boundingbox: tuple[int, int, int, int] | None = None
    landmarks: tuple[tuple[float, float], ...] = ()
    scores: tuple[tuple[str, float], ...] = ()

    @property
    def id(self) -> str:
        """``stream/run/frame/model/index``: the same frame gives the same id however often it is delivered."""
        return f"{self.stream}/{self.run}/{self.frame}/{self.model}/{self.index}"

    @property
    def timestamp(self) -> datetime:
        """Capture time, UTC."""
        return datetime.fromtimestamp(self.time_us // 1_000_000, UTC).replace(microsecond=self.time_us % 1_000_000)


def to_document(event: Event) -> Document:
    """The event as stored. ``timestamp`` is for people; ranges, order and paging go by ``time_us``."""
    return {
        "_id": event.id,
        "stream": event.stream,
        "run": event.run,
        "frame": event.frame,
        "timestamp": event.timestamp,
        "time_us": event.time_us,
        "label": event.label,
        "confidence": event.confidence,
        "scores": [{"label": label, "score": score} for label, score in event.scores],
        "boundingbox": list(event.boundingbox) if event.boundingbox else None,
        "landmarks": [list(point) for point in event.landmarks] or None,
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
        box = document["boundingbox"]
        return Event(
            stream=str(document["stream"]),
            run=str(document["run"]),
            frame=int(document["frame"]),
            time_us=int(document["time_us"]),
            index=int(str(document["_id"]).rsplit("/", 1)[1]),
            label=str(document["label"]),
            confidence=float(document["confidence"]),
            model=str(document["model"]),
            partition=int(document["partition"]),
            offset=int(document["offset"]),
            crop=base64.b64decode(document.get("crop") or "", validate=True),
            boundingbox=(int(box[0]), int(box[1]), int(box[2]), int(box[3])) if box else None,
            landmarks=tuple((float(x), float(y)) for x, y in document.get("landmarks") or ()),
            scores=tuple((str(s["label"]), float(s["score"])) for s in document.get("scores") or ()),
        )
    except (KeyError, IndexError, TypeError, ValueError, binascii.Error) as error:
        what = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"document {document.get('_id')!r} is no event: {what}") from None
