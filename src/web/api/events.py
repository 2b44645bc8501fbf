"""Stored events: lists, downloads, single events with their pictures, and deletion."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain
from typing import Annotated, Final, Self

from flask import Response, abort, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field, model_validator
from werkzeug.exceptions import Gone

from framewatch.errors import CapacityExceeded, FrameGone
from framewatch.model.event import Event
from framewatch.model.filters import EventFilter
from framewatch.web.api.docs import of_kind
from framewatch.web.api.downloads import as_csv, as_json_lines, pages
from framewatch.web.api.parameters import EventFilters, Filters, Paged, StreamName, Text, cursor_of, now_us
from framewatch.web.api.responses import UNBUFFERED, json_response, streaming_response
from framewatch.web.event_schemas import ErasedOut, EventOut, EventPageOut
from framewatch.web.records import Records
from framewatch.web.schemas import Problem
from framewatch.web.security.headers import PICTURE_POLICY

_DOWNLOADS: Final = 4  # at a time: each holds a thread of the server for as long as it is read
_EVENT: Final = "/events/<stream>/<run>/<int:frame>/<model>/<int:index>"
_PICTURE_HEADERS: Final = {
    # A browser may cache it, but has to revalidate it each time: it may have been deleted.
    "Cache-Control": "private, no-cache",
    **PICTURE_POLICY,
}

Format = Callable[[Iterator[Sequence[Event]]], Iterator[bytes]]


class EventPath(BaseModel):
    """The id of an event."""

    stream: StreamName
    run: StreamName
    frame: Annotated[int, Field(ge=0, lt=2**63)]
    model: Text
    index: Annotated[int, Field(ge=0, lt=2**31)]

    def id(self) -> str:
        """As stored."""
        return f"{self.stream}/{self.run}/{self.frame}/{self.model}/{self.index}"


class EventsQuery(EventFilters, Paged):
    """Filters of events, and the page."""


class DeleteQuery(Filters):
    """Filters of what is deleted."""

    everything: bool = Field(False, description="delete all; only without a filter")

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        limited = any(one is not None for one in (self.stream, self.label, self.since, self.until))
        if not (limited or self.everything):
            raise ValueError(
                "got no filter: give stream, label, since or until to say what to delete, or everything=true"
            )
        if limited and self.everything:
            raise ValueError("got everything=true and a filter: expected one of them")
        return self

    def where(self) -> EventFilter:
        """The filter for the store; it ends now at the latest, so what is captured from now on stays."""
        now = now_us()
        return EventFilter(self.stream, self.label, self.since, now if self.until is None else min(self.until, now))


def blueprint(records: Records) -> APIBlueprint:
    """The section of the events."""
    section = APIBlueprint("events", __name__, abp_tags=[Tag(name="events")], abp_responses={"503": Problem})
    _add_lists(section, records)
    _add_files(section, records)
    _add_one(section, records)
    return section


def _add_lists(section: APIBlueprint, records: Records) -> None:
    @section.get("/events", responses={"200": EventPageOut})
    def events(query: EventsQuery) -> Response:
        """Events, newest first, a page at a time."""
        page = records.events.page(query.where(), query.limit, query.cursor)
        cursor = None if page.cursor is None else cursor_of(page.cursor)
        return json_response(
            EventPageOut.model_construct(events=list(map(EventOut.of, page.events)), next_cursor=cursor)
        )

    @section.delete("/events", responses={"200": ErasedOut})
    def delete(query: DeleteQuery) -> Response:
        """Delete events with their crops, episodes and alerts. This cannot be undone.

        What is captured from now on stays, even if `until` is in the future.
        """
        return json_response(ErasedOut(**asdict(records.erase(query.where()))))


def _add_files(section: APIBlueprint, records: Records) -> None:
    free = threading.BoundedSemaphore(_DOWNLOADS)

    @section.get("/events.csv", responses={"200": of_kind("text/csv")})
    def events_csv(query: EventFilters) -> Response:
        """All matching events as CSV, newest first.

        Text that begins with = + - or @ gets an apostrophe before it: spreadsheets would run it as a formula.
        """
        return download(query.where(), as_csv, "text/csv", "framewatch-events.csv")

    @section.get("/events.jsonl", responses={"200": of_kind("application/jsonl")})
    def events_jsonl(query: EventFilters) -> Response:
        """All matching events as JSON lines, newest first."""
        return download(query.where(), as_json_lines, "application/jsonl", "framewatch-events.jsonl")

    def download(where: EventFilter, make_rows: Format, mimetype: str, name: str) -> Response:
        def rows(_: None) -> Iterator[bytes]:
            found = pages(records.events, where)
            first = next(found)  # before the response begins: afterwards it could not become a 503
            return make_rows(chain([first], found))

        headers = {**UNBUFFERED, "Content-Disposition": f'attachment; filename="{name}"'}
        return streaming_response(slot, rows, f"{mimetype}; charset=utf-8", headers)

    @contextmanager
    def slot() -> Iterator[None]:
        if not free.acquire(blocking=False):
            raise CapacityExceeded(f"{_DOWNLOADS} downloads are running already")
        try:
            yield
        finally:
            free.release()


def _add_one(section: APIBlueprint, records: Records) -> None:
    @section.get(_EVENT, responses={"200": EventOut, "404": Problem})
    def event(path: EventPath) -> Response:
        """One event."""
        return json_response(EventOut.of(found(path)))

    @section.get(f"{_EVENT}/crop.jpg", responses={"200": of_kind("image/jpeg"), "404": Problem})
    def crop(path: EventPath) -> Response:
        """The crop of an event."""
        # A crop never changes: a browser that has it gets a 304 without a look into the store.
        tag = _tag(path.id().encode())
        cached = request.if_none_match.contains_weak(tag)
        one = found(path, crop=not cached)
        if not (cached or one.crop):
            abort(404, f"event {one.id!r} has no crop")
        return _picture(one.crop, tag)

    @section.get(f"{_EVENT}/frame.jpg", responses={"200": of_kind("image/jpeg"), "404": Problem, "410": Problem})
    def frame(path: EventPath) -> Response:
        """The whole frame, read back from Kafka. 410 once Kafka has deleted it."""
        one = found(path, crop=False)
        try:
            jpeg = records.read_frame(one)
        except FrameGone as error:
            raise Gone(f"the frame is no longer in Kafka: {error}") from None
        return _picture(jpeg, _tag(jpeg))

    def found(path: EventPath, crop: bool = False) -> Event:
        try:
            one = records.events.get(path.id(), crop)
        except ValueError as error:
            abort(404, str(error))
        if one is None:
            abort(404, f"no event {path.id()!r}: it was never stored, or it was deleted")
        return one


def _tag(of: bytes) -> str:
    return hashlib.sha256(of).hexdigest()[:32]


def _picture(jpeg: bytes, tag: str) -> Response:
    """The picture, or a 304 where the browser has it."""
    response = Response(jpeg, headers=_PICTURE_HEADERS, content_type="image/jpeg")
    response.set_etag(tag)
    response.make_conditional(request)
    return response
