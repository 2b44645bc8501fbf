"""The web application, put together from its rooms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Flask, Response, jsonify, render_template
from werkzeug.exceptions import HTTPException

from consumer.health import Health
from consumer.live import LiveHub
from consumer.web import auth, live

_KEPT: Final = ("Allow", "Retry-After", "WWW-Authenticate")


def create_app(
    hub: LiveHub,
    health: Callable[[], Health],
    user: str = "framewatch",
    password: str | None = None,
) -> Flask:
    """The application over a hub and a way to ask for the health.

    Args:
        hub: of the live pictures.
        health: gives the health as last seen.
        user: name asked for when there is a password.
        password: asked for on every page when given.
    """
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # a setting of the default provider
    if password is not None:
        auth.protect(app, user, password)
    app.register_blueprint(live.blueprint(hub))

    @app.get("/")
    def home() -> str:
        return render_template("home.html", streams=hub.streams())

    @app.get("/favicon.ico")
    def icon() -> Response:
        """Asked for by browsers beside a bare ``/video``."""
        return app.send_static_file("icon.svg")

    @app.get("/health")
    def health_page() -> tuple[Response, int]:
        now = health()
        return jsonify(now.as_json()), 200 if now.status == "healthy" else 503

    @app.errorhandler(HTTPException)
    def problem(error: HTTPException) -> tuple[Response, int, dict[str, str]]:
        """Errors as RFC 9457 problem details."""
        status = error.code or 500
        body = jsonify(type="about:blank", title=error.name, status=status, detail=error.description)
        body.content_type = "application/problem+json"
        kept = {name: value for name, value in error.get_headers() if name in _KEPT}
        return body, status, kept

    @app.after_request
    def safe_headers(response: Response) -> Response:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        response.headers.setdefault("X-Frame-Options", "DENY")
        response.headers.setdefault(
            "Content-Security-Policy", "default-src 'self'; style-src 'self'; frame-ancestors 'none'"
        )
        return response

    return app
