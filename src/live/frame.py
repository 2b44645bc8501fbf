"""One frame for viewers, and its picture as a part of an MJPEG response."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

_log = logging.getLogger(__name__)

BOUNDARY: Final = "framewatch"
OPENING: Final = f"--{BOUNDARY}\r\n".encode()
_CLOSING: Final = b"\r\n" + OPENING


class LiveFrame:
    """A frame whose picture is drawn and encoded once, when the first viewer needs it.

    Attributes:
        sequence: grows with every frame published, over all streams.
        stream: name of the stream.
        number: of the frame in its run.
        time_us: capture time, microseconds since 1970 UTC.
        labels: seen in it.
    """

    __slots__ = ("_head_size", "_lock", "_part", "_render", "labels", "number", "sequence", "stream", "time_us")

    def __init__(
        self,
        sequence: int,
        stream: str,
        number: int,
        time_us: int,
        labels: tuple[str, ...],
        render: Callable[[], bytes],
    ) -> None:
        self.sequence = sequence
        self.stream = stream
        self.number = number
        self.time_us = time_us
        self.labels = labels
        self._lock = threading.Lock()  # others wait for the thread that draws it
        self._render: Callable[[], bytes] | None = render
        self._part = b""
        self._head_size = 0

    @property
    def jpeg(self) -> bytes | None:
        """The annotated picture, or None where it could not be drawn."""
        part = self.part
        return part[self._head_size : -len(_CLOSING)] if part else None

    @property
    def part(self) -> bytes | None:
        """The picture as a part of a multipart/x-mixed-replace response, or None where it could not be drawn.

        It ends with the next boundary: a browser paints a part only once it has seen that.
        """
        with self._lock:
            if self._render is not None:
                try:
                    self._make_part(self._render())
                except Exception as error:  # of any kind: viewers go on with the next frame
                    _log.error(
                        "%s #%d cannot be drawn: %s: %s", self.stream, self.number, type(error).__name__, error
                    )
                self._render = None  # and with it the frame it was drawn from
            return self._part or None

    def _make_part(self, jpeg: bytes) -> None:
        self._part = part_of(jpeg, f"X-Timestamp: {self.time_us / 1e6:.6f}\r\nX-Frame: {self.number}\r\n")
        self._head_size = len(self._part) - len(jpeg) - len(_CLOSING)


def part_of(jpeg: bytes, headers: str = "") -> bytes:
    """The picture as a part with these further headers, which ends with the next boundary."""
    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n{headers}\r\n"
    return head.encode() + jpeg + _CLOSING
