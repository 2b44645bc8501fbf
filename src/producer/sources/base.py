"""What a source of pictures is, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from framewatch.objects.base import Access
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
class Request:
    """A source that somebody asks for.

    Attributes:
        text: as typed: a path, a webcam's index, or an address.
        sleep: waits the given seconds between tries to open a source again; raising ends the source.
        access: to the object store that buckets are in.
        wait_s: seconds to wait for an object store that does not answer from the start.
        max_pixels: of a picture of a single file, checked before anything is decoded; None for those of any camera.
        max_side: pixels of the longer side of pictures that are a file each: larger ones are scaled down.
    """

    text: str
    sleep: Callable[[float], object]
    access: Access
    wait_s: float
    max_pixels: int | None
    max_side: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where pictures come from, opened.

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
