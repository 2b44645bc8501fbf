"""OpenCV's video capture, kept to what is safe: which protocols and formats it may open, for how long, how loudly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import cv2
import numpy as np

from errors import SourceError
from vision.types import Image

# FFmpeg and OpenCV write to the console what our own messages say better, addresses with passwords among it.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

DEFAULT_FPS: Final = 25.0

# What FFmpeg may open besides the thing named: a file that lists addresses must not make us call them.
# And what it may take it for: it opens text files as pictures of text, and lists as what they list.
FILE_PROTOCOLS: Final = (
    "protocol_whitelist;file"
    "|format_whitelist;mov,matroska,webm,avi,mpeg,mpegts,mpegvideo,mjpeg,asf,m4v,h264,hevc,ogg,flv,gif"
)
# Over UDP, which FFmpeg tries first unless told, each lost packet is a smeared picture.
NETWORK_PROTOCOLS: Final = (
    "rtsp_transport;tcp|protocol_whitelist;rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,crypto,httpproxy"
)


@contextmanager
def open_capture(device: str | int, name: str, protocols: str) -> Iterator[cv2.VideoCapture]:
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


def next_image(capture: cv2.VideoCapture) -> Image | None:
    """The next picture, or None when there is none (now)."""
    try:
        there, image = capture.read()
    except cv2.error as error:
        raise SourceError(f"reading failed: {error.err}") from None
    return np.asarray(image, np.uint8) if there and image is not None else None


def fps_of(capture: cv2.VideoCapture) -> float:
    """The video's frames a second; 25 when it says none or nonsense."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if 0.1 <= fps <= 480 else DEFAULT_FPS
