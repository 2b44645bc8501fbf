"""Where pictures come from: a video file, a folder of videos or pictures, a bucket, a webcam, a camera's address.

A source is opened, read picture by picture, and closed. One that ends early says so by a SourceError after its
last readable picture, so whoever reads it has sent what could be read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import cv2

from framewatch.errors import SourceError
from framewatch.objects.base import Access, natural_key
from framewatch.objects.open import is_bucket
from framewatch.producer.sources.base import Picture, Source, unnamed
from framewatch.producer.sources.bucket import open_bucket
from framewatch.producer.sources.camera import open_address, open_webcam, taken_apart
from framewatch.producer.sources.capture import (
    DEFAULT_FPS,
    FILE_PROTOCOLS,
    check_pixels,
    counted_images,
    fps_of,
    open_capture,
)
from framewatch.producer.sources.pictures import PICTURES, decoded, own_name
from framewatch.vision.images import MAX_SIDE

_log = logging.getLogger(__name__)

VIDEOS: Final = frozenset(
    {".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".ts", ".mjpeg", ".mjpg", ".wmv"}
)
# Containers that keep no index: FFmpeg guesses the number of frames from the duration.
_GUESSED: Final = frozenset({".mkv", ".webm", ".ts", ".mpg", ".mpeg"})


def open_source(
    text: str,
    sleep: Callable[[float], object],
    access: Access | None = None,
    wait_s: float = 60,
    max_pixels: int | None = None,
    max_side: int = MAX_SIDE,
) -> Source:
    """The source a person names: a path, a webcam's index, or an address.

    Args:
        text: as typed.
        sleep: waits the given seconds between tries to open a source again; raising ends the source.
        access: to the object store that buckets are in.
        wait_s: seconds to wait for an object store that does not answer from the start.
        max_pixels: of a picture of a single file, looked at before anything is decoded.
        max_side: pixels of the longer side of pictures that are a file each: larger ones are scaled down.

    Raises:
        SourceError: it cannot be read, and why.
    """
    path = text
    if is_bucket(text):
        return open_bucket(text, access or Access(), sleep, wait_s, max_side)
    if "://" in text:
        parts = taken_apart(text)
        if parts.scheme != "file":
            return open_address(text, sleep)
        if parts.netloc not in ("", "localhost"):
            raise SourceError(f"{text}: a file address has no host: file:///path/to/video.mp4")
        path = unquote(parts.path)
    elif text.isdecimal():
        return open_webcam(text, sleep)
    if not path:  # which would mean the current folder
        raise SourceError(f"got {text!r} as source: name a file, a folder, a webcam's index or an address")
    return _path(Path(path), max_pixels, max_side)


def _path(path: Path, max_pixels: int | None, max_side: int) -> Source:
    try:
        there, is_folder, is_file = path.exists(), path.is_dir(), path.is_file()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    if is_folder:
        return _folder(path, max_side)
    if not there:
        raise SourceError(f"{path}: no such file or folder, nor a webcam's index, nor an rtsp:// or http:// address")
    if not is_file:
        raise SourceError(f"{path}: neither a file nor a folder; a webcam is named by its index, such as 0")
    if path.suffix.lower() in PICTURES:
        return Source(
            path.name, live=False, fps=None, count=1, read=lambda: iter([_picture(path, max_side, max_pixels)])
        )
    return _video(path, max_pixels)


def _video(path: Path, max_pixels: int | None = None) -> Source:
    try:
        size = path.stat().st_size
    except OSError as error:  # gone since the folder was listed
        raise SourceError(f"{path}: {error.strerror}") from None
    if size == 0:
        raise SourceError(f"{path}: the file is empty")
    with open_capture(str(path), str(path), FILE_PROTOCOLS) as capture:
        fps, count = fps_of(capture), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    check_pixels(str(path), width, height, max_pixels)
    expected = count if count > 0 else None
    exact = path.suffix.lower() not in _GUESSED

    def read() -> Iterator[Picture]:
        return unnamed(counted_images(str(path), str(path), FILE_PROTOCOLS, expected, exact, max_pixels))

    return Source(path.name, live=False, fps=fps, count=expected, read=read)


def _folder(folder: Path, max_side: int) -> Source:
    try:
        content = sorted(folder.iterdir(), key=lambda path: natural_key(path.name))
        files = [file for file in content if file.suffix.lower() in PICTURES | VIDEOS and file.is_file()]
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from None
    if not files:
        raise SourceError(f"{folder}: no pictures or videos in it ({', '.join(sorted(PICTURES | VIDEOS))})")
    only_pictures = all(f.suffix.lower() in PICTURES for f in files)
    return Source(
        folder.resolve().name,
        live=False,
        fps=None if only_pictures else _fps_of(files),
        count=len(files) if only_pictures else None,
        read=lambda: _folder_frames(folder, files, max_side),
    )


def _fps_of(files: list[Path]) -> float:
    """Frames a second of the first video that can be opened."""
    for file in files:
        if file.suffix.lower() in VIDEOS:
            with suppress(SourceError):
                return _video(file).fps or DEFAULT_FPS
    return DEFAULT_FPS


def _folder_frames(folder: Path, files: list[Path], max_side: int) -> Iterator[Picture]:
    """Pictures of all files; one that cannot be read is named and passed over, and the end says how many."""
    broken = 0
    for file in files:
        try:
            if file.suffix.lower() in PICTURES:
                yield _picture(file, max_side)
            else:
                yield from _video(file).read()
        except SourceError as error:
            broken += 1
            _log.warning("%s", error)
    if broken:
        raise SourceError(f"{folder}: {broken} of {len(files)} files could not be read whole")


def _picture(path: Path, max_side: int, max_pixels: int | None = None) -> Picture:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    return Picture(decoded(content, str(path), max_side, max_pixels), own_name(path.name))
