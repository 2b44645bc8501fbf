"""What every answer tells browsers they may do with it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from flask import Flask, Response, request

from framewatch.web.security.origin import asking_origin

CONTENT_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        # blob: is for pictures and videos that the page itself has, before they are uploaded.
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    )
)
PICTURE_POLICY: Final = {
    # A picture opened by itself is shown by a page of the browser's own making, which has its style inline.
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
    """Give every answer the headers that it has not set itself, errors and those of later blueprints too.

    Args:
        app: whose every answer is looked at.
        origins: of pages that may put pictures of this server into themselves, in small letters.
    """
    listed = frozenset(origins)

    @app.after_request
    def safe_headers(response: Response) -> Response:
        for name, value in ALWAYS.items():
            response.headers.setdefault(name, value)
        let_in = asking_origin(request) in listed
        response.headers.setdefault(_RESOURCE_POLICY, "cross-origin" if let_in else "same-origin")
        if response.mimetype != "text/html":  # the page itself is the same for all; what it shows is not to be kept
            response.headers.setdefault("Cache-Control", "no-store")
        return response
