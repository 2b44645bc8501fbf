"""Pages of other sites, let in by name only (CORS, as the Fetch standard has it).

Without a list nobody is let in. Listed pages may also use the password that the browser knows, and change things.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from flask import Flask, Response, request
from flask_cors import CORS

_METHODS: Final = ("GET", "HEAD", "POST", "DELETE")
_ASKED_WITH: Final = ("Authorization", "Content-Type", "Last-Event-ID")
_SHOWN: Final = ("Content-Disposition", "Retry-After", "X-Frame", "X-Timestamp")
_MAX_AGE_S: Final = 600


def allow(app: Flask, origins: Collection[str]) -> None:
    """Let pages of these origins use the application; to be called before a password is asked for.

    Args:
        app: whose every address they may use.
        origins: such as ``https://example.org:8443``, in small letters.
    """
    if not origins:
        return
    # As patterns of our own making: the library takes a text with brackets, as of IPv6, for a pattern as it is.
    listed = [re.compile(re.escape(origin) + r"\Z") for origin in sorted(origins)]

    @app.before_request
    def preflight() -> Response | None:
        """Answer a browser that asks for a listed page whether it may ask: it does so without the password."""
        asked = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if asked and request.headers.get("Origin", "").lower() in origins:
            return Response(status=204)
        return None

    CORS(
        app,
        origins=listed,
        methods=_METHODS,
        allow_headers=_ASKED_WITH,
        expose_headers=_SHOWN,
        supports_credentials=True,
        max_age=_MAX_AGE_S,
        always_send=False,
        vary_header=False,
        intercept_exceptions=False,  # the application answers every error itself
    )

    @app.after_request
    def vary(response: Response) -> Response:
        """Say so also where nobody was let in: else a cache would give that answer to one who is."""
        response.vary.add("Origin")
        return response
