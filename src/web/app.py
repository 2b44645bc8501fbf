"""The web application, put together from its sections."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final

from flask import Response, jsonify, render_template, request
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from framewatch.activity.rule import Rule
from framewatch.consumer.stats import Stats
from framewatch.live.feed import Feed
from framewatch.live.hub import LiveHub
from framewatch.model.health import Health
from framewatch.uploads.service import Uploads
from framewatch.web.api import analysis, docs, events, feed, forms, live, metrics, predict, problems, uploads
from framewatch.web.assets import assets
from framewatch.web.predictor import Predictor
from framewatch.web.records import Records
from framewatch.web.schemas import AboutOut, HealthOut, InvalidRequest
from framewatch.web.security import auth, cors, headers, origin, proxies

_HOME: Final = ("text/html", "application/json")  # the first where a client takes both


@dataclass(frozen=True, slots=True)
class Backend:
    """What the application serves. A section of the API is there if its part is given; the live picture always is.

    Attributes:
        hub: newest frames of the streams.
        health: gives the health as last checked.
        records: stored events, episodes and alerts.
        rules: that raise alerts; part of the section over the records.
        feed: events and alerts as they are stored.
        uploads: takes pictures and videos that become streams of their own.
        predictor: classifies single pictures.
        predict_limits: of these pictures.
        stats: histograms for ``/metrics``.
        about: tells what this worker is.
    """

    hub: LiveHub
    health: Callable[[], Health]
    records: Records | None = None
    rules: Sequence[Rule] = ()
    feed: Feed | None = None
    uploads: Uploads | None = None
    predictor: Predictor | None = None
    predict_limits: predict.Limits = field(default_factory=predict.Limits)
    stats: Stats | None = None
    about: Callable[[], AboutOut] | None = None


@dataclass(frozen=True, slots=True)
class AccessControl:
    """Who may use the application.

    Attributes:
        user: name asked for where there is a password.
        password: asked for on every page; None for none.
        hosts: names of this server beside those of loopback; None where they are unknown.
        origins: of the sites whose pages may use the API.
        trusted_proxies: networks of the reverse proxies that name their clients.
    """

    user: str = "framewatch"
    password: str | None = field(default=None, repr=False)
    hosts: Collection[str] | None = ()
    origins: Collection[str] = ()
    trusted_proxies: Collection[proxies.Network] = ()


def create_app(backend: Backend, access: AccessControl | None = None) -> OpenAPI:
    """The application.

    Args:
        backend: what it serves.
        access: who may use it; without, whoever reaches it under a name of loopback.
    """
    access = access or AccessControl()
    app = OpenAPI(
        __name__,
        info=Info(title="Framewatch", version=version("framewatch"), description="Video in, labelled moments out."),
        doc_ui=False,  # it would bring in whatever such package is installed; ours is in docs
        validation_error_model=InvalidRequest,
        validation_error_callback=problems.raise_invalid,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # a setting of the default provider
    _add_checks(app, access)
    _add_sections(app, backend)
    _add_home(app, backend)
    document: dict[str, object] = {}
    app.register_api(docs.blueprint(document))
    document |= docs.complete_document(app, access.password is not None)
    return app


def _add_checks(app: OpenAPI, access: AccessControl) -> None:
    """Check every request, in this order, those of all sections."""
    proxies.trust(app, access.trusted_proxies)
    origin.protect_hosts(app, access.hosts, access.password is not None)
    cors.allow(app, access.origins)
    if access.password is not None:
        auth.protect(app, access.user, access.password)
    origin.protect(app, access.origins)
    problems.answer_with_problems(app)
    headers.protect(app, access.origins)


def _add_sections(app: OpenAPI, backend: Backend) -> None:
    app.register_api(live.blueprint(backend.hub))
    if backend.predictor is not None:
        app.config["MAX_CONTENT_LENGTH"] = backend.predict_limits.max_bytes + forms.FORM_BYTES
        app.register_api(predict.blueprint(backend.predictor, backend.predict_limits))
    if backend.records is not None:
        app.register_api(events.blueprint(backend.records))
        app.register_api(analysis.blueprint(backend.records, backend.rules))
    if backend.feed is not None:
        app.register_api(feed.blueprint(backend.feed))
    if backend.uploads is not None:
        app.register_api(uploads.blueprint(backend.uploads))
    model = {"model": backend.about().model} if backend.about else {}
    build = {"version": version("framewatch"), **model}
    app.register_api(metrics.blueprint(backend.hub, backend.health, backend.stats, build))


def _add_home(app: OpenAPI, backend: Backend) -> None:
    """Add the dashboard's page, and what the worker says of itself."""
    max_bytes = backend.predict_limits.max_bytes if backend.predictor is not None else None

    @app.get("/", tags=[docs.TAG], summary="The dashboard", responses={200: docs.of_kind(*_HOME)})
    def home() -> Response:
        """With ``Accept: application/json``: version and status as JSON."""
        if request.accept_mimetypes.best_match(_HOME) == "application/json":
            answer = jsonify(name="framewatch", version=version("framewatch"), status=backend.health().status)
        else:
            streams = [status for status in backend.hub.streams() if not status.ended]
            page = render_template("home.html", streams=streams, max_bytes=max_bytes, assets=assets())
            answer = Response(page)
        answer.vary.add("Accept")
        return answer

    @app.get("/favicon.ico", tags=[docs.TAG], summary="The icon", responses={200: docs.of_kind("image/svg+xml")})
    def icon() -> Response:
        """The icon that browsers ask for by themselves."""
        return app.send_static_file("icon.svg")

    @app.get("/health", tags=[metrics.TAG], summary="Health", responses={200: HealthOut, 503: HealthOut})
    def health_page() -> tuple[Response, int]:
        """503 while Kafka or the store does not answer."""
        now = backend.health()
        return jsonify(now.as_json()), 200 if now.status == "healthy" else 503

    if (about := backend.about) is not None:

        @app.get("/about", tags=[metrics.TAG], summary="About this worker", responses={200: AboutOut})
        def about_page() -> Response:
            """Its classifier, what it keeps and for how long, and where it sends results and alerts."""
            return jsonify(about().model_dump(mode="json"))
