"""Live pictures: MJPEG, snapshots, and which streams there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from flask import Blueprint, Response, abort, jsonify, request
from werkzeug.exceptions import ServiceUnavailable

from consumer.live import BOUNDARY, OPENING, LiveHub, TooManyViewers

_REPEAT_S: Final = 1.0
_TRY_AGAIN_S: Final = 10
_MAX_WAITS: Final = 600  # then the answer ends, and a page that is still there asks again
_PICTURE_HEADERS: Final = {
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    # A picture opened by itself is shown by a page of the browser's own making, which has its style inline.
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    ),
}


def blueprint(hub: LiveHub) -> Blueprint:
    """The live room over a hub."""
    room = Blueprint("live", __name__)

    @room.get("/video")
    def video() -> Response:
        """Live picture of the stream that is alive; of the first by name where several are."""
        return _mjpeg(hub, None)

    @room.get("/video/<stream>")
    def video_of(stream: str) -> Response:
        """Live picture of one stream; waits for its first frame when there is none yet."""
        return _mjpeg(hub, stream)

    @room.get("/snapshot/<stream>.jpg")
    def snapshot(stream: str) -> Response:
        """The newest picture of a stream."""
        frame = hub.newest(stream)
        if frame is None:
            known = ", ".join(s.stream for s in hub.streams()) or "none yet"
            abort(404, f"no picture of a stream {stream!r} here; streams: {known}")
        jpeg = frame.jpeg
        if jpeg is None:
            abort(500, f"the picture of frame {frame.number} of stream {stream!r} cannot be drawn: the log says why")
        headers = {"X-Timestamp": f"{frame.time_us / 1e6:.6f}", "X-Frame": str(frame.number), **_PICTURE_HEADERS}
        return Response(jpeg, mimetype="image/jpeg", headers=headers)

    @room.get("/streams")
    def streams() -> Response:
        """Streams with their newest frame, age, rate and what is seen."""
        return jsonify(streams=[asdict(status) for status in hub.streams()])

    return room


def _mjpeg(hub: LiveHub, stream: str | None) -> Response:
    """The live answer.

    Raises:
        ServiceUnavailable: every place for a viewer is taken.
    """
    mimetype = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
    if request.method == "HEAD":  # nothing follows, so nothing is taken that the end of an answer would give back
        return Response(headers=_PICTURE_HEADERS, content_type=mimetype)
    place = hub.viewer()
    try:
        place.__enter__()
    except TooManyViewers as error:
        raise ServiceUnavailable(f"{error}; try again later", retry_after=_TRY_AGAIN_S) from None
    response = Response(_parts(hub, stream), headers=_PICTURE_HEADERS, content_type=mimetype)
    # The answer is endless: what is taken for it is given back when the connection ends, however it does.
    response.call_on_close(lambda: place.__exit__(None, None, None))
    return response


def _parts(hub: LiveHub, stream: str | None) -> Iterator[bytes]:
    """Each newest picture as a part; the last one again each second while nothing new comes."""
    yield OPENING
    seen, last = 0, b""
    shown: str | None = stream
    waits = 0
    while not hub.closed and waits < _MAX_WAITS:
        if stream is None:
            shown = _still_or_another(hub, shown)
        frame = hub.wait_newer(shown, seen, _REPEAT_S)
        if frame is not None:
            seen, last = frame.sequence, frame.part or last
        if last:
            yield last
        else:
            # Nothing to show yet. A line among the first part's headers harms no reader, and finds out who has left.
            waits += 1
            yield f"X-Waiting: {waits}\r\n".encode()


def _still_or_another(hub: LiveHub, shown: str | None) -> str | None:
    """The stream to show where none was asked for: the same one while it is alive."""
    return hub.pick() if shown is None or not hub.is_alive(shown) else shown
