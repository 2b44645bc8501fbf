"""Serves the application by cheroot, with threads for endless responses and limits on slow clients."""

from __future__ import annotations

import logging
import resource
import socket
import threading
from types import TracebackType
from typing import Any, Final

from cheroot import wsgi
from flask import Flask

from framewatch.errors import ServiceError
from framewatch.ports import check_port, port_problem
from framewatch.web.http.body_reader import ALLOW_BODY, MAX_HEADER_BYTES
from framewatch.web.http.connections import Connection, Connections

_log = logging.getLogger(__name__)

_SEND_TIMEOUT_S: Final = 10
_OTHER_THREADS: Final = 16  # for short responses while there are as many viewers as allowed
_SEND_BUFFER_BYTES: Final = 64 * 1024  # about one frame: what waits in it is old when it arrives
_GRACE_S: Final = 1.0
_FILES: Final = 16_384  # that a process should be able to have open, where it is allowed to
_OTHER_FILES: Final = 512  # of them not for connections: clients of Kafka and the store, logs, models
_FEWEST_WAITING: Final = 64
_QUEUE: Final = 4096  # connections that the system takes before the server does; a full one costs a client a second


class _Gateway(wsgi.Gateway_10):
    """cheroot's way to the application, which may allow a larger body."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]  # cheroot has no types of its own
        """The WSGI environment, with our key."""
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        return environ | {ALLOW_BODY: self.req.conn.rfile.raw.allow_body}


class _Server(wsgi.Server):
    """cheroot's server, with our connections, writing to our log."""

    ConnectionClass = Connection
    expiration_interval = 0.1  # seconds; also how long a stop may wait for the selector

    def __init__(self, address: tuple[str, int], app: Flask, threads: int, max_waiting: int | None) -> None:
        super().__init__(
            address,
            app,
            numthreads=threads,
            server_name="framewatch",
            timeout=_SEND_TIMEOUT_S,
            shutdown_timeout=2,
            request_queue_size=_QUEUE,
        )
        self.max_request_header_size = MAX_HEADER_BYTES
        # Not cheroot's own limit, whose answer is no JSON: the application looks at Content-Length. Where there is
        # none, this bounds what is read, with some bytes more for the framing of chunks.
        self.max_request_body_size = 0
        self.max_body_bytes = (app.config["MAX_CONTENT_LENGTH"] or 0) * 5 // 4 + MAX_HEADER_BYTES
        self.gateway = _Gateway
        by_files = max(_FEWEST_WAITING, _open_files() - _OTHER_FILES - threads)
        self.connections = Connections(by_files if max_waiting is None else max_waiting)

    def process_conn(self, conn: Connection) -> None:
        """Give a connection a thread once a whole request has come on it; until then none is even woken."""
        if conn.last_used is None:
            self.connections.add_waiting(conn)
            self.put_conn(conn)
            self.connections.wait_for_closing()
        elif conn.is_incomplete():
            self.put_conn(conn)
        else:
            super().process_conn(conn)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Log cheroot's messages. Viewers that leave in the middle of a response are normal: not worth a line."""
        _log.log(logging.DEBUG if level <= logging.INFO else level, "%s", msg.strip(), exc_info=traceback)


def _open_files() -> int:
    """Files that the process may have open, after the limit was raised as far as is useful."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return _FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


class WebServer:
    """The application on a port, while it is entered.

    Args:
        app: the application.
        host: address to listen on.
        port: port to listen on.
        max_viewers: endless responses at a time; each takes a thread.
        max_waiting: connections that have not sent a whole request yet; as many as the process may have files open
            unless given, 16,000 at most.
    """

    def __init__(self, app: Flask, host: str, port: int, max_viewers: int, max_waiting: int | None = None) -> None:
        """Take the port, so that a taken one is known before anything else is started.

        Raises:
            ServiceError: the port is taken or may not be used.
        """
        check_port(host, port)
        self._server = _Server((host, port), app, max_viewers + _OTHER_THREADS, max_waiting)
        try:
            self._server.prepare()
        except OSError as error:
            raise ServiceError(port_problem(host, port, error)) from None
        listening: socket.socket = self._server.socket
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)  # connections inherit it
        self._thread = threading.Thread(target=self._server.serve, name="web", daemon=True)

    @property
    def connections(self) -> list[Connection]:
        """All that are open."""
        return self._server.connections.open()

    def __enter__(self) -> WebServer:
        """Start answering."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop answering, within seconds: whoever still reads after a second is cut off."""
        # cheroot alone would wait for an endless answer without an end of its own.
        self._server.connections.end_all(_GRACE_S)
        self._server.stop()
        self._thread.join(5)
