"""Events and alerts as they are stored: server-sent events (HTML Standard, 9.2)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from framewatch.live.feed import Feed, Listener, Wanted
from framewatch.web.api.docs import of_kind
from framewatch.web.api.parameters import Confidence, Query, StreamName, Text
from framewatch.web.api.responses import streaming_response
from framewatch.web.event_schemas import AlertOut, EventOut, FeedOut
from framewatch.web.schemas import Problem

_PING_S: Final = 5.0
_LASTS_S: Final = 600.0  # then the response ends, and a browser that is still there reconnects by itself
_OPENING: Final = b"retry: 1000\n\n"
_MIMETYPE: Final = "text/event-stream"


class FeedQuery(Query):
    """Filters of the live feed."""

    stream: StreamName | None = Field(None, description="of this stream")
    label: Text | None = Field(None, description="with this label")
    min_confidence: Confidence | None = Field(None, description="events with at least this confidence, 0 to 1")


def blueprint(feed: Feed, lasts_s: float = _LASTS_S) -> APIBlueprint:
    """The section of the live feed.

    Args:
        feed: of events and alerts.
        lasts_s: seconds after which a response ends, so that a page left open does not hold a thread for ever.
    """
    section = APIBlueprint("feed", __name__, abp_tags=[Tag(name="events")])

    @section.get("/events/live", responses={"200": of_kind(_MIMETYPE), "503": Problem})
    def live(query: FeedQuery) -> Response:
        """Events and alerts as they are stored, as server-sent events.

        "event: events" carries {"events": […], "left_out": n}, at most four times a second, with one event a second
        of each stream and label; left_out counts the others. "event: alert" carries an alert when it is raised and
        again when it has ended.
        """
        wanted = Wanted(query.stream, query.label, query.min_confidence)
        return streaming_response(
            lambda: feed.listener(wanted), lambda listener: _messages(feed, listener, lasts_s), _MIMETYPE
        )

    return section


def _messages(feed: Feed, listener: Listener, lasts_s: float) -> Iterator[bytes]:
    ends_s = time.monotonic() + lasts_s
    yield _OPENING
    while not feed.closed and (left_s := ends_s - time.monotonic()) > 0:
        batch = listener.next(min(_PING_S, left_s))
        if batch is None:
            yield b": ping\n\n"  # notices a client that has left
            continue
        for alert in batch.alerts:
            yield _message("alert", AlertOut.of(alert))
        if batch.events:
            out = FeedOut.model_construct(events=list(map(EventOut.of, batch.events)), left_out=batch.left_out)
            yield _message("events", out)


def _message(kind: str, data: BaseModel) -> bytes:
    return f"event: {kind}\ndata: {data.model_dump_json()}\n\n".encode()
