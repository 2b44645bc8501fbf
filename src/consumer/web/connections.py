"""cheroot's connections, made safe against clients that send or read slowly.

cheroot gives a connection a thread as soon as it is accepted, and the thread then waits for the request. A few
clients that send half a request each would take every thread. Here a thread is taken only by a request whose head
(RFC 9112, sections 2 and 5) is there in full; until then the connection waits in the server's selector.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Final

from cheroot.makefile import MakeFile, StreamReader
from cheroot.server import HTTPConnection, HTTPRequest

MAX_HEAD_BYTES: Final = 64 * 1024

_END_OF_HEAD: Final = b"\r\n\r\n"
_HEAD_S: Final = 5.0  # for one whose bytes go on dribbling in; the server closes silent ones by its own timeout
_MAX_WAITING: Final = 256  # with all viewers still well under the usual 1,024 open files


class Connections:
    """All open connections of a server, and which of them wait for a whole request."""

    def __init__(self) -> None:
        self.ending = False
        self._lock = threading.Lock()
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}  # in the order they came
        self._busy = 0

    def open(self) -> list[Connection]:
        """All of them."""
        with self._lock:
            return list(self._open)

    def opened(self, connection: Connection) -> None:
        """Count the connection in."""
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        """Forget the connection."""
        with self._lock:
            self._open.discard(connection)
            self._waiting.pop(connection, None)

    def waits(self, connection: Connection) -> None:
        """Let it wait for its request; where too many do, the one that has waited longest is cut off."""
        oldest = None
        with self._lock:
            if connection not in self._open:
                return  # cut off meanwhile: its end is what it will read next
            self._waiting.setdefault(connection)
            if len(self._waiting) > _MAX_WAITING:
                oldest = next(iter(self._waiting))
                del self._waiting[oldest]
                self._open.discard(oldest)
        if oldest is not None:
            oldest.cut()

    def starts(self, connection: Connection) -> None:
        """Its request is there."""
        with self._lock:
            self._waiting.pop(connection, None)
            self._busy += 1

    def ends(self) -> None:
        """A request was answered, or given up."""
        with self._lock:
            self._busy -= 1

    def end_all(self, grace_s: float) -> None:
        """Let answers come to their end for a while, then cut off every connection."""
        deadline = time.monotonic() + grace_s
        while self._busy and time.monotonic() < deadline:
            time.sleep(0.02)
        self.ending = True
        for connection in self.open():
            connection.cut()


class _Reader(StreamReader):
    """What came on a connection and is not read yet."""

    def buffered(self) -> bytes:
        """All of it, without waiting for more."""
        return self.peek(1) if super().has_data() else b""  # type: ignore[no-untyped-call]  # cheroot's own gap

    def has_data(self) -> bool:
        """Whether a whole head is there, or more than one may have; cheroot asks this before it waits for more."""
        buffered = self.buffered()
        return _END_OF_HEAD in buffered or len(buffered) >= MAX_HEAD_BYTES


class _Request(HTTPRequest):
    """A request whose body, if nobody reads it, is not waited for either."""

    def send_headers(self) -> None:
        if self.chunked_read or self.rfile.remaining:
            self.close_connection = True  # else cheroot reads the rest first, as slowly as it comes
        super().send_headers()

    def write(self, chunk: bytes) -> None:
        if self.conn.all.ending:
            raise BrokenPipeError(errno.EPIPE, "the server ends")
        super().write(chunk)


class Connection(HTTPConnection):
    """A connection that takes a thread only while a whole request of its is answered."""

    RequestHandlerClass = _Request
    rbufsize = MAX_HEAD_BYTES

    def __init__(self, server: Any, sock: socket.socket, makefile: object = None) -> None:  # noqa: ARG002  # cheroot's
        super().__init__(server, sock, _make_file)
        self._head_since_s: float | None = None  # monotonic; of the first byte of a request not there in full
        self.all: Connections = server.connections
        self.all.opened(self)

    def communicate(self) -> bool:
        """Answer the request when it is there; whether the connection is to be kept."""
        open_still = self._receive()
        if not self.rfile.has_data():
            return open_still and self._may_wait()
        self._head_since_s = None
        self.all.starts(self)
        try:
            return bool(super().communicate())  # type: ignore[no-untyped-call]  # cheroot's own gap
        finally:
            self.all.ends()

    def close(self) -> None:
        """Close the socket."""
        self.all.closed(self)
        super().close()

    def cut(self) -> None:
        """End it from another thread: whoever waits to read from it or write to it finds it closed."""
        with suppress(OSError):  # closed already
            self.socket.shutdown(socket.SHUT_RDWR)

    def _receive(self) -> bool:
        """Take in what has come, without waiting; whether more may come.

        Raises:
            ConnectionError: the client cut the connection.
        """
        self.socket.setblocking(False)
        try:
            open_still = bool(self.socket.recv(1, socket.MSG_PEEK))
            self.rfile.peek(self.rbufsize)
            return open_still
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(self.server.timeout)

    def _may_wait(self) -> bool:
        self.all.waits(self)
        now_s = time.monotonic()
        if self._head_since_s is None and self.rfile.buffered():
            self._head_since_s = now_s
        if self._head_since_s is None or now_s - self._head_since_s <= _HEAD_S:
            return True
        self.RequestHandlerClass(self.server, self).simple_response("408 Request Timeout")
        return False


def _make_file(sock: socket.socket, mode: str, bufsize: int) -> Any:
    return _Reader(sock, mode, bufsize) if "r" in mode else MakeFile(sock, mode, bufsize)
