"""Security headers of every response."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from flask import Flask, Response, request

from framewatch.web.security.origin import origin_of

CONTENT_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        # blob: is for pictures and videos of the page itself, before they are uploaded.
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    )
)
PICTURE_POLICY: Final = {
    # A picture opened by itself is shown in a page of the browser's own, with an inline style.
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
}
_UNUSED: Final = (
    "accelerometer", "display-capture", "geolocation", "gyroscope", "hid", "magnetometer", "microphone",
    "midi", "payment", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip

ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": CONTENT_POLICY,
    "Permissions-Policy": ", ".join(("camera=(self)", *(f"{name}=()" for name in _UNUSED))),
    "Cross-Origin-Opener-Policy": "same-origin",
}

_RESOURCE_POLICY: Final = "Cross-Origin-Resource-Policy"


def protect(app: Flask, origins: Collection[str] = ()) -> None:
    """Add to every response the headers that it has not set itself, to errors too.

    Args:
        app: whose every response gets them, those of later blueprints too.
        origins: of pages that may embed pictures of this server, in small letters.
    """
    listed = frozenset(origins)

    @app.after_request
    def safe_headers(response: Response) -> Response:
        for name, value in ALWAYS.items():
            response.headers.setdefault(name, value)
        let_in = origin_of(request) in listed
        response.headers.setdefault(_RESOURCE_POLICY, "cross-origin" if let_in else "same-origin")
        if response.mimetype != "text/html":  # the page is the same for all; the data that it shows may not be cached
            response.headers.setdefault("Cache-Control", "no-store")
        return response
