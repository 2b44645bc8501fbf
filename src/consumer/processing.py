"""A record made into a classified frame, or a dead letter: parse, decode, classify, crop. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from framewatch.errors import BadRecord
from framewatch.kafka.record import Record, from_record
from framewatch.model.detection import Box, Detection
from framewatch.model.event import Event
from framewatch.model.frame import Frame, TopicPartition
from framewatch.vision.classifier import Classifier, Image
from framewatch.vision.jpeg import decode_img, encode_jpeg, scaled_down

CROP_SIDE: Final = 320
_CROP_QUALITY: Final = 85
_STORED_SCORES: Final = 5
_CROP_BYTES: Final = 128 * 1024  # a file that small may be larger only by what is no picture
_MAX_DECODED: Final = 96 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ConsumedRecord:
    """A record, and where in Kafka it was read."""

    topic: str
    partition: int
    offset: int
    record: Record

    @property
    def topic_partition(self) -> TopicPartition:
        """The partition that it was read from."""
        return TopicPartition(self.topic, self.partition)


@dataclass(frozen=True, slots=True)
class ClassifiedFrame:
    """A frame with its detections and events.

    Attributes:
        consumed: the frame's record.
        frame: the frame.
        detections: of the frame.
        events: one for each detection.
        model: name and content hash of the classifier.
        detect_s: seconds the classifier took for this frame.
        smoothed: detections with smoothed labels, once it has been shown.
    """

    consumed: ConsumedRecord
    frame: Frame
    detections: Sequence[Detection]
    events: Sequence[Event]
    model: str
    detect_s: float
    smoothed: Sequence[Detection] = ()


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be classified, and why."""

    consumed: ConsumedRecord
    reason: str
    detail: str


Outcome = ClassifiedFrame | DeadLetter


@dataclass(frozen=True, slots=True)
class _Picture:
    """A frame whose picture is decoded."""

    consumed: ConsumedRecord
    frame: Frame
    image: Image


def process(
    batch: Sequence[ConsumedRecord], classifier: Classifier, max_decoded: int = _MAX_DECODED
) -> list[Outcome]:
    """The outcome of each record, in their order. Never raises for what a record holds.

    Args:
        batch: shown to the classifier in one call, where the pictures are not too large for it.
        classifier: looks at the pictures.
        max_decoded: bytes of pictures decoded at once; one alone may be larger.
    """
    return [outcome for part in _parts(batch, max_decoded) for outcome in _processed(part, classifier)]


def _parts(
    batch: Sequence[ConsumedRecord], max_decoded: int
) -> Iterator[list[tuple[ConsumedRecord, Frame | DeadLetter]]]:
    """The batch with its frames not decoded yet, in parts whose pictures take little enough memory together."""
    part: list[tuple[ConsumedRecord, Frame | DeadLetter]] = []
    decoded = 0
    for consumed in batch:
        frame = _parsed(consumed)
        size = 3 * frame.width * frame.height if isinstance(frame, Frame) else 0
        if part and decoded + size > max_decoded:
            yield part
            part, decoded = [], 0
        part.append((consumed, frame))
        decoded += size
    yield part


def _parsed(consumed: ConsumedRecord) -> Frame | DeadLetter:
    try:
        return from_record(consumed.record)
    except BadRecord as error:
        return DeadLetter(consumed, error.reason, str(error))


def _processed(part: Sequence[tuple[ConsumedRecord, Frame | DeadLetter]], classifier: Classifier) -> list[Outcome]:
    outcomes: list[DeadLetter | None] = []
    pictures: list[_Picture] = []
    for consumed, frame in part:
        if isinstance(frame, DeadLetter):
            outcomes.append(frame)
            continue
        try:
            pictures.append(_Picture(consumed, frame, _decoded(frame)))
            outcomes.append(None)
        except BadRecord as error:
            outcomes.append(DeadLetter(consumed, error.reason, str(error)))
    classified = iter(_classified(pictures, classifier) if pictures else ())
    return [next(classified) if outcome is None else outcome for outcome in outcomes]


def _decoded(frame: Frame) -> Image:
    image = decode_img(frame.jpeg)
    if image.shape[:2] != (frame.height, frame.width):
        got = f"{image.shape[1]}x{image.shape[0]}"
        raise BadRecord("size", f"headers say {frame.width}x{frame.height}, the picture is {got}")
    return image


def _classified(pictures: Sequence[_Picture], classifier: Classifier) -> list[Outcome]:
    """All at once; where that fails, one by one, so that one picture does not take the others with it."""
    started = time.perf_counter()
    try:
        found = classifier.classify([p.image for p in pictures], [_video_of(p.frame) for p in pictures])
        if len(found) != len(pictures):
            raise ValueError(f"{len(found)} answers for {len(pictures)} pictures")
    except Exception as error:  # a classifier may fail in any way on one picture; the stream goes on
        if len(pictures) > 1:
            return [outcome for picture in pictures for outcome in _classified([picture], classifier)]
        return [DeadLetter(pictures[0].consumed, "classifier", f"{type(error).__name__}: {error}")]
    detect_s = (time.perf_counter() - started) / len(pictures)
    outcomes: list[Outcome] = []
    for picture, detections in zip(pictures, found, strict=True):
        try:
            outcomes.append(_classified_frame(picture, detections, classifier.model, detect_s))
        except ValueError as error:  # a label or box that no event can have
            outcomes.append(DeadLetter(picture.consumed, "classifier", str(error)))
    return outcomes


def _video_of(frame: Frame) -> str | None:
    """What the frame goes on with: the run of its stream. A picture with a name of its own is no part of a video."""
    return None if frame.name is not None else f"{frame.stream}/{frame.run}"


def _classified_frame(
    picture: _Picture, detections: Sequence[Detection], model: str, detect_s: float
) -> ClassifiedFrame:
    consumed, frame = picture.consumed, picture.frame
    events = [
        Event(
            stream=frame.stream,
            run=frame.run,
            frame=frame.number,
            time_us=frame.time_us,
            index=index,
            label=detection.label,
            confidence=detection.confidence,
            scores=detection.scores[:_STORED_SCORES],
            boundingbox=detection.box,
            landmarks=detection.landmarks,
            model=model,
            partition=consumed.partition,
            offset=consumed.offset,
            crop=_crop(picture, detection.box),
            file=frame.name,
        )
        for index, detection in enumerate(detections)
    ]
    return ClassifiedFrame(consumed, frame, detections, events, model, detect_s)


def _crop(picture: _Picture, box: Box | None) -> bytes:
    """The part of the picture in the box, or all of it, as a JPEG with sides of at most ``CROP_SIDE`` pixels."""
    image, frame = picture.image, picture.frame
    if box is None:
        if max(frame.width, frame.height) <= CROP_SIDE and _is_only_a_picture(frame.jpeg):
            return frame.jpeg  # encoding it again would cost time, and quality
        return encode_jpeg(scaled_down(image, CROP_SIDE), _CROP_QUALITY)
    x, y, width, height = box.clipped(image.shape[1], image.shape[0])
    part = image[y : y + max(1, height), x : x + max(1, width)]
    return encode_jpeg(scaled_down(part, CROP_SIDE), _CROP_QUALITY)


def _is_only_a_picture(jpeg: bytes) -> bool:
    """Whether the file is small and free of Exif, which could turn the picture and may tell who took it and where."""
    return len(jpeg) <= _CROP_BYTES and b"Exif\0" not in jpeg
