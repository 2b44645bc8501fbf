"""What is seen in a record: parse, decode, classify, crop, annotate. Pure: bytes in, outcome out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from errors import BadRecord
from storage.events import Event
from stream.message import Frame, Record, from_record
from vision.annotate import annotated
from vision.jpeg import decode_img, encode_jpeg, scaled_down
from vision.types import Box, Classifier, Detection, Image

CROP_SIDE: Final = 320
_LIVE_QUALITY: Final = 80
_CROP_QUALITY: Final = 85


@dataclass(frozen=True, slots=True)
class Received:
    """A record and its place in Kafka."""

    topic: str
    partition: int
    offset: int
    record: Record


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in a frame.

    Attributes:
        received: the frame's record.
        frame: the frame.
        events: one for each detection.
        annotated_jpeg: the picture with the detections drawn.
        detect_s: seconds the classifier took for this frame.
    """

    received: Received
    frame: Frame
    events: Sequence[Event]
    annotated_jpeg: bytes
    detect_s: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that is no frame that can be classified, and why."""

    received: Received
    reason: str
    detail: str


Outcome = Seen | Rejected


def examine(batch: Sequence[Received], classifier: Classifier) -> list[Outcome]:
    """The outcome of each record, in their order. Never raises for what a record holds."""
    outcomes: list[Outcome | None] = [None] * len(batch)
    frames: list[tuple[int, Frame, Image]] = []
    for position, received in enumerate(batch):
        try:
            frames.append((position, *_decoded(received.record)))
        except BadRecord as error:
            outcomes[position] = Rejected(received, error.reason, str(error))
    if frames:
        started = time.perf_counter()
        try:
            found = classifier.classify([image for _, _, image in frames])
            if len(found) != len(frames):
                raise ValueError(f"{len(found)} answers for {len(frames)} pictures")
        except Exception as error:  # a classifier may fail in any way on one picture; the stream goes on
            found = None
            failure = f"{type(error).__name__}: {error}"
        detect_s = (time.perf_counter() - started) / len(frames)
        for k, (position, frame, image) in enumerate(frames):
            received = batch[position]
            if found is None:
                outcomes[position] = Rejected(received, "classifier", failure)
                continue
            try:
                outcomes[position] = _seen(received, frame, image, found[k], classifier.model, detect_s)
            except ValueError as error:  # a label or box that no event can have
                outcomes[position] = Rejected(received, "classifier", str(error))
    return [outcome for outcome in outcomes if outcome is not None]


def _decoded(record: Record) -> tuple[Frame, Image]:
    frame = from_record(record)
    image = decode_img(frame.jpeg)
    if image.shape[:2] != (frame.height, frame.width):
        got = f"{image.shape[1]}x{image.shape[0]}"
        raise BadRecord("size", f"headers say {frame.width}x{frame.height}, the picture is {got}")
    return frame, image


def _seen(
    received: Received,
    frame: Frame,
    image: Image,
    detections: Sequence[Detection],
    model: str,
    detect_s: float,
) -> Seen:
    events = [
        Event(
            stream=frame.stream,
            run=frame.run,
            frame=frame.number,
            time_us=frame.time_us,
            index=index,
            label=detection.label,
            confidence=detection.confidence,
            scores=detection.scores,
            boundingbox=detection.box,
            landmarks=detection.landmarks,
            model=model,
            partition=received.partition,
            offset=received.offset,
            crop=encode_jpeg(_crop(image, detection.box), _CROP_QUALITY),
        )
        for index, detection in enumerate(detections)
    ]
    return Seen(received, frame, events, encode_jpeg(annotated(image, detections), _LIVE_QUALITY), detect_s)


def _crop(image: Image, box: Box | None) -> Image:
    """The part of the picture in the box, or all of it, with sides of at most ``CROP_SIDE`` pixels."""
    if box is None:
        return scaled_down(image, CROP_SIDE)
    x, y, width, height = box.clipped(image.shape[1], image.shape[0])
    return scaled_down(image[y : y + max(1, height), x : x + max(1, width)], CROP_SIDE)
