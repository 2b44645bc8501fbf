"""Buffered reading from a connection, with limits on the size and speed of a body."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from cheroot.makefile import StreamReader

MAX_HEADER_BYTES: Final = 64 * 1024

_END_OF_HEADERS: Final = b"\r\n\r\n"
_BODY_S: Final = 8.0  # that a body may take, and then a second more
_BODY_BYTES_PER_S: Final = 64 * 1024  # for each of these
_LEAD_S: Final = 60.0  # that a body may be ahead of this speed, to rest later: else a long one could rest for hours

# Key of the WSGI environment for a function by which the application allows a larger body than the server does for
# all. It is called with the number of bytes before the body is read, once the client is known.
ALLOW_BODY: Final = "framewatch.allow_body"


class BodyTooLarge(OSError):
    """More of a body came than is allowed."""


class _LimitedSocket(socket.SocketIO):
    """Reads from a connection, within limits while a body is read."""

    def __init__(self, sock: socket.socket, mode: Any) -> None:
        super().__init__(sock, mode)
        self._socket = sock
        self._due_s: float | None = None  # monotonic; of the next bytes of the body that is read
        self._max_bytes = self._left = 0

    @contextmanager
    def reading_body(self, max_bytes: int) -> Iterator[None]:
        """Count what is read meanwhile as a body."""
        self._due_s = time.monotonic() + _BODY_S
        self._max_bytes = self._left = max_bytes
        try:
            yield
        finally:
            self._due_s = None

    def allow_body(self, max_bytes: int) -> None:
        """Allow the current body to be this long, if that is more than now."""
        more = max(0, max_bytes - self._max_bytes)
        self._max_bytes += more
        self._left += more

    def read(self, size: int = -1) -> bytes | None:
        """Read what has come, at most 64 KiB at a time, whatever size a client claims."""
        return super().read(min(size, MAX_HEADER_BYTES)) if size > 0 else super().read(size)

    def readinto(self, buffer: Any) -> int | None:
        """Read what has come, waiting for something to come.

        Raises:
            TimeoutError: the body comes too slowly.
            BodyTooLarge: it is longer than allowed.
        """
        if self._due_s is None:
            return super().readinto(buffer)
        usual_s = self._socket.gettimeout()
        self._socket.settimeout(max(0.001, min(self._due_s - time.monotonic(), _BODY_S)))
        try:
            count = super().readinto(buffer)
        finally:
            self._socket.settimeout(usual_s)
        self._left -= count or 0
        if self._left < 0:
            raise BodyTooLarge(errno.EMSGSIZE, f"more than {self._max_bytes} bytes")
        now_s = time.monotonic()
        if now_s > self._due_s:
            raise TimeoutError("the body comes too slowly")
        self._due_s = min(self._due_s + (count or 0) / _BODY_BYTES_PER_S, now_s + _LEAD_S)
        return count


class Reader(StreamReader):
    """A buffered reader of a connection."""

    def __init__(self, sock: socket.socket, mode: str, bufsize: int) -> None:
        # Past cheroot's own constructor, which takes a plain SocketIO.
        raw: Any = _LimitedSocket(sock, mode)
        super(StreamReader, self).__init__(raw, bufsize)
        self.bytes_read = 0

    def buffered(self) -> bytes:
        """All that came and is not read yet, without waiting for more."""
        return self.peek(1) if super().has_data() else b""  # type: ignore[no-untyped-call]  # cheroot's own gap

    def discard(self) -> None:
        """Discard what is buffered."""
        self._read_buf, self._read_pos = b"", 0  # of _pyio's reader, as cheroot itself uses them

    def has_data(self) -> bool:
        """Whether all headers of a request are there, or too many; called by cheroot before it waits for more."""
        buffered = self.buffered()
        return _END_OF_HEADERS in buffered or len(buffered) >= MAX_HEADER_BYTES
