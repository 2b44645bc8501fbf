"""The web application, put together from its rooms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from importlib.metadata import version
from typing import Final

from flask import Response, jsonify, render_template, request
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from framewatch.activity.rules import Rule
from framewatch.consumer.health import Health
from framewatch.consumer.stats import Stats
from framewatch.live.feed import Feed
from framewatch.live.hub import LiveHub
from framewatch.uploads.service import Uploads
from framewatch.web.api import analysis, docs, events, live, metrics, predict, problems
from framewatch.web.api import feed as live_feed
from framewatch.web.api import forms as bodies
from framewatch.web.api import uploads as upload_room
from framewatch.web.assets import assets
from framewatch.web.predictor import Predictor
from framewatch.web.records import Records
from framewatch.web.schemas import AboutOut, HealthOut, InvalidRequest
from framewatch.web.security import auth, cors, headers, origin

_STATE: Final = metrics.TAG
_HOME: Final = ("text/html", "application/json")  # the first where a client takes both


def create_app(
    hub: LiveHub,
    health: Callable[[], Health],
    user: str = "framewatch",
    password: str | None = None,
    predictor: Predictor | None = None,
    limits: predict.Limits | None = None,
    *,
    records: Records | None = None,
    feed: Feed | None = None,
    uploads: Uploads | None = None,
    rules: Sequence[Rule] = (),
    about: AboutOut | None = None,
    frames_days: Callable[[], float | None] | None = None,
    origins: Collection[str] = (),
    hosts: Collection[str] | None = (),
    stats: Stats | None = None,
) -> OpenAPI:
    """The application over a hub and a way to ask for the health; a room whose part is not given is not there.

    Args:
        hub: of the live pictures.
        health: gives the health as last seen.
        user: name asked for when there is a password.
        password: asked for on every page when given.
        predictor: answers questions about uploaded pictures.
        limits: of these questions.
        records: what is stored.
        feed: tells of what is stored, as it is.
        uploads: takes pictures and videos that become streams of their own.
        rules: that the worker holds its streams to; shown where there are records.
        about: what this worker is.
        frames_days: gives that one of it, where it is known later only.
        origins: of the sites whose pages may use the API.
        hosts: names of this server beside those of loopback; None where nobody knows them.
        stats: has the histograms of ``/metrics``.
    """
    app = OpenAPI(
        __name__,
        info=Info(title="Framewatch", version=version("framewatch"), description="Video in, labelled moments out."),
        doc_ui=False,  # it would bring in whatever such package is installed; ours is in docs
        validation_error_model=InvalidRequest,
        validation_error_callback=problems.refuse,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # a setting of the default provider
    limits = limits or predict.Limits()
    max_bytes = limits.max_bytes if predictor is not None else None

    # Each looks at every request, in this order.
    origin.protect_hosts(app, hosts, password is not None)
    cors.allow(app, origins)
    if password is not None:
        auth.protect(app, user, password)
    origin.protect(app, origins)
    problems.answer_with_problems(app)
    headers.protect(app, origins)

    app.register_api(live.blueprint(hub))
    if predictor is not None:
        app.config["MAX_CONTENT_LENGTH"] = limits.max_bytes + bodies.FORM_BYTES
        app.register_api(predict.blueprint(predictor, limits))
    if records is not None:
        app.register_api(events.blueprint(records))
        app.register_api(analysis.blueprint(records, rules))
    if feed is not None:
        app.register_api(live_feed.blueprint(feed))
    if uploads is not None:
        app.register_api(upload_room.blueprint(uploads))
    model = {"model": about.model} if about else {}
    app.register_api(metrics.blueprint(hub, health, stats, {"version": version("framewatch"), **model}))

    @app.get("/", tags=[docs.TAG], summary="The dashboard", responses={200: docs.of_kind(*_HOME)})
    def home() -> Response:
        """As JSON where that is asked for (``Accept``): version and status."""
        if request.accept_mimetypes.best_match(_HOME) == "application/json":
            answer = jsonify(name="framewatch", version=version("framewatch"), status=health().status)
        else:
            watched = [status for status in hub.streams() if not status.over]
            answer = Response(render_template("home.html", streams=watched, max_bytes=max_bytes, assets=assets()))
        answer.vary.add("Accept")
        return answer

    @app.get("/favicon.ico", tags=[docs.TAG], summary="Its icon", responses={200: docs.of_kind("image/svg+xml")})
    def icon() -> Response:
        """Asked for by browsers beside a bare ``/video``."""
        return app.send_static_file("icon.svg")

    @app.get("/health", tags=[_STATE], summary="Whether all is well", responses={200: HealthOut, 503: HealthOut})
    def health_page() -> tuple[Response, int]:
        """503 while the broker or the store does not answer."""
        now = health()
        return jsonify(now.as_json()), 200 if now.status == "healthy" else 503

    if about is not None:

        @app.get("/about", tags=[_STATE], summary="What this worker is", responses={200: AboutOut})
        def about_page() -> Response:
            """Its classifier, what it keeps for how long, and what leaves it."""
            known = about.model_copy(update={"frames_days": frames_days()}) if frames_days else about
            return jsonify(known.model_dump(mode="json"))

    document: dict[str, object] = {}
    app.register_api(docs.blueprint(document))
    document |= docs.described(app, password is not None)
    return app
