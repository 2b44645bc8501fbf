"""Boxes, landmarks and labels drawn on a picture."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2

from framewatch.model.detection import Box, Detection
from framewatch.vision.classifier import Image
from framewatch.vision.jpeg import decode_img, encode_jpeg

# Dark-on-light readable colours (BGR) that people with colour blindness can tell apart: Okabe and Ito, 2008.
_COLOURS: Final = [
    (115, 158, 0), (178, 114, 0), (0, 94, 213), (167, 121, 204),
    (233, 180, 86), (0, 159, 230), (193, 97, 134), (0, 168, 168),
]  # fmt: skip
_BRIGHT: Final = 140  # luminance from which black text can be read better than white
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_SMALLEST: Final = 0.3  # scale of the font that can just be read
_QUALITY: Final = 80


def annotated_jpeg(jpeg: bytes, detections: Sequence[Detection], labels: Sequence[str] = ()) -> bytes:
    """The picture in a JPEG file with each detection drawn, as a JPEG file; otherwise as ``annotated``.

    Raises:
        BadPicture: the file is none, or not whole.
    """
    return encode_jpeg(annotated(decode_img(jpeg), detections, labels), _QUALITY)


def annotated(image: Image, detections: Sequence[Detection], labels: Sequence[str] = ()) -> Image:
    """A copy of the picture with each detection drawn; whole-frame labels stand in the upper left corner.

    Captions come last, so that no box crosses one, and each has a spot of its own where there is one.

    Args:
        image: the picture.
        detections: to be drawn.
        labels: of the model, in index order: each has its colour by its index.
    """
    drawn = image.copy()
    thickness = max(2, round(min(image.shape[:2]) / 240))
    for detection in detections:
        colour = colour_of(detection.label, labels)
        if detection.box is not None:
            x, y, width, height = detection.box
            cv2.rectangle(drawn, (x, y), (x + width - 1, y + height - 1), colour, thickness)
        for point in detection.landmarks:
            cv2.circle(drawn, (round(point[0]), round(point[1])), thickness, colour, cv2.FILLED)
    for caption in _captions(detections, labels, image.shape[1], image.shape[0], thickness):
        _draw(drawn, caption)
    return drawn


def colour_of(label: str, labels: Sequence[str] = ()) -> tuple[int, int, int]:
    """The label's colour (blue, green, red), the same as on the pages.

    Args:
        label: to be drawn.
        labels: of the model: no two of its first eight share a colour. A label that is not among them has one by its
            name.
    """
    index = labels.index(label) if label in labels else zlib.crc32(label.encode())
    return _COLOURS[index % len(_COLOURS)]


@dataclass(frozen=True, slots=True)
class _Caption:
    text: str
    scale: float
    box: Box
    colour: tuple[int, int, int]


def _captions(
    detections: Sequence[Detection], labels: Sequence[str], width: int, height: int, thickness: int
) -> list[_Caption]:
    """Each inside the picture, and clear of the others and of other boxes where that can be."""
    line = 8 + 6 * thickness
    captions: list[_Caption] = []
    corner_y = 0
    for detection in sorted(detections, key=lambda detection: detection.box is not None):
        text = f"{detection.label} {detection.confidence:.2f}"
        scale, text_width = _fitted(text, 0.2 + 0.13 * thickness, width - 4)
        if detection.box is None:
            box = Box(0, corner_y, text_width + 4, line)
            corner_y += line
        else:
            others = [other.box for other in detections if other is not detection and other.box is not None]
            taken = [caption.box for caption in captions]
            wanted = [
                Box(max(0, min(x, width - text_width - 4)), max(0, min(y, height - line)), text_width + 4, line)
                for x, y in _corners(detection.box, text_width + 4, line)
            ]
            # The least bad spot, the earlier one of equals: a hidden caption is worse than a hidden part of a face,
            # and a hidden edge is nothing beside a caption far from its box.
            third = max(1, (text_width + 4) * line // 3)
            box = min(wanted, key=lambda box: (_hidden(box, taken), _hidden(box, others) // third))
        captions.append(_Caption(text, scale, box, colour_of(detection.label, labels)))
    return captions


def _corners(box: Box, width: int, line: int) -> Iterator[tuple[int, int]]:
    """Where a caption may begin, best first: above the box, below it, inside it, at either edge; further off last."""
    right = box.x + box.width - width
    below, last = box.y + box.height, box.y + box.height - line
    for y in (box.y - line, below, box.y, last):
        yield box.x, y
        yield right, y
    for lines in (1, 2, 3):
        yield from ((box.x, y) for y in (box.y - (lines + 1) * line, below + lines * line, box.y + lines * line))


def _hidden(box: Box, others: Sequence[Box]) -> int:
    """Pixels of the others that would be hidden."""
    across_down = (
        (
            min(box.x + box.width, other.x + other.width) - max(box.x, other.x),
            min(box.y + box.height, other.y + other.height) - max(box.y, other.y),
        )
        for other in others
    )
    return sum(across * down for across, down in across_down if across > 0 and down > 0)


def _fitted(text: str, scale: float, width: int) -> tuple[float, int]:
    """The scale at which the text fits the width, where it can still be read then; and the width it takes."""
    (takes, _), _ = cv2.getTextSize(text, _FONT, scale, 1)
    if takes > width:
        scale = max(_SMALLEST, scale * width / takes)
        (takes, _), _ = cv2.getTextSize(text, _FONT, scale, 1)
    return scale, takes


def _draw(drawn: Image, caption: _Caption) -> None:
    x, y, width, height = caption.box
    blue, green, red = caption.colour
    bright = 0.114 * blue + 0.587 * green + 0.299 * red > _BRIGHT
    text = (0, 0, 0) if bright else (255, 255, 255)
    cv2.rectangle(drawn, (x, y), (x + width - 1, y + height - 1), caption.colour, cv2.FILLED)
    cv2.putText(drawn, caption.text, (x + 2, y + height - 6), _FONT, caption.scale, text, 1, cv2.LINE_AA)
