"""Events found again: pages, one by itself with its pictures, all of them as a file; and deleted."""

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
from framewatch.web.api.parameters import Paged, StreamName, Text, Which, WhichEvents, cursor_of, now_us
from framewatch.web.api.responses import UNBUFFERED, answer, lasting
from framewatch.web.event_schemas import ErasedOut, EventOut, EventPageOut
from framewatch.web.records import Records
from framewatch.web.schemas import Problem
from framewatch.web.security.headers import PICTURE_POLICY

_DOWNLOADS: Final = 4  # at a time: each holds a thread of the server for as long as it is read
_EVENT: Final = "/events/<stream>/<run>/<int:frame>/<model>/<int:index>"
_PICTURE_HEADERS: Final = {
    # A browser may keep it, but asks each time whether it is still there: it may have been deleted.
    "Cache-Control": "private, no-cache",
    **PICTURE_POLICY,
}

Form = Callable[[Iterator[Sequence[Event]]], Iterator[bytes]]


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


class EventsQuery(WhichEvents, Paged):
    """Which events, and which part of the list."""


class DeleteQuery(Which):
    """What is to be deleted."""

    everything: bool = Field(False, description="all there is: for where nothing else says what is meant")

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        limited = any(one is not None for one in (self.stream, self.label, self.since, self.until))
        if not (limited or self.everything):
            raise ValueError("nothing says what to delete: give stream, label, since or until, or everything=true")
        if limited and self.everything:
            raise ValueError("got everything=true beside what limits it: expected one of them")
        return self

    def where(self) -> EventFilter:
        """The same in the store's terms; it ends now at the latest: what is stored from now on stays."""
        now = now_us()
        return EventFilter(self.stream, self.label, self.since, now if self.until is None else min(self.until, now))


def blueprint(records: Records) -> APIBlueprint:
    """The room of the events over what is stored."""
    room = APIBlueprint("events", __name__, abp_tags=[Tag(name="events")], abp_responses={"503": Problem})
    _add_lists(room, records)
    _add_files(room, records)
    _add_one(room, records)
    return room


def _add_lists(room: APIBlueprint, records: Records) -> None:
    @room.get("/events", responses={"200": EventPageOut})
    def events(query: EventsQuery) -> Response:
        """Events, newest first, a page at a time."""
        page = records.events.page(query.where(), query.limit, query.cursor)
        cursor = None if page.cursor is None else cursor_of(page.cursor)
        return answer(EventPageOut.model_construct(events=list(map(EventOut.of, page.events)), next_cursor=cursor))

    @room.delete("/events", responses={"200": ErasedOut})
    def delete(query: DeleteQuery) -> Response:
        """Delete events with their crops, episodes and alerts, of a stream, a label or a period. It cannot be undone.

        What is captured from now on stays, whatever until says.
        """
        return answer(ErasedOut(**asdict(records.erase(query.where()))))


def _add_files(room: APIBlueprint, records: Records) -> None:
    places = threading.BoundedSemaphore(_DOWNLOADS)

    @room.get("/events.csv", responses={"200": of_kind("text/csv")})
    def events_csv(query: WhichEvents) -> Response:
        """All these events as CSV, newest first.

        Text that begins with = + - or @ has an apostrophe before it: spreadsheets would run it.
        """
        return download(query.where(), as_csv, "text/csv", "framewatch-events.csv")

    @room.get("/events.jsonl", responses={"200": of_kind("application/jsonl")})
    def events_jsonl(query: WhichEvents) -> Response:
        """All these events as JSON, one in a line, newest first."""
        return download(query.where(), as_json_lines, "application/jsonl", "framewatch-events.jsonl")

    def download(where: EventFilter, form: Form, mimetype: str, name: str) -> Response:
        def rows(_: None) -> Iterator[bytes]:
            found = pages(records.events, where)
            first = next(found)  # now: once the answer has begun, nothing can be said of a store that is away
            return form(chain([first], found))

        headers = {**UNBUFFERED, "Content-Disposition": f'attachment; filename="{name}"'}
        return lasting(place, rows, f"{mimetype}; charset=utf-8", headers)

    @contextmanager
    def place() -> Iterator[None]:
        if not places.acquire(blocking=False):
            raise CapacityExceeded(f"{_DOWNLOADS} downloads are running already")
        try:
            yield
        finally:
            places.release()


def _add_one(room: APIBlueprint, records: Records) -> None:
    @room.get(_EVENT, responses={"200": EventOut, "404": Problem})
    def event(path: EventPath) -> Response:
        """One event."""
        return answer(EventOut.of(found(path)))

    @room.get(f"{_EVENT}/crop.jpg", responses={"200": of_kind("image/jpeg"), "404": Problem})
    def crop(path: EventPath) -> Response:
        """The picture of what was seen."""
        # What an event shows never changes: whoever has it is told so without reading it from the store.
        tag = _tag(path.id().encode())
        known = request.if_none_match.contains_weak(tag)
        one = found(path, crop=not known)
        if not (known or one.crop):
            abort(404, f"event {one.id!r} has no crop")
        return _picture(one.crop, tag)

    @room.get(f"{_EVENT}/frame.jpg", responses={"200": of_kind("image/jpeg"), "404": Problem, "410": Problem})
    def frame(path: EventPath) -> Response:
        """The whole frame, read back from Kafka. Gone once Kafka keeps it no more."""
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
    """The picture, or word that it is the one which the browser has."""
    response = Response(jpeg, headers=_PICTURE_HEADERS, content_type="image/jpeg")
    response.set_etag(tag)
    response.make_conditional(request)
    return response
