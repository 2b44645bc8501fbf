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


class BodyTooLarge(OSError):
    """More of a body came than any answer wants."""


class _Incoming(socket.SocketIO):
    """The bytes of a connection, within limits while a body is read."""

    def __init__(self, sock: socket.socket, mode: Any) -> None:
        super().__init__(sock, mode)
        self._socket = sock
        self._since_s: float | None = None  # monotonic; of the body that is read
        self._max_bytes = self._left = 0

    @contextmanager
    def reading_body(self, max_bytes: int) -> Iterator[None]:
        """Whatever is read meanwhile is a body's."""
        self._since_s = time.monotonic()
        self._max_bytes = self._left = max_bytes
        try:
            yield
        finally:
            self._since_s = None

    def read(self, size: int = -1) -> bytes | None:
        """Read what has come, with memory for no more than a little, whatever size a client claims."""
        return super().read(min(size, MAX_HEAD_BYTES)) if size > 0 else super().read(size)

    def readinto(self, buffer: Any) -> int | None:
        """Read what has come, waiting for something to come.

        Raises:
            TimeoutError: the body comes too slowly.
            BodyTooLarge: it is longer than allowed.
        """
        if self._since_s is None:
            return super().readinto(buffer)
        due_s = self._since_s + _BODY_S + (self._max_bytes - self._left) / _BODY_BYTES_PER_S
        usual_s = self._socket.gettimeout()
        self._socket.settimeout(max(0.001, min(due_s - time.monotonic(), _BODY_S)))
        try:
            count = super().readinto(buffer)
        finally:
            self._socket.settimeout(usual_s)
        self._left -= count or 0
        if self._left < 0:
            raise BodyTooLarge(errno.EMSGSIZE, f"more than {self._max_bytes} bytes")
        if time.monotonic() > due_s:
            raise TimeoutError("the body comes too slowly")
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
