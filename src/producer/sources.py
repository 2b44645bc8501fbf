"""Where pictures come from: a video file, a folder of videos or pictures, a webcam, an RTSP or HTTP address.

A source is opened, read picture by picture, and closed. One that ends early says so by a SourceError after its
last readable picture, so whoever reads it has sent what could be read.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import cv2
import numpy as np

from errors import SourceError
from producer.capture import DEFAULT_FPS, FILE_PROTOCOLS, NETWORK_PROTOCOLS, fps_of, next_image, open_capture
from vision.types import Image

_log = logging.getLogger(__name__)

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
VIDEOS: Final = frozenset(
    {".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".ts", ".mjpeg", ".mjpg", ".wmv"}
)
SCHEMES: Final = ("rtsp", "rtsps", "http", "https")

_OPEN_TRIES: Final = 3
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 10.0
_LARGEST_INDEX: Final = 9999
_MISSES: Final = 64  # unreadable frames in a row after which a video is at its end
_GUESSED: Final = frozenset({".mkv", ".webm", ".ts", ".mpg", ".mpeg"})


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
    read: Callable[[], Iterator[Image]]


def open_source(text: str, sleep: Callable[[float], object]) -> Source:
    """The source a person names: a path, a webcam's index, or an address.

    Args:
        text: as typed.
        sleep: waits the given seconds between tries to open a live source again; raising ends the source.

    Raises:
        SourceError: it cannot be read, and why.
    """
    if "://" in text:
        return _address(text, sleep)
    if text.isdecimal():
        if len(text) > 4:
            raise SourceError(f"{text[:40]}: a webcam's index is 0 to {_LARGEST_INDEX}")
        return _live(f"webcam {text}", int(text), sleep)
    path = Path(text)
    try:
        there, is_folder = path.exists(), path.is_dir()
    except OSError as error:
        raise SourceError(f"{text}: {error.strerror}") from None
    if is_folder:
        return _folder(path)
    if not there:
        raise SourceError(f"{text}: no such file or folder, nor a webcam's index, nor an rtsp:// or http:// address")
    if path.suffix.lower() in PICTURES:
        return Source(path.name, live=False, fps=None, count=1, read=lambda: iter([_picture(path)]))
    return _video(path)


def without_credentials(address: str) -> str:
    """The address without user, password, query and fragment.

    >>> without_credentials("rtsp://admin:secret@cam/1?token=x")
    'rtsp://cam/1'
    """
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _video(path: Path) -> Source:
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty")
    with open_capture(str(path), str(path), FILE_PROTOCOLS) as capture:
        fps, count = fps_of(capture), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    expected = count if count > 0 else None
    return Source(path.name, live=False, fps=fps, count=expected, read=lambda: _video_frames(path, expected))


def _video_frames(path: Path, expected: int | None) -> Iterator[Image]:
    exact = path.suffix.lower() not in _GUESSED
    return _counted(str(path), str(path), FILE_PROTOCOLS, expected, exact)


def _counted(device: str, name: str, protocols: str, expected: int | None, exact: bool) -> Iterator[Image]:
    """All readable frames of what has an end, then an error when they are fewer than there should be."""
    with open_capture(device, name, protocols) as capture:
        read = misses = 0
        # One unreadable packet is not the end: OpenCV says False for it and goes on when asked again.
        while misses <= (_MISSES if expected else 0):
            if (image := next_image(capture)) is None:
                misses += 1
                continue
            read, misses = read + 1, 0
            yield image
    if read == 0:
        raise SourceError(f"{name}: a video without a single readable frame")
    # Containers that keep no index guess the count from the duration, so the last few may not exist.
    if expected and read < (expected - 2 if exact else 0.95 * expected - 2):
        raise SourceError(f"{name}: cut off or damaged: {read} of about {expected} frames could be read")


def _folder(folder: Path) -> Source:
    files = [
        f for f in sorted(folder.iterdir(), key=_natural) if f.suffix.lower() in PICTURES | VIDEOS and f.is_file()
    ]
    if not files:
        raise SourceError(f"{folder}: no pictures or videos in it ({', '.join(sorted(PICTURES | VIDEOS))})")
    only_pictures = all(f.suffix.lower() in PICTURES for f in files)
    return Source(
        folder.resolve().name,
        live=False,
        fps=None if only_pictures else _fps_of(files),
        count=len(files) if only_pictures else None,
        read=lambda: _folder_frames(folder, files),
    )


def _fps_of(files: list[Path]) -> float:
    """Frames a second of the first video that can be opened."""
    for file in files:
        if file.suffix.lower() in VIDEOS:
            with suppress(SourceError):
                return _video(file).fps or DEFAULT_FPS
    return DEFAULT_FPS


def _folder_frames(folder: Path, files: list[Path]) -> Iterator[Image]:
    """Pictures of all files; one that cannot be read is named and passed over, and the end says how many."""
    broken = 0
    for file in files:
        try:
            if file.suffix.lower() in PICTURES:
                yield _picture(file)
            else:
                yield from _video(file).read()
        except SourceError as error:
            broken += 1
            _log.warning("%s", error)
    if broken:
        raise SourceError(f"{folder}: {broken} of {len(files)} files could not be read whole")


def _picture(path: Path) -> Image:
    try:
        # Not cv2.imread: it takes no path that the locale cannot say on some systems.
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error) as error:
        raise SourceError(f"{path}: {error}") from None
    if image is None:
        raise SourceError(f"{path}: not a picture that can be read")
    return np.asarray(image, np.uint8)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sort key under which ``frame2`` stands before ``frame10``."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _address(address: str, sleep: Callable[[float], object]) -> Source:
    parts = _taken_apart(address)
    name = without_credentials(address)
    if parts.scheme == "file":
        return open_source(unquote(parts.path), sleep)
    if parts.scheme not in SCHEMES:
        raise SourceError(f"{name}: the scheme is {parts.scheme!r}; one of file, {', '.join(SCHEMES)}")
    if not parts.hostname:
        raise SourceError(f"{name}: the address names no host")
    with open_capture(address, name, NETWORK_PROTOCOLS) as capture:
        count, fps = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), fps_of(capture)
    if count > 0:  # a file on a web server: it has an end
        return Source(
            name,
            live=False,
            fps=fps,
            count=count,
            read=lambda: _counted(address, name, NETWORK_PROTOCOLS, count, exact=False),
        )
    return _live(name, address, sleep)


def _taken_apart(address: str) -> SplitResult:
    """The parts of the address; nothing of one that has none is shown, for a password may stand anywhere in it."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise SourceError(
            "the address cannot be taken apart: its port must be a number up to 65535, and in a user name or "
            "password / ? # [ ] @ : are written %2F %3F %23 %5B %5D %40 %3A"
        ) from None
    return parts


def _live(name: str, device: str | int, sleep: Callable[[float], object]) -> Source:
    return Source(name, live=True, fps=None, count=None, read=lambda: _live_frames(name, device, sleep))


def _live_frames(name: str, device: str | int, sleep: Callable[[float], object]) -> Iterator[Image]:
    """Pictures as they come. What breaks is opened again, each wait twice the last up to ten seconds.

    A source that never gave a picture is given up after three tries; one that did is waited for as long as it takes.
    """
    worked, failures = False, 0
    while True:
        try:
            with open_capture(device, name, NETWORK_PROTOCOLS) as capture:
                while (image := next_image(capture)) is not None:
                    worked, failures = True, 0
                    yield image
            reason = f"{name}: no more pictures come"
        except SourceError as error:
            reason = str(error)
        failures += 1
        if not worked and failures >= _OPEN_TRIES:
            raise SourceError(f"{reason} (tried {failures} times)")
        wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(failures - 1, 10))
        _log.warning("%s; opening it again in %.1f s", reason, wait_s)
        sleep(wait_s)
