"""Boxes, landmarks and labels drawn on a picture."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import cv2

from vision.types import Detection, Image

# Dark-on-light readable colours (BGR) told apart by people with colour blindness too: Okabe and Ito, 2008.
_COLOURS = [(115, 158, 0), (178, 114, 0), (0, 94, 213), (167, 121, 204), (233, 180, 86), (0, 159, 230)]
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def annotated(image: Image, detections: Sequence[Detection]) -> Image:
    """A copy of the picture with each detection drawn; whole-frame labels stand in the upper left corner."""
    drawn = image.copy()
    thickness = max(2, round(min(image.shape[:2]) / 240))
    corner_y = 0
    for detection in detections:
        colour = colour_of(detection.label)
        caption = f"{detection.label} {detection.confidence:.2f}"
        if detection.box is None:
            corner_y += _draw_caption(drawn, caption, (0, corner_y), colour, thickness)
            continue
        x, y, width, height = detection.box
        cv2.rectangle(drawn, (x, y), (x + width - 1, y + height - 1), colour, thickness)
        _draw_caption(drawn, caption, (x, y - _line_height(thickness)), colour, thickness)
        for point in detection.landmarks:
            cv2.circle(drawn, (round(point[0]), round(point[1])), thickness, colour, cv2.FILLED)
    return drawn


def colour_of(label: str) -> tuple[int, int, int]:
    """The label's colour (blue, green, red): the same one everywhere and always."""
    return _COLOURS[zlib.crc32(label.encode()) % len(_COLOURS)]


def _line_height(thickness: int) -> int:
    return 8 + 6 * thickness


def _draw_caption(
    drawn: Image, caption: str, corner: tuple[int, int], colour: tuple[int, int, int], thickness: int
) -> int:
    """White text on a filled box, moved inside the picture; returns the height it takes."""
    height, scale = _line_height(thickness), 0.2 + 0.13 * thickness
    (width, _), _ = cv2.getTextSize(caption, _FONT, scale, 1)
    x = max(0, min(corner[0], drawn.shape[1] - width - 4))
    y = max(0, corner[1])
    cv2.rectangle(drawn, (x, y), (x + width + 3, y + height - 1), colour, cv2.FILLED)
    cv2.putText(drawn, caption, (x + 2, y + height - 6), _FONT, scale, (255, 255, 255), 1, cv2.LINE_AA)
    return height
