"""Requests that change or cost something, refused when a page of another site makes a browser send them.

Browsers add the password they know to every request to this server, whichever page it comes from. They also say
which one that is: by Sec-Fetch-Site (W3C Fetch Metadata, 2.3), older ones by Origin (RFC 6454). What sends neither is
no browser.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from flask import Flask, request
from werkzeug.exceptions import Forbidden

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1
_OURS: Final = frozenset({"same-origin", "none"})  # none: typed by a person


def protect(app: Flask) -> None:
    """Look at every request of the application, to those of later blueprints too."""

    @app.before_request
    def refuse_other_sites() -> None:
        """Raise where another site's page asks.

        Raises:
            Forbidden: it does.
        """
        if request.method in _SAFE:
            return
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if site is not None and site in _OURS:
            return
        if site is None and (origin is None or _host(origin) == request.host.lower()):
            return
        raise Forbidden(f"a page of {origin or 'another site'} may not send this: use the page of this server")


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None
