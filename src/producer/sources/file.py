"""Files: a video, or one picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2

from framewatch.errors import SourceError
from framewatch.producer.sources.base import Picture, Source, unnamed
from framewatch.producer.sources.capture import (
    FILE_OPTIONS,
    check_pixels,
    counted_images,
    fps_of,
    open_capture,
)
from framewatch.producer.sources.pictures import PICTURES, decoded, own_name

VIDEOS: Final = frozenset(
    {".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".ts", ".mjpeg", ".mjpg", ".wmv"}
)
# Containers that keep no index: FFmpeg guesses the number of frames from the duration.
_GUESSED: Final = frozenset({".mkv", ".webm", ".ts", ".mpg", ".mpeg"})


def open_file(path: Path, max_side: int, max_pixels: int | None = None) -> Source:
    """The picture or video in a file.

    Args:
        path: of the file, which exists.
        max_side: pixels of a picture's longer side: a larger one is scaled down.
        max_pixels: of a picture, checked before anything is decoded.

    Raises:
        SourceError: it cannot be read.
    """
    if path.suffix.lower() not in PICTURES:
        return _video(path, max_pixels)
    return Source(path.name, live=False, fps=None, count=1, read=lambda: iter([_picture(path, max_side, max_pixels)]))


def _video(path: Path, max_pixels: int | None = None) -> Source:
    try:
        size = path.stat().st_size
    except OSError as error:  # gone since the folder was listed
        raise SourceError(f"{path}: {error.strerror}") from None
    if size == 0:
        raise SourceError(f"{path}: the file is empty")
    with open_capture(str(path), str(path), FILE_OPTIONS) as capture:
        fps, count = fps_of(capture), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    check_pixels(str(path), width, height, max_pixels)
    expected = count if count > 0 else None
    exact = path.suffix.lower() not in _GUESSED

    def read() -> Iterator[Picture]:
        return unnamed(counted_images(str(path), str(path), FILE_OPTIONS, expected, exact, max_pixels))

    return Source(path.name, live=False, fps=fps, count=expected, read=read)


def _picture(path: Path, max_side: int, max_pixels: int | None = None) -> Picture:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    return Picture(decoded(content, str(path), max_side, max_pixels), own_name(path.name))
