"""OpenCV's video capture, kept to what is safe: which protocols and formats it may open, for how long, how loudly.

OpenCV takes FFmpeg's log level and options from the environment only: the log level once for the process, the
options whenever a capture is opened. Options that a person has set there are used too, save those that keep a file
from calling other addresses.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import cv2
import numpy as np

from framewatch.errors import SourceError
from framewatch.vision.classifier import Image

# FFmpeg and OpenCV write to the console what our own messages say better, addresses with passwords among it.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_OPTIONS: Final = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_KEPT: Final = frozenset({"protocol_whitelist", "format_whitelist"})
_opening = threading.Lock()

DEFAULT_FPS: Final = 25.0
_TIMEOUT_MS: Final = 10_000
_MISSES: Final = 64  # unreadable frames in a row after which a video is at its end

# What FFmpeg may open besides the thing named: a file that lists addresses must not make us call them.
# And what it may take it for: it opens text files as pictures of text, and lists as what they list. Of pictures
# behind each other (.mjpeg) it says "jpeg_pipe".
FILE_OPTIONS: Final = (
    "protocol_whitelist;file"
    "|format_whitelist;mov,matroska,webm,avi,mpeg,mpegts,mpegvideo,mjpeg,jpeg_pipe,asf,m4v,h264,hevc,ogg,flv,gif"
)
# Over UDP, which FFmpeg tries first unless told, each lost packet is a smeared picture.
NETWORK_OPTIONS: Final = (
    "rtsp_transport;tcp|protocol_whitelist;rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,crypto,httpproxy"
)


@contextmanager
def open_capture(device: str | int, name: str, options: str) -> Iterator[cv2.VideoCapture]:
    """An open capture; opening it and reading from it take 10 s at most each.

    Args:
        device: path, address or webcam's index.
        name: for messages; without user and password.
        options: of FFmpeg, ``FILE_OPTIONS`` or ``NETWORK_OPTIONS``.

    Raises:
        SourceError: it cannot be opened.
    """
    with _options_in_environment(options):
        capture = _opened(device)
    try:
        if not capture.isOpened():
            raise SourceError(f"{name}: cannot be opened as a video (damaged, cut off, not a video, or not there)")
        yield capture
    finally:
        capture.release()


@contextmanager
def _options_in_environment(ours: str) -> Iterator[None]:
    """Our options and the person's own where OpenCV reads them, and then the person's alone again."""
    with _opening:
        own = os.environ.get(_OPTIONS)
        os.environ[_OPTIONS] = merged_options(own or "", ours)
        try:
            yield
        finally:
            if own is None:
                del os.environ[_OPTIONS]
            else:
                os.environ[_OPTIONS] = own


def merged_options(own: str, ours: str) -> str:
    """A person's options over ours; what FFmpeg may open stays ours.

    >>> merged_options("rtsp_transport;udp|protocol_whitelist;file", "rtsp_transport;tcp|protocol_whitelist;rtp")
    'rtsp_transport;udp|protocol_whitelist;rtp'
    """
    merged = dict(_pairs(ours))
    merged |= {key: value for key, value in _pairs(own) if key not in _KEPT}
    return "|".join(f"{key};{value}" for key, value in merged.items())


def _pairs(options: str) -> Iterator[tuple[str, str]]:
    """Names and values as OpenCV reads them: ``name;value|name;value``, a part without a value left out."""
    for part in options.split("|"):
        key, separator, value = part.partition(";")
        if key.strip() and separator:
            yield key.strip(), value


def _opened(device: str | int) -> cv2.VideoCapture:
    if isinstance(device, int):
        return cv2.VideoCapture(device)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
    return cv2.VideoCapture(device, cv2.CAP_FFMPEG, limits)


def next_image(capture: cv2.VideoCapture, name: str) -> Image | None:
    """The next picture, (height, width, 3) BGR, or None when there is none (now).

    Raises:
        SourceError: OpenCV gave up.
    """
    try:
        there, image = capture.read()
    except cv2.error as error:
        raise SourceError(f"{name}: reading failed: {error.err}") from None
    return np.asarray(image, np.uint8) if there and image is not None else None


def counted_images(
    device: str, name: str, options: str, expected: int | None, exact: bool, max_pixels: int | None = None
) -> Iterator[Image]:
    """All readable frames of what has an end.

    Args:
        device: path or address.
        name: for messages.
        options: of FFmpeg.
        expected: number of frames, where the container says one.
        exact: whether it counted them; else it guessed, and the last few may not exist.
        max_pixels: of a picture; a video may change its size in the middle.

    Raises:
        SourceError: after the last one, when there were none or fewer than there should be; or one is too large.
    """
    with open_capture(device, name, options) as capture:
        read = misses = 0
        # One unreadable packet is not the end: OpenCV says False for it and goes on when asked again.
        while misses <= (_MISSES if expected else 0):
            if (image := next_image(capture, name)) is None:
                misses += 1
                continue
            read, misses = read + 1, 0
            check_pixels(name, image.shape[1], image.shape[0], max_pixels)
            yield image
    if read == 0:
        raise SourceError(f"{name}: a video without a single readable frame")
    if expected and read < (expected - 2 if exact else 0.95 * expected - 2):
        raise SourceError(f"{name}: cut off or damaged: {read} of about {expected} frames could be read")


def check_pixels(name: str, width: int, height: int, most: int | None) -> None:
    """Refuse a size that no picture has any use for.

    Raises:
        SourceError: it is larger.
    """
    if most is not None and width * height > most:
        raise SourceError(f"{name}: its pictures have {width}x{height} pixels; at most {most} are allowed")


def fps_of(capture: cv2.VideoCapture) -> float:
    """The video's frames a second; 25 when it says none or nonsense."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if 0.1 <= fps <= 480 else DEFAULT_FPS
