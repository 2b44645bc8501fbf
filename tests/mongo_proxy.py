"""A proxy on MongoDB's wire that answers chosen commands itself, with the errors that a server would give."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import bson

_HEADER = struct.Struct("<iiii")  # length, id, id it answers, kind
_OP_MSG = 2013


class MongoProxy:
    """Passes everything on but what ``refusals`` names.

    Attributes:
        uri: where it listens.
        refusals: answers by the name of the command.
        write_errors: added, once, to the answer to the next insert, whose documents at these positions do not arrive.
        asked: commands with a body that were passed on.
    """

    def __init__(self, uri: str) -> None:
        parts = urlsplit(uri)
        self.server = (parts.hostname or "127.0.0.1", parts.port or 27017)
        self.refusals: dict[str, dict[str, Any]] = {}
        self.write_errors: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(proxy.server) as server:
                    while message := _read(self.request):
                        reply = proxy.answer(message)
                        if reply is None:
                            server.sendall(message)
                            reply = _read(server)
                        self.request.sendall(reply)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._listening = Server(("127.0.0.1", 0), Handler)
        self.uri = f"mongodb://127.0.0.1:{self._listening.server_address[1]}"
        self._thread = threading.Thread(target=self._listening.serve_forever, args=(0.05,), daemon=True)

    def answer(self, message: bytes) -> bytes | None:
        """The proxy's own answer to the message, or None."""
        _, request_id, _, kind = _HEADER.unpack_from(message)
        if kind != _OP_MSG:
            return None
        size = struct.unpack_from("<i", message, _HEADER.size + 5)[0]
        command = bson.decode(message[_HEADER.size + 5 : _HEADER.size + 5 + size])
        name = next(iter(command))
        if name in self.refusals:
            return _reply(request_id, self.refusals[name])
        if name == "insert" and self.write_errors:
            errors, self.write_errors = self.write_errors, []
            return _reply(request_id, {"ok": 1.0, "n": 0, "writeErrors": errors})
        if name not in {"hello", "ismaster", "isMaster", "endSessions"}:
            self.asked.append(command)
        return None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown()
        self._listening.server_close()
        self._thread.join(5)


def _reply(request_id: int, document: dict[str, Any]) -> bytes:
    body = struct.pack("<iB", 0, 0) + bson.encode(document)
    return _HEADER.pack(_HEADER.size + len(body), 1, request_id, _OP_MSG) + body


def _read(connection: socket.socket) -> bytes:
    """One message, or nothing when the other end has closed."""
    message = b""
    size = 4
    while len(message) < size:
        try:
            part = connection.recv(size - len(message))
        except OSError:
            return b""
        if not part:
            return b""
        message += part
        if len(message) == 4:
            size = struct.unpack("<i", message)[0]
    return message
