"""The web application, put together from its rooms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flask import Flask, Response, jsonify, render_template
from werkzeug.exceptions import HTTPException

from consumer.health import Health
from consumer.live import LiveHub
from consumer.predictor import Predictor
from consumer.web import auth, live, origin, predict

_KEPT: Final = ("Allow", "Retry-After", "WWW-Authenticate")


def create_app(
    hub: LiveHub,
    health: Callable[[], Health],
    user: str = "framewatch",
    password: str | None = None,
    predictor: Predictor | None = None,
    limits: predict.Limits | None = None,
) -> Flask:
    """The application over a hub and a way to ask for the health.

    Args:
        hub: of the live pictures.
        health: gives the health as last seen.
        user: name asked for when there is a password.
        password: asked for on every page when given.
        predictor: answers questions about uploaded pictures; without one these addresses are not there.
        limits: of these questions.
    """
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # a setting of the default provider
    if password is not None:
        auth.protect(app, user, password)
    origin.protect(app)
    app.register_blueprint(live.blueprint(hub))
    limits = limits or predict.Limits()
    if predictor is not None:
        app.config["MAX_CONTENT_LENGTH"] = limits.max_bytes + predict.FORM_BYTES
        app.register_blueprint(predict.blueprint(predictor, limits))

    @app.get("/")
    def home() -> str:
        max_bytes = limits.max_bytes if predictor is not None else None
        return render_template("home.html", streams=hub.streams(), max_bytes=max_bytes)

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
            "Content-Security-Policy",
            # blob: is for pictures that the page itself has, before they are uploaded.
            "default-src 'self'; img-src 'self' blob:; style-src 'self'; form-action 'self'; frame-ancestors 'none'",
        )
        return response

    return app
