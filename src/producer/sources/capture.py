"""OpenCV's video capture, kept to what is safe: which protocols and formats it may open, for how long, how loudly.

Loudness and protocols can be set by the environment only: loudness for the whole process, protocols while a capture
is being opened.
"""

from __future__ import annotations

import os
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

DEFAULT_FPS: Final = 25.0
_TIMEOUT_MS: Final = 10_000
_MISSES: Final = 64  # unreadable frames in a row after which a video is at its end

# What FFmpeg may open besides the thing named: a file that lists addresses must not make us call them.
# And what it may take it for: it opens text files as pictures of text, and lists as what they list. Of pictures
# behind each other (.mjpeg) it says "jpeg_pipe".
FILE_PROTOCOLS: Final = (
    "protocol_whitelist;file"
    "|format_whitelist;mov,matroska,webm,avi,mpeg,mpegts,mpegvideo,mjpeg,jpeg_pipe,asf,m4v,h264,hevc,ogg,flv,gif"
)
# Over UDP, which FFmpeg tries first unless told, each lost packet is a smeared picture.
NETWORK_PROTOCOLS: Final = (
    "rtsp_transport;tcp|protocol_whitelist;rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,crypto,httpproxy"
)


@contextmanager
def open_capture(device: str | int, name: str, protocols: str) -> Iterator[cv2.VideoCapture]:
    """An open capture; opening it and reading from it take 10 s at most each.

    Args:
        device: path, address or webcam's index.
        name: for messages; without user and password.
        protocols: FFmpeg's options, ``FILE_PROTOCOLS`` or ``NETWORK_PROTOCOLS``.

    Raises:
        SourceError: it cannot be opened.
    """
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = protocols
    try:
        capture = _opened(device)
    finally:
        del os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"]
    try:
        if not capture.isOpened():
            raise SourceError(f"{name}: cannot be opened as a video (damaged, cut off, not a video, or not there)")
        yield capture
    finally:
        capture.release()


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
    device: str, name: str, protocols: str, expected: int | None, exact: bool, max_pixels: int | None = None
) -> Iterator[Image]:
    """All readable frames of what has an end.

    Args:
        device: path or address.
        name: for messages.
        protocols: FFmpeg's options.
        expected: number of frames, where the container says one.
        exact: whether it counted them; else it guessed, and the last few may not exist.
        max_pixels: of a picture; a video may change its size in the middle.

    Raises:
        SourceError: after the last one, when there were none or fewer than there should be; or one is too large.
    """
    with open_capture(device, name, protocols) as capture:
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
