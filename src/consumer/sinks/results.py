"""What was seen in a picture that has a name of its own, as one JSON object: ``NAME.json`` beside the events.

A frame delivered twice finds its result standing there and leaves it as it is. A later picture of the same name takes
its place; an earlier one that comes again does not.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from framewatch.consumer.processing import ClassifiedFrame
from framewatch.consumer.sinks.base import Sink
from framewatch.errors import SourceError
from framewatch.model.event import Event
from framewatch.model.frame import Frame
from framewatch.objects.base import Objects

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 8
_MAX_BYTES: Final = 4 * 1024 * 1024  # of a result; what is larger is none
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)

Document = dict[str, Any]


class ResultSink(Sink):
    """Writes results to a bucket or folder.

    Args:
        objects: where.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def setup(self) -> None:
        """Make what is needed.

        Raises:
            SettingError: the bucket is not there, or may not be used.
            ObjectsUnavailable: no answer.
        """
        self._objects.prepare()

    def add(self, frames: Sequence[ClassifiedFrame]) -> None:
        """Write the results of the frames that carry a name, several at once.

        Raises:
            SettingError: they may not be written.
            ObjectsUnavailable: no answer: some may be written, which does no harm when all come again.
        """
        newest: dict[str, ClassifiedFrame] = {}
        for one in frames:
            name = one.frame.name
            if name is not None and (name not in newest or newest[name].frame.time_us <= one.frame.time_us):
                newest[name] = one
        if not newest:
            return
        with ThreadPoolExecutor(_AT_ONCE, "results") as pool:
            writing = [pool.submit(self._write, name, one) for name, one in newest.items()]
            try:
                for done in as_completed(writing):
                    done.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _write(self, picture: str, classified: ClassifiedFrame) -> None:
        name = f"{picture}.json"
        try:
            standing = self._objects.find(name, _MAX_BYTES)
        except SourceError as error:
            _log.warning("%s: no result of ours: replaced", error)
            standing = None
        if standing is not None and is_as_new(standing, classified.frame, classified.model):
            return
        content = json.dumps(result_of(classified), ensure_ascii=False, indent=2) + "\n"
        self._objects.write(name, content.encode(), "application/json")


def result_of(classified: ClassifiedFrame) -> Document:
    """The result of a frame: the likeliest label first, then all that was classified, and of which frame.

    ``activity`` and ``confidence`` are null where nothing was classified.
    """
    frame = classified.frame
    best = max(classified.events, key=lambda event: event.confidence, default=None)
    return {
        "filename": frame.name,
        "activity": best.label if best else None,
        "confidence": float(best.confidence) if best else None,
        "timestamp": (_START + timedelta(microseconds=frame.time_us)).isoformat(timespec="microseconds"),
        "time_us": frame.time_us,
        "stream": frame.stream,
        "run": frame.run,
        "frame": frame.number,
        "model": classified.model,
        "detections": [_detection(event) for event in classified.events],
    }


def is_as_new(standing: bytes, frame: Frame, model: str) -> bool:
    """Whether a result that stands there is of this very frame and model, or of a later picture of that name."""
    try:
        document = json.loads(standing)
        standing_us = int(document["time_us"])
        same = (document["stream"], document["run"], document["frame"], document["model"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):  # cut off, or not ours
        return False
    return standing_us > frame.time_us or same == (frame.stream, frame.run, frame.number, model)


def _detection(event: Event) -> Document:
    return {
        "label": event.label,
        "confidence": float(event.confidence),
        "boundingbox": _integers(event.boundingbox),
        "scores": [{"label": label, "score": float(score)} for label, score in event.scores],
    }


def _integers(box: Sequence[int] | None) -> list[int] | None:
    return None if box is None else [int(side) for side in box]
