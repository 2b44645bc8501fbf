"""CORS: which pages of other sites may use the API (Fetch standard, 3.2).

Without a list none may. Listed pages may also use the password that the browser has saved, and change things.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from flask import Flask, Response, request
from flask_cors import CORS

_METHODS: Final = ("GET", "HEAD", "POST", "DELETE")
_REQUEST_HEADERS: Final = ("Authorization", "Content-Type", "Last-Event-ID")
_RESPONSE_HEADERS: Final = ("Content-Disposition", "Retry-After", "X-Frame", "X-Timestamp")
_MAX_AGE_S: Final = 600


def allow(app: Flask, origins: Collection[str]) -> None:
    """Let pages of these origins use the application; to be called before the password is checked.

    Args:
        app: whose every address they may use.
        origins: such as ``https://example.org:8443``, in small letters.
    """
    if not origins:
        return
    # As patterns: the library would take text with brackets, as of IPv6, for a pattern anyway.
    listed = [re.compile(re.escape(origin) + r"\Z") for origin in sorted(origins)]

    @app.before_request
    def preflight() -> Response | None:
        """Answer the preflight request of a listed page, which comes without the password."""
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if is_preflight and request.headers.get("Origin", "").lower() in origins:
            return Response(status=204)
        return None

    CORS(
        app,
        origins=listed,
        methods=_METHODS,
        allow_headers=_REQUEST_HEADERS,
        expose_headers=_RESPONSE_HEADERS,
        supports_credentials=True,
        max_age=_MAX_AGE_S,
        always_send=False,
        vary_header=False,
        intercept_exceptions=False,  # the application handles every error itself
    )

    @app.after_request
    def vary(response: Response) -> Response:
        """Add Vary also where the origin is not allowed: else a cache would give that response to one that is."""
        response.vary.add("Origin")
        return response
