"""Live pictures: MJPEG, snapshots, and the list of streams."""

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
from framewatch.web.api.responses import UNBUFFERED, streaming_response
from framewatch.web.schemas import Problem, StreamsOut
from framewatch.web.security.headers import PICTURE_POLICY

_TAG: Final = Tag(name="live", description="Live pictures and the state of the streams.")
_MJPEG: Final[ResponseDict] = {200: of_kind("multipart/x-mixed-replace"), 503: Problem}
_REPEAT_S: Final = 1.0
_MAX_WAITS: Final = 600  # then the response ends, and a page that is still there reconnects
_BLANK: Final = part_of(encode_jpeg(np.zeros((9, 16, 3), np.uint8)))
_HEADERS: Final = {**UNBUFFERED, **PICTURE_POLICY}


class StreamPath(BaseModel):
    """A stream in a path."""

    model_config = ConfigDict(extra="forbid")

    stream: str = Field(description="name of the stream")


def blueprint(hub: LiveHub) -> APIBlueprint:
    """The section of the live pictures."""
    section = APIBlueprint("live", __name__, abp_tags=[_TAG])

    @section.get("/video", summary="Live picture (MJPEG)", responses=_MJPEG)
    def video() -> Response:
        """Of the stream that is alive; where several are, of the first by name."""
        return _mjpeg(hub, None)

    @section.get("/video/<stream>", summary="Live picture of one stream (MJPEG)", responses=_MJPEG)
    def video_of(path: StreamPath) -> Response:
        """Waits for the first frame where there is none yet."""
        return _mjpeg(hub, path.stream)

    answers: ResponseDict = {200: of_kind("image/jpeg"), 404: Problem, 500: Problem}

    @section.get("/snapshot/<stream>.jpg", summary="Newest picture of a stream", responses=answers)
    def snapshot(path: StreamPath) -> Response:
        """``X-Timestamp`` is its capture time in seconds, ``X-Frame`` its number."""
        stream = path.stream
        frame = hub.newest(stream)
        if frame is None:
            names = ", ".join(s.stream for s in hub.streams()) or "none yet"
            abort(404, f"no picture of a stream {stream!r} here; streams: {names}")
        jpeg = frame.jpeg
        if jpeg is None:
            abort(500, f"the picture of frame {frame.number} of stream {stream!r} cannot be drawn: the log says why")
        headers = {"X-Timestamp": f"{frame.time_us / 1e6:.6f}", "X-Frame": str(frame.number), **_HEADERS}
        return Response(jpeg, mimetype="image/jpeg", headers=headers)

    @section.get("/streams", summary="All streams", responses={200: StreamsOut})
    def streams() -> Response:
        """With each stream's newest frame, its labels, age, frame rate and lag."""
        return jsonify(streams=[asdict(status) for status in hub.streams()])

    return section


def _mjpeg(hub: LiveHub, stream: str | None) -> Response:
    """The live picture of a stream, or of whichever is alive.

    Raises:
        ServiceUnavailable: there are too many viewers.
    """
    mimetype = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
    return streaming_response(hub.viewer, lambda _: _parts(hub, stream), mimetype, _HEADERS)


def _parts(hub: LiveHub, stream: str | None) -> Iterator[bytes]:
    """Each newest picture as a part; the last one again each second while there is no newer one.

    A picture that was erased, or whose stream another worker has taken over, is replaced by a black one: it would
    otherwise stay on the viewer's screen.
    """
    yield OPENING
    seen = 0
    last: LiveFrame | None = None
    current: str | None = stream
    waits = 0
    while not hub.closed and waits < _MAX_WAITS:
        if stream is None:
            current = _stream_to_show(hub, current)
        frame = hub.wait_newer(current, seen, _REPEAT_S)
        if last is not None and not hub.is_current(last):
            last, seen = None, 0  # another stream's picture may be older
            yield _BLANK
        if frame is not None:
            seen, last = frame.sequence, frame if frame.part else last
        if last is not None and last.part:
            yield last.part
        else:
            # No frame yet. A line among the headers of the first part disturbs no reader, and notices who has left.
            waits += 1
            yield f"X-Waiting: {waits}\r\n".encode()


def _stream_to_show(hub: LiveHub, current: str | None) -> str | None:
    """The stream to show where none was named: the current one while it is alive."""
    return hub.pick() if current is None or not hub.is_alive(current) else current
