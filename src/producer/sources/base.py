"""What a source of pictures is, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from framewatch.vision.classifier import Image


class Picture(NamedTuple):
    """A picture of a source.

    Attributes:
        image: (height, width, 3) BGR.
        name: of its own file, or None where it has none: one of a video or camera.
    """

    image: Image
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A place pictures come from.

    Attributes:
        name: for messages; never with user or password.
        live: pictures come when they come, and one not taken is gone.
        fps: frames a second to play it at, or None when pictures have no pace of their own.
        count: pictures expected, or None when nobody knows.
        read: makes a new iterator of pictures from the start; raises SourceError.
    """

    name: str
    live: bool
    fps: float | None
    count: int | None
    read: Callable[[], Iterator[Picture]]


def unnamed(images: Iterable[Image]) -> Iterator[Picture]:
    """Pictures that are no files of their own."""
    for image in images:
        yield Picture(image)
