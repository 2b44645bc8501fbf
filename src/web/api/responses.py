"""Answers of two kinds: JSON at once, and those that take a while to be read: live pictures, the feed, downloads.

Each of the second kind holds a thread of the server, so the places for them are counted, and given back when the
connection ends, however it does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Final, TypeVar

from flask import Response, request
from pydantic import BaseModel
from werkzeug.exceptions import ServiceUnavailable

from framewatch.errors import CapacityExceeded

# No cache may keep it, no proxy may gather it before passing it on.
UNBUFFERED: Final = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}

_TRY_AGAIN_S: Final = 10

_T = TypeVar("_T")


def answer(model: BaseModel) -> Response:
    """The model as JSON."""
    return Response(model.model_dump_json(), content_type="application/json")


def lasting(
    place: Callable[[], AbstractContextManager[_T]],
    parts: Callable[[_T], Iterator[bytes]],
    content_type: str,
    headers: Mapping[str, str] = UNBUFFERED,
) -> Response:
    """The answer, once there is a place for it.

    Args:
        place: takes one, and gives it back when it is left.
        parts: of the answer's body, given what the place is of. What it raises before it returns is an answer of
            its own: afterwards the answer has begun, and nothing more can be said.
        content_type: of the answer.
        headers: of the answer.

    Raises:
        ServiceUnavailable: every place is taken.
    """
    if request.method == "HEAD":  # nothing follows, so nothing is taken that the end of an answer would give back
        return Response(headers=dict(headers), content_type=content_type)
    with ExitStack() as taken:
        try:
            held = taken.enter_context(place())
        except CapacityExceeded as error:
            raise ServiceUnavailable(f"{error}; try again later", retry_after=_TRY_AGAIN_S) from None
        response = Response(parts(held), headers=dict(headers), content_type=content_type)
        response.call_on_close(taken.pop_all().close)
    return response
