"""Sources that are somewhere else: a webcam, an RTSP or HTTP address.

Most are live: their pictures come when they come, and what breaks is opened again. A file on a web server has an
end like any other.
"""

from __future__ import annotations

import http.client
import logging
import urllib.request
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import SplitResult, urlsplit

import cv2

from framewatch.errors import SourceError
from framewatch.model.names import public_source
from framewatch.producer.sources.base import Request, Source, unnamed
from framewatch.producer.sources.capture import NETWORK_OPTIONS, counted_images, fps_of, next_image, open_capture
from framewatch.vision.classifier import Image

_log = logging.getLogger(__name__)

SCHEMES: Final = ("rtsp", "rtsps", "http", "https")

_OPEN_TRIES: Final = 3
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 10.0
_LARGEST_INDEX: Final = 9999
_ASK_S: Final = 5.0


def is_webcam(text: str) -> bool:
    """Whether it is meant as the number of a webcam."""
    return text.isdecimal()


def is_address(text: str) -> bool:
    """Whether it is meant as an address."""
    return "://" in text


def open_webcam(request: Request) -> Source:
    """The webcam of that number.

    Raises:
        SourceError: no system counts that far.
    """
    index = request.text
    if len(index) > len(str(_LARGEST_INDEX)):
        raise SourceError(f"{index[:40]}: a webcam's index is 0 to {_LARGEST_INDEX}")
    return _live(f"webcam {index}", int(index), request.sleep)


def open_address(request: Request) -> Source:
    """The stream or file at an address.

    Raises:
        SourceError: it cannot be opened, or is no address Framewatch opens.
    """
    address = request.text
    parts = taken_apart(address)
    name = public_source(address)
    if parts.scheme not in SCHEMES:
        raise SourceError(f"{name}: the scheme is {parts.scheme!r}; one of file, {', '.join(SCHEMES)}")
    if not parts.hostname:
        raise SourceError(f"{name}: the address names no host")
    with open_capture(address, name, NETWORK_OPTIONS) as capture:
        count, fps = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), fps_of(capture)
    expected = count if count > 0 else None
    if expected is None and not (parts.scheme.startswith("http") and _is_file(parts)):
        return _live(name, address, request.sleep)
    return Source(
        name,
        live=False,
        fps=fps,
        count=expected,
        read=lambda: unnamed(counted_images(address, name, NETWORK_OPTIONS, expected, exact=False)),
    )


def taken_apart(address: str) -> SplitResult:
    """The parts of the address; nothing of one that has none is shown, for a password may stand anywhere in it.

    Raises:
        SourceError: it is no address.
    """
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise SourceError(
            "the address cannot be taken apart: its port must be a number up to 65535, and in a user name or "
            "password / ? # [ ] @ : are written %2F %3F %23 %5B %5D %40 %3A"
        ) from None
    return parts


def _is_file(parts: SplitResult) -> bool:
    """Whether the web server says beforehand how long its answer is, as it does for a file and not for a camera.

    Some files, such as one of JPEGs behind each other, do not count their frames; opened again and again like a
    camera, they would be sent for ever. Who answers anything unusual, or wants a password, is a camera.
    """
    # Not requests: urllib3 logs addresses whole when it does not like an answer.
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    try:
        with urllib.request.urlopen(urllib.request.Request(bare, method="HEAD"), timeout=_ASK_S) as answer:
            kind, length = answer.headers.get("Content-Type", ""), answer.headers.get("Content-Length", "")
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return length.isdecimal() and int(length) > 0 and kind.startswith(("video/", "application/octet-stream"))


def _live(name: str, device: str | int, sleep: Callable[[float], object]) -> Source:
    return Source(name, live=True, fps=None, count=None, read=lambda: unnamed(_live_images(name, device, sleep)))


def _live_images(name: str, device: str | int, sleep: Callable[[float], object]) -> Iterator[Image]:
    """Pictures as they come. What breaks is opened again, each wait twice the last up to ten seconds.

    A source that never gave a picture is given up after three tries; one that did is waited for as long as it takes.
    """
    worked, failures = False, 0
    while True:
        try:
            with open_capture(device, name, NETWORK_OPTIONS) as capture:
                while (image := next_image(capture, name)) is not None:
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
