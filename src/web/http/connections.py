"""cheroot's connections, made safe against clients that send or read slowly.

cheroot gives a connection a thread as soon as it is accepted, and the thread then waits for the request. A few
clients that send half a request each would occupy every thread. Here a connection gets a thread only once all headers
of a request (RFC 9112, sections 2 and 5) are there; until then it waits in the server's selector. A body is read only
by an endpoint that uses it, up to a size, and must come at a minimum speed. One that is not read is discarded in the
selector for a moment after the response, because closing a connection with something unread loses the response.

As many connections wait as the process may have files open, up to some thousands; each costs a few kilobytes and no
thread. Beyond that, the one that has waited longest is cut off for the newest.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Final

from cheroot.makefile import MakeFile
from cheroot.server import HTTPConnection

from framewatch.web.http.body_reader import MAX_HEADER_BYTES, Reader
from framewatch.web.http.request_headers import StrictRequest

_HEADERS_S: Final = 5.0  # for one whose bytes trickle in; the server closes silent ones by its own timeout
_LINGER_S: Final = 2.0
_LINGER_READS: Final = 16  # at a time, so that others are served between them
_CLOSING: Final = 128  # cut off, but not closed yet; then no more are accepted until some are


class Connections:
    """All open connections of a server, and which of them wait for a whole request.

    Args:
        max_waiting: connections that may wait.
    """

    def __init__(self, max_waiting: int) -> None:
        self.ending = False
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}  # in the order they came
        self._busy = 0
        self._cut: set[Connection] = set()

    def open(self) -> list[Connection]:
        """All of them."""
        with self._lock:
            return list(self._open)

    def opened(self, connection: Connection) -> None:
        """Add the connection."""
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        """Remove the connection."""
        with self._lock:
            self._open.discard(connection)
            self._cut.discard(connection)
            self._waiting.pop(connection, None)

    def add_waiting(self, connection: Connection) -> None:
        """Add it to those that wait; where these are too many, the one that has waited longest is cut off."""
        oldest = None
        with self._lock:
            if connection not in self._open:
                return  # cut off meanwhile: its end is what it will read next
            self._waiting.setdefault(connection)
            if len(self._waiting) > self._max_waiting:
                oldest = next(iter(self._waiting))
                del self._waiting[oldest]
                self._open.discard(oldest)
                self._cut.add(oldest)
        if oldest is not None:
            oldest.cut()

    def wait_for_closing(self) -> None:
        """Wait a moment while many are cut off and not closed yet: each is still an open file."""
        until_s = time.monotonic() + _LINGER_S
        while len(self._cut) > _CLOSING and time.monotonic() < until_s:
            time.sleep(0.001)

    def request_started(self, connection: Connection) -> None:
        """Count a connection whose request is being answered."""
        with self._lock:
            self._waiting.pop(connection, None)
            self._busy += 1

    def request_ended(self) -> None:
        """Count one less."""
        with self._lock:
            self._busy -= 1

    def end_all(self, grace_s: float) -> None:
        """Give responses a while to finish, then cut off every connection."""
        deadline = time.monotonic() + grace_s
        while self._busy and time.monotonic() < deadline:
            time.sleep(0.02)
        self.ending = True
        for connection in self.open():
            connection.cut()


class _Request(StrictRequest):
    """A request whose body is not waited for unless it is read, and whose response is sent without copies."""

    def send_headers(self) -> None:
        if self.chunked_read or self.rfile.remaining:
            self.close_connection = True  # else cheroot reads the rest first, as slowly as it comes
            self.conn.delay_close()
        super().send_headers()

    def write(self, chunk: bytes) -> None:
        """Send a piece of the response; all viewers of a frame send the same bytes.

        Raises:
            OSError: the client is gone, or takes too long, or the server ends.
        """
        if self.conn.all.ending:
            raise BrokenPipeError(errno.EPIPE, "the server ends")
        if not chunk:
            return
        parts = [b"%x\r\n" % len(chunk), chunk, b"\r\n"] if self.chunked_write else [chunk]
        _send(self.conn.socket, parts, self.server.timeout)


def _send(sock: socket.socket, parts: list[bytes], timeout_s: float) -> None:
    """Send the parts one after the other.

    Raises:
        OSError: the client is gone, or has not taken them in time.
    """
    until_s = time.monotonic() + timeout_s
    left: list[bytes | memoryview] = [*parts]
    while left:
        sent = sock.sendmsg(left)
        while left and sent >= len(left[0]):
            sent -= len(left.pop(0))
        if left:
            left[0] = memoryview(left[0])[sent:]
            if time.monotonic() > until_s:
                raise TimeoutError(errno.ETIMEDOUT, "the client reads too slowly")


class Connection(HTTPConnection):
    """A connection that has a thread only while one of its requests is answered."""

    RequestHandlerClass = _Request
    rbufsize = MAX_HEADER_BYTES

    def __init__(self, server: Any, sock: socket.socket, makefile: object = None) -> None:  # noqa: ARG002  # cheroot's
        super().__init__(server, sock, _make_file)
        # Caches of its own bound methods: by them a closed connection would hold itself until garbage is collected.
        del self.resolve_peer_creds, self.get_peer_creds
        self._headers_since_s: float | None = None  # monotonic; of the first byte of an incomplete request
        self._until_s: float | None = None  # monotonic; set where only the rest of a body is discarded
        self.all: Connections = server.connections
        self.all.opened(self)

    def is_incomplete(self) -> bool:
        """Read what has come; whether the request is still incomplete, so that no thread is needed yet."""
        if self._until_s is not None:
            return False
        try:
            if not self._receive() or self.rfile.has_data() or self._is_late():
                return False
        except OSError:
            return False
        self.all.add_waiting(self)
        return True

    def communicate(self) -> bool:
        """Answer the request if it is complete; whether the connection is kept."""
        if self._until_s is not None:
            return self._discard_body(self._until_s)
        if not self.rfile.has_data():
            if not self._receive():
                return False
            if not self.rfile.has_data():
                return self._may_wait()
        self._headers_since_s = None
        self.all.request_started(self)
        try:
            with self.rfile.raw.reading_body(self.server.max_body_bytes):
                kept = bool(super().communicate())  # type: ignore[no-untyped-call]  # cheroot's own gap
        finally:
            self.all.request_ended()
        return kept if self._until_s is None else self._discard_body(self._until_s)

    def close(self) -> None:
        """Close the socket."""
        self.all.closed(self)
        super().close()

    def cut(self) -> None:
        """Shut it down from another thread: whoever reads from it or writes to it finds it closed."""
        with suppress(OSError):  # closed already
            self.socket.shutdown(socket.SHUT_RDWR)

    def delay_close(self) -> None:
        """Stay open for a moment after the response: else the client may not get it."""
        self._until_s = time.monotonic() + _LINGER_S

    def _discard_body(self, until_s: float) -> bool:
        """Discard what has come, without waiting; whether more may come."""
        self.rfile.discard()
        with suppress(OSError):  # closed already
            self.socket.shutdown(socket.SHUT_WR)
        self.socket.setblocking(False)
        try:
            for _ in range(_LINGER_READS):
                if time.monotonic() > until_s or not self.socket.recv(MAX_HEADER_BYTES):
                    return False
        except BlockingIOError:
            pass
        except OSError:
            return False
        self.all.add_waiting(self)
        return True

    def _receive(self) -> bool:
        """Buffer what has come, without waiting; whether more may come.

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
        if not self._is_late():
            self.all.add_waiting(self)
            return True
        self.RequestHandlerClass(self.server, self).simple_response(
            "408 Request Timeout", "the headers came too slowly"
        )
        return self._until_s is not None and self._discard_body(self._until_s)

    def _is_late(self) -> bool:
        now_s = time.monotonic()
        if self._headers_since_s is None and self.rfile.buffered():
            self._headers_since_s = now_s
        return self._headers_since_s is not None and now_s - self._headers_since_s > _HEADERS_S


def _make_file(sock: socket.socket, mode: str, bufsize: int) -> Any:
    return Reader(sock, mode, bufsize) if "r" in mode else MakeFile(sock, mode, bufsize)
