"""Serving the application: cheroot, with threads for endless answers and a limit on slow readers."""

from __future__ import annotations

import logging
import socket
import threading
from types import TracebackType
from typing import Final

from cheroot import wsgi
from flask import Flask

from consumer.web.connections import Connection, Connections
from consumer.web.incoming import MAX_HEAD_BYTES
from errors import ServiceError
from ports import check_port, port_problem

_log = logging.getLogger(__name__)

_SEND_TIMEOUT_S: Final = 10
_OTHER_THREADS: Final = 16  # for short answers while every viewer's place is taken
_SEND_BUFFER_BYTES: Final = 64 * 1024  # about one frame: what waits in it is old when it arrives
_GRACE_S: Final = 1.0


class _Server(wsgi.Server):
    """cheroot's server, with our connections, writing to our log."""

    ConnectionClass = Connection
    expiration_interval = 0.1  # seconds; also how long a stop may wait for the selector

    def __init__(self, address: tuple[str, int], app: Flask, threads: int) -> None:
        super().__init__(
            address,
            app,
            numthreads=threads,
            server_name="framewatch",
            timeout=_SEND_TIMEOUT_S,
            shutdown_timeout=2,
            request_queue_size=128,
        )
        self.max_request_header_size = MAX_HEAD_BYTES
        # Not cheroot's own limit, whose answer is no JSON: the application looks at Content-Length. Where there is
        # none, this bounds what is read, with room for the framing of chunks.
        self.max_request_body_size = 0
        self.max_body_bytes = (app.config["MAX_CONTENT_LENGTH"] or 0) * 5 // 4 + MAX_HEAD_BYTES
        self.connections = Connections()

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Log what cheroot says. Viewers that leave in mid-answer are everyday: not worth a line."""
        _log.log(logging.DEBUG if level <= logging.INFO else level, "%s", msg.strip(), exc_info=traceback)


class WebServer:
    """The application on a port, while it is entered."""

    def __init__(self, app: Flask, host: str, port: int, max_viewers: int) -> None:
        """Take the port, so that a taken one is known before anything else is started.

        Raises:
            ServiceError: the port is taken or may not be used.
        """
        check_port(host, port)
        self._server = _Server((host, port), app, max_viewers + _OTHER_THREADS)
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
