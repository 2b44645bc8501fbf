"""Live pictures: MJPEG, snapshots, and which streams there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

import numpy as np
from flask import Response, abort, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.types import ResponseDict
from pydantic import BaseModel, ConfigDict, Field

from framewatch.live.frame import BOUNDARY, OPENING, LiveFrame, part_of
from framewatch.live.hub import LiveHub
from framewatch.vision.jpeg import encode_jpeg
from framewatch.web.api.docs import of_kind
from framewatch.web.api.responses import UNBUFFERED, lasting
from framewatch.web.schemas import Problem, StreamsOut
from framewatch.web.security.headers import PICTURE_POLICY

_TAG: Final = Tag(name="live", description="What is seen now.")
_MJPEG: Final[ResponseDict] = {200: of_kind("multipart/x-mixed-replace"), 503: Problem}
_REPEAT_S: Final = 1.0
_MAX_WAITS: Final = 600  # then the answer ends, and a page that is still there asks again
_BLANK: Final = part_of(encode_jpeg(np.zeros((9, 16, 3), np.uint8)))
_HEADERS: Final = {**UNBUFFERED, **PICTURE_POLICY}


class StreamPath(BaseModel):
    """A stream in an address."""

    model_config = ConfigDict(extra="forbid")

    stream: str = Field(description="name of the stream")


def blueprint(hub: LiveHub) -> APIBlueprint:
    """The live room over a hub."""
    room = APIBlueprint("live", __name__, abp_tags=[_TAG])

    @room.get("/video", summary="Live picture (MJPEG)", responses=_MJPEG)
    def video() -> Response:
        """Of the stream that is alive; of the first by name where several are."""
        return _mjpeg(hub, None)

    @room.get("/video/<stream>", summary="Live picture of one stream (MJPEG)", responses=_MJPEG)
    def video_of(path: StreamPath) -> Response:
        """Waits for its first frame when there is none yet."""
        return _mjpeg(hub, path.stream)

    answers: ResponseDict = {200: of_kind("image/jpeg"), 404: Problem, 500: Problem}

    @room.get("/snapshot/<stream>.jpg", summary="The newest picture of a stream", responses=answers)
    def snapshot(path: StreamPath) -> Response:
        """``X-Timestamp`` is its capture time, ``X-Frame`` its number."""
        stream = path.stream
        frame = hub.newest(stream)
        if frame is None:
            known = ", ".join(s.stream for s in hub.streams()) or "none yet"
            abort(404, f"no picture of a stream {stream!r} here; streams: {known}")
        jpeg = frame.jpeg
        if jpeg is None:
            abort(500, f"the picture of frame {frame.number} of stream {stream!r} cannot be drawn: the log says why")
        headers = {"X-Timestamp": f"{frame.time_us / 1e6:.6f}", "X-Frame": str(frame.number), **_HEADERS}
        return Response(jpeg, mimetype="image/jpeg", headers=headers)

    @room.get("/streams", summary="All streams and what is seen now", responses={200: StreamsOut})
    def streams() -> Response:
        """With the newest frame of each, its age, the rate and what waits."""
        return jsonify(streams=[asdict(status) for status in hub.streams()])

    return room


def _mjpeg(hub: LiveHub, stream: str | None) -> Response:
    """The live answer.

    Raises:
        ServiceUnavailable: every place for a viewer is taken.
    """
    mimetype = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
    return lasting(hub.viewer, lambda _: _parts(hub, stream), mimetype, _HEADERS)


def _parts(hub: LiveHub, stream: str | None) -> Iterator[bytes]:
    """Each newest picture as a part; the last one again each second while nothing new comes.

    One that was erased, or whose stream is another worker's by now, is taken off by a black one: whoever watches
    would have it before them for as long as they stay.
    """
    yield OPENING
    seen = 0
    last: LiveFrame | None = None
    shown: str | None = stream
    waits = 0
    while not hub.closed and waits < _MAX_WAITS:
        if stream is None:
            shown = _still_or_another(hub, shown)
        frame = hub.wait_newer(shown, seen, _REPEAT_S)
        if last is not None and not hub.shows(last):
            last, seen = None, 0  # another stream's picture may be older
            yield _BLANK
        if frame is not None:
            seen, last = frame.sequence, frame if frame.part else last
        if last is not None and last.part:
            yield last.part
        else:
            # Nothing to show yet. A line among the first part's headers harms no reader, and finds out who has left.
            waits += 1
            yield f"X-Waiting: {waits}\r\n".encode()


def _still_or_another(hub: LiveHub, shown: str | None) -> str | None:
    """The stream to show where none was asked for: the same one while it is alive."""
    return hub.pick() if shown is None or not hub.is_alive(shown) else shown
