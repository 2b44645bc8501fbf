"""What comes in on a connection: buffered, and within limits while a body is read."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from cheroot.makefile import StreamReader

MAX_HEAD_BYTES: Final = 64 * 1024

_END_OF_HEAD: Final = b"\r\n\r\n"
_BODY_S: Final = 8.0  # that a body may take, and then a second more
_BODY_BYTES_PER_S: Final = 64 * 1024  # for each of these
_LEAD_S: Final = 60.0  # that a body may be ahead of this speed, to rest later: else a long one could rest for hours

# Where a WSGI application finds what it calls with the bytes that the body at hand may have, where it wants more than
# the server lets in for all. It does so before it reads the body, and once it knows whose it is.
ALLOW_BODY: Final = "framewatch.allow_body"


class BodyTooLarge(OSError):
    """More of a body came than any answer wants."""


class _Incoming(socket.SocketIO):
    """The bytes of a connection, within limits while a body is read."""

    def __init__(self, sock: socket.socket, mode: Any) -> None:
        super().__init__(sock, mode)
        self._socket = sock
        self._due_s: float | None = None  # monotonic; of the next bytes of the body that is read
        self._max_bytes = self._left = 0

    @contextmanager
    def reading_body(self, max_bytes: int) -> Iterator[None]:
        """Whatever is read meanwhile is a body's."""
        self._due_s = time.monotonic() + _BODY_S
        self._max_bytes = self._left = max_bytes
        try:
            yield
        finally:
            self._due_s = None

    def allow_body(self, max_bytes: int) -> None:
        """Let the body that is read be this long, if that is longer."""
        more = max(0, max_bytes - self._max_bytes)
        self._max_bytes += more
        self._left += more

    def read(self, size: int = -1) -> bytes | None:
        """Read what has come, with memory for no more than a little, whatever size a client claims."""
        return super().read(min(size, MAX_HEAD_BYTES)) if size > 0 else super().read(size)

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
    """What came on a connection and is not read yet."""

    def __init__(self, sock: socket.socket, mode: str, bufsize: int) -> None:
        # Past cheroot's own constructor, which takes a plain SocketIO.
        raw: Any = _Incoming(sock, mode)
        super(StreamReader, self).__init__(raw, bufsize)
        self.bytes_read = 0

    def buffered(self) -> bytes:
        """All of it, without waiting for more."""
        return self.peek(1) if super().has_data() else b""  # type: ignore[no-untyped-call]  # cheroot's own gap

    def forget(self) -> None:
        """Throw away what is buffered."""
        self._read_buf, self._read_pos = b"", 0  # of _pyio's reader, as cheroot itself uses them

    def has_data(self) -> bool:
        """Whether a whole head is there, or more than one may have; cheroot asks this before it waits for more."""
        buffered = self.buffered()
        return _END_OF_HEAD in buffered or len(buffered) >= MAX_HEAD_BYTES
