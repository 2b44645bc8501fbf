"""JSON responses, and streaming ones: live pictures, the feed, downloads.

A streaming response holds a thread of the server, so their number is limited; its slot is released when the
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

# No cache may store it, no proxy may buffer it.
UNBUFFERED: Final = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}

_TRY_AGAIN_S: Final = 10

_T = TypeVar("_T")


def json_response(model: BaseModel) -> Response:
    """The model as JSON."""
    return Response(model.model_dump_json(), content_type="application/json")


def streaming_response(
    slot: Callable[[], AbstractContextManager[_T]],
    parts: Callable[[_T], Iterator[bytes]],
    content_type: str,
    headers: Mapping[str, str] = UNBUFFERED,
) -> Response:
    """A streaming response, or a 503 where all slots are taken.

    Args:
        slot: takes a slot while it is entered; raises CapacityExceeded where there is none.
        parts: gives the parts of the body, given the value of the slot. Only what it raises before it returns
            becomes an error response: afterwards the response has begun.
        content_type: of the response.
        headers: of the response.

    Raises:
        ServiceUnavailable: all slots are taken.
    """
    if request.method == "HEAD":  # there is no body, so no slot is needed, nor anything that would release it
        return Response(headers=dict(headers), content_type=content_type)
    with ExitStack() as taken:
        try:
            value = taken.enter_context(slot())
        except CapacityExceeded as error:
            raise ServiceUnavailable(f"{error}; try again later", retry_after=_TRY_AGAIN_S) from None
        response = Response(parts(value), headers=dict(headers), content_type=content_type)
        response.call_on_close(taken.pop_all().close)
    return response
