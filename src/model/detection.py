"""A detection: one thing seen in one picture, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle in source pixels: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int

    def clipped(self, width: int, height: int) -> Box:
        """The part of the box inside a picture of the given size; of no area when it is all outside."""
        left, top = min(max(self.x, 0), width), min(max(self.y, 0), height)
        right = min(max(self.x + self.width, left), width)
        bottom = min(max(self.y + self.height, top), height)
        return Box(left, top, right - left, bottom - top)


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing seen in one picture.

    Attributes:
        label: what it is.
        confidence: 0 to 1.
        box: where, or None for a label of the whole frame.
        landmarks: points in source pixels, where the detector gives them.
        scores: every label with its score, best first; events keep the first five.
    """

    label: str
    confidence: float
    box: Box | None = None
    landmarks: tuple[tuple[float, float], ...] = ()
    scores: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no reader of events could use.

        Raises:
            ValueError: no label, or a confidence outside 0 to 1.
        """
        if not self.label:
            raise ValueError("a detection needs a label")
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence of {self.label!r} is {self.confidence}, not 0 to 1")
