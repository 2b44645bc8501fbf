"""Strict parsing of request headers: what can be understood in two ways is refused (RFC 9112, 11.2).

cheroot takes the last of several Content-Length, lets chunks win over it, and allows spaces before a colon. A proxy
before it may decide otherwise, and take for a body what is the next request here (request smuggling).
"""

from __future__ import annotations

import http
import json
import re
from typing import Any, Final

from cheroot.server import HTTPRequest

from framewatch.web.security.headers import ALWAYS

# RFC 9110, 5.1 and 5.5: a token, a colon at once, and no control characters.
_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*\r\n")
_MAX_LINES: Final = 100
_ONCE: Final = frozenset(
    {
        b"Authorization",
        b"Content-Length",
        b"Content-Type",
        b"Host",
        b"Origin",
        b"Sec-Fetch-Site",
        b"Transfer-Encoding",
    }
)
_NUMBER: Final = re.compile(rb"[0-9]{1,18}")


class StrictRequest(HTTPRequest):
    """A request whose headers are parsed strictly, and whose errors look like the application's."""

    def header_reader(self, rfile: Any, headers: dict[bytes, bytes]) -> None:
        """Read the header lines; called by cheroot.

        Raises:
            ValueError: they are ambiguous or malformed. Its text goes to the client.
        """
        for count in range(_MAX_LINES + 1):
            line = rfile.readline()
            if line == b"\r\n":
                break
            if count == _MAX_LINES:
                raise ValueError(f"more than {_MAX_LINES} headers")
            self._take(line, headers)
        self._check_length(headers)
        if self.response_protocol == "HTTP/1.1" and b"Host" not in headers:
            raise ValueError("a request of HTTP/1.1 needs a Host")

    def _take(self, line: bytes, headers: dict[bytes, bytes]) -> None:
        matched = _LINE.fullmatch(line)
        if matched is None:
            raise ValueError(f"not a header line: {_quoted(line)}")
        name, value = matched[1].title(), matched[2]
        if b"_" in name:  # in WSGI it would be the same as one with a hyphen
            return
        if name in headers:
            if name in _ONCE:
                raise ValueError(f"{_quoted(name)} is given more than once")
            value = headers[name] + b", " + value
        headers[name] = value

    def _check_length(self, headers: dict[bytes, bytes]) -> None:
        length, coding = headers.get(b"Content-Length"), headers.get(b"Transfer-Encoding")
        if length is not None and not _NUMBER.fullmatch(length):
            raise ValueError(f"Content-Length is no number of bytes: {_quoted(length)}")
        if coding is None:
            return
        if length is not None:
            raise ValueError("both Content-Length and Transfer-Encoding are given")
        if self.response_protocol != "HTTP/1.1":
            raise ValueError("HTTP/1.0 has no Transfer-Encoding")
        if coding.lower() != b"chunked":
            raise ValueError(f"Transfer-Encoding can only be chunked, got {_quoted(coding)}")

    def simple_response(self, status: object, msg: str | bytes = "") -> None:
        """Answer with a problem (RFC 9457) before the application is called, and close the connection."""
        code = int(str(status)[:3])
        title = http.HTTPStatus(code).phrase
        detail = msg.decode("latin-1") if isinstance(msg, bytes) else msg
        problem = {"type": "about:blank", "title": title, "status": code, "detail": detail or title}
        body = json.dumps(problem).encode()
        headers = {
            **ALWAYS,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
            "Content-Type": "application/problem+json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            "Server": self.server.server_name,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.sent_headers = self.close_connection = True
        self.conn.delay_close()  # else the unread rest would reset the connection before the client has the answer
        self.conn.wfile.write(f"{self.server.protocol} {code} {title}\r\n{head}\r\n".encode() + body)


def _quoted(raw: bytes) -> str:
    return repr(raw[:60].decode("latin-1"))
