"""cheroot's connections, made safe against clients that send or read slowly.

cheroot gives a connection a thread as soon as it is accepted, and the thread then waits for the request. A few
clients that send half a request each would take every thread. Here a thread is taken only by a request whose head
(RFC 9112, sections 2 and 5) is there in full; until then the connection waits in the server's selector. A body is
read only by whoever wants it, up to a size, and must come at some speed. One that is not read is thrown away in the
selector for a moment after the answer, because a connection that is closed with something unread loses the answer.

As many connections wait as the process may have files open, up to some thousands; a connection that waits costs a few
kilobytes and no thread. When all places are taken, the one that has waited longest is cut off for the newest.
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

from framewatch.web.http.body_reader import MAX_HEAD_BYTES, Reader
from framewatch.web.http.request_headers import StrictRequest

_HEAD_S: Final = 5.0  # for one whose bytes go on dribbling in; the server closes silent ones by its own timeout
_LINGER_S: Final = 2.0
_LINGER_READS: Final = 16  # at a time, so that others are served between them
_CLOSING: Final = 128  # cut off, but not closed yet; then no more are taken in until some are


class Connections:
    """All open connections of a server, and which of them wait for a whole request.

    Args:
        max_waiting: places for those that wait.
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
        """Count the connection in."""
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        """Forget the connection."""
        with self._lock:
            self._open.discard(connection)
            self._cut.discard(connection)
            self._waiting.pop(connection, None)

    def waits(self, connection: Connection) -> None:
        """Let it wait for its request; where too many do, the one that has waited longest is cut off."""
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

    def make_room(self) -> None:
        """Wait a moment while many are cut off and not closed yet: each still is an open file."""
        until_s = time.monotonic() + _LINGER_S
        while len(self._cut) > _CLOSING and time.monotonic() < until_s:
            time.sleep(0.001)

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


class _Request(StrictRequest):
    """A request whose body, if nobody reads it, is not waited for either, and whose answer is sent without copies."""

    def send_headers(self) -> None:
        if self.chunked_read or self.rfile.remaining:
            self.close_connection = True  # else cheroot reads the rest first, as slowly as it comes
            self.conn.lingers()
        super().send_headers()

    def write(self, chunk: bytes) -> None:
        """Send a piece of the answer; all viewers of a frame send the same bytes.

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
    """Send them one after the other.

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
    """A connection that takes a thread only while a whole request of its is answered."""

    RequestHandlerClass = _Request
    rbufsize = MAX_HEAD_BYTES

    def __init__(self, server: Any, sock: socket.socket, makefile: object = None) -> None:  # noqa: ARG002  # cheroot's
        super().__init__(server, sock, _make_file)
        # Caches of its own bound methods: by them a closed connection would hold itself until garbage is collected.
        del self.resolve_peer_creds, self.get_peer_creds
        self._head_since_s: float | None = None  # monotonic; of the first byte of a request not there in full
        self._until_s: float | None = None  # monotonic; the end, where only the rest of a body is awaited
        self.all: Connections = server.connections
        self.all.opened(self)

    def comes(self) -> bool:
        """Take in what has come of a request; whether it is still coming, so that no thread is needed yet."""
        if self._until_s is not None:
            return False
        try:
            if not self._receive() or self.rfile.has_data() or self._is_late():
                return False
        except OSError:
            return False
        self.all.waits(self)
        return True

    def communicate(self) -> bool:
        """Answer the request when it is there; whether the connection is to be kept."""
        if self._until_s is not None:
            return self._thrown_away(self._until_s)
        if not self.rfile.has_data():
            if not self._receive():
                return False
            if not self.rfile.has_data():
                return self._may_wait()
        self._head_since_s = None
        self.all.starts(self)
        try:
            with self.rfile.raw.reading_body(self.server.max_body_bytes):
                kept = bool(super().communicate())  # type: ignore[no-untyped-call]  # cheroot's own gap
        finally:
            self.all.ends()
        return kept if self._until_s is None else self._thrown_away(self._until_s)

    def close(self) -> None:
        """Close the socket."""
        self.all.closed(self)
        super().close()

    def cut(self) -> None:
        """End it from another thread: whoever waits to read from it or write to it finds it closed."""
        with suppress(OSError):  # closed already
            self.socket.shutdown(socket.SHUT_RDWR)

    def lingers(self) -> None:
        """Stay open for a moment after the answer, although nothing more is read: else the client may not get it."""
        self._until_s = time.monotonic() + _LINGER_S

    def _thrown_away(self, until_s: float) -> bool:
        """Read what has come and forget it, without waiting; whether more may come."""
        self.rfile.forget()
        with suppress(OSError):  # closed already
            self.socket.shutdown(socket.SHUT_WR)
        self.socket.setblocking(False)
        try:
            for _ in range(_LINGER_READS):
                if time.monotonic() > until_s or not self.socket.recv(MAX_HEAD_BYTES):
                    return False
        except BlockingIOError:
            pass
        except OSError:
            return False
        self.all.waits(self)
        return True

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
        if not self._is_late():
            self.all.waits(self)
            return True
        self.RequestHandlerClass(self.server, self).simple_response("408 Request Timeout", "the head came too slowly")
        return self._until_s is not None and self._thrown_away(self._until_s)

    def _is_late(self) -> bool:
        now_s = time.monotonic()
        if self._head_since_s is None and self.rfile.buffered():
            self._head_since_s = now_s
        return self._head_since_s is not None and now_s - self._head_since_s > _HEAD_S


def _make_file(sock: socket.socket, mode: str, bufsize: int) -> Any:
    return Reader(sock, mode, bufsize) if "r" in mode else MakeFile(sock, mode, bufsize)
