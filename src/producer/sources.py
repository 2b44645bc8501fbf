"""Where pictures come from: a video file, a folder of videos or pictures, a webcam, an RTSP or HTTP address.

A source is opened, read picture by picture, and closed. One that ends early says so by a SourceError after its
last readable picture, so whoever reads it has sent what could be read.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import cv2
import numpy as np

from errors import SourceError
from vision.types import Image

_log = logging.getLogger(__name__)

# FFmpeg and OpenCV write to the console what our own messages say better, addresses with passwords among it.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
VIDEOS: Final = frozenset(
    {".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".ts", ".mjpeg", ".mjpg", ".wmv"}
)
SCHEMES: Final = ("rtsp", "rtsps", "http", "https")

_DEFAULT_FPS: Final = 25.0
_OPEN_TRIES: Final = 3
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 10.0
# What FFmpeg may open besides the thing named: a file that lists addresses must not make us call them.
_FILE_PROTOCOLS: Final = "protocol_whitelist;file"
_NETWORK_PROTOCOLS: Final = "protocol_whitelist;rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,crypto,httpproxy"


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
        return _live(f"webcam {text}", int(text), sleep)
    path = Path(text)
    if path.is_dir():
        return _folder(path)
    if not path.exists():
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
    with _capture(str(path), str(path), _FILE_PROTOCOLS) as capture:
        fps, count = _fps(capture), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    expected = count if count > 0 else None
    return Source(path.name, live=False, fps=fps, count=expected, read=lambda: _video_frames(path, expected))


def _video_frames(path: Path, expected: int | None) -> Iterator[Image]:
    with _capture(str(path), str(path), _FILE_PROTOCOLS) as capture:
        read = 0
        while (image := _next(capture)) is not None:
            read += 1
            yield image
    if read == 0:
        raise SourceError(f"{path}: a video without a single readable frame")
    # Containers that keep no index guess the count from the duration, so the last few may not exist.
    if expected and read < 0.95 * expected - 2:
        raise SourceError(f"{path}: cut off or damaged: {read} of about {expected} frames could be read")


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
        fps=None if only_pictures else _DEFAULT_FPS,
        count=len(files) if only_pictures else None,
        read=lambda: _folder_frames(folder, files),
    )


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
    name, parts = without_credentials(address), urlsplit(address)
    if parts.scheme == "file":
        return open_source(parts.path, sleep)
    if parts.scheme not in SCHEMES:
        raise SourceError(f"{name}: the scheme is {parts.scheme!r}; one of file, {', '.join(SCHEMES)}")
    if not parts.hostname:
        raise SourceError(f"{name}: the address names no host")
    with _capture(address, name, _NETWORK_PROTOCOLS) as capture:
        count, fps = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), _fps(capture)
    if count > 0:  # a file on a web server: it has an end
        return Source(name, live=False, fps=fps, count=count, read=lambda: _address_frames(address, name))
    return _live(name, address, sleep)


def _address_frames(address: str, name: str) -> Iterator[Image]:
    with _capture(address, name, _NETWORK_PROTOCOLS) as capture:
        while (image := _next(capture)) is not None:
            yield image


def _live(name: str, device: str | int, sleep: Callable[[float], object]) -> Source:
    return Source(name, live=True, fps=None, count=None, read=lambda: _live_frames(name, device, sleep))


def _live_frames(name: str, device: str | int, sleep: Callable[[float], object]) -> Iterator[Image]:
    """Pictures as they come. What breaks is opened again, each wait twice the last up to ten seconds.

    A source that never gave a picture is given up after three tries; one that did is waited for as long as it takes.
    """
    worked, failures = False, 0
    while True:
        try:
            with _capture(device, name, _NETWORK_PROTOCOLS) as capture:
                while (image := _next(capture)) is not None:
                    worked, failures = True, 0
                    yield image
            reason = f"{name}: no more pictures come"
        except SourceError as error:
            reason = str(error)
        failures += 1
        if not worked and failures >= _OPEN_TRIES:
            raise SourceError(f"{reason} (tried {failures} times)")
        wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (failures - 1))
        _log.warning("%s; opening it again in %.1f s", reason, wait_s)
        sleep(wait_s)


@contextmanager
def _capture(device: str | int, name: str, protocols: str) -> Iterator[cv2.VideoCapture]:
    """An open capture, or a SourceError that names the source without credentials."""
    # OpenCV takes FFmpeg's options from the environment only.
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = protocols
    if isinstance(device, int):
        capture = cv2.VideoCapture(device)
    else:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 10_000]
        capture = cv2.VideoCapture(device, cv2.CAP_FFMPEG, limits)
    try:
        if not capture.isOpened():
            raise SourceError(f"{name}: cannot be opened as a video (damaged, cut off, not a video, or not there)")
        yield capture
    finally:
        capture.release()


def _next(capture: cv2.VideoCapture) -> Image | None:
    try:
        there, image = capture.read()
    except cv2.error as error:
        raise SourceError(f"reading failed: {error.err}") from None
    return np.asarray(image, np.uint8) if there and image is not None else None


def _fps(capture: cv2.VideoCapture) -> float:
    """The video's frames a second; 25 when it says none or nonsense."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if 0.1 <= fps <= 480 else _DEFAULT_FPS
