"""What a classifier says of one uploaded picture."""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Request, Response, jsonify, request
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    HTTPException,
    InternalServerError,
    RequestEntityTooLarge,
    RequestTimeout,
    ServiceUnavailable,
    TooManyRequests,
    UnsupportedMediaType,
)
from werkzeug.formparser import FormDataParser

from consumer.predictor import NoAnswer, Prediction, PredictionFailed, Predictor
from consumer.web.incoming import BodyTooLarge
from consumer.web.rate import RateLimit
from errors import BadPicture
from vision.pictures import Picture, read_picture
from vision.types import Detection

FIELD: Final = "file"
FORM_BYTES: Final = 64 * 1024  # that a body may have beside its picture

_MULTIPART: Final = "multipart/form-data"
_MAX_PARTS: Final = 16
_MAX_TEXT_BYTES: Final = 256 * 1024  # of a form's text and headers; a picture in it is no text
_TRY_AGAIN_S: Final = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may ask of ``/predict``.

    Attributes:
        max_bytes: of a picture's file.
        per_minute: pictures of one client.
        at_a_time: pictures of all clients together that are received, decoded or classified.
        answer_s: seconds that a picture may wait for its answer.
    """

    max_bytes: int = 10_000_000
    per_minute: int = 120
    at_a_time: int = 8
    answer_s: float = 20.0


def blueprint(predictor: Predictor, limits: Limits) -> Blueprint:
    """The room of the questions, over whoever answers them."""
    room = Blueprint("predict", __name__)
    rate = RateLimit(limits.per_minute)
    places = threading.BoundedSemaphore(limits.at_a_time)
    decoding = threading.Lock()  # the largest picture takes 260 MB while it is decoded

    @room.get("/classes")
    def classes() -> Response:
        """Names of everything that can be seen, in the order of the model's outputs."""
        return jsonify(predictor.labels)

    @room.post("/predict")
    def predict() -> Response:
        """What is seen in the picture of the request."""
        _check_head(request, limits.max_bytes)
        wait_s = rate.wait_s(request.remote_addr or "")
        if wait_s:
            seconds = math.ceil(wait_s)
            text = f"more than {limits.per_minute} pictures a minute: try again in {seconds} s"
            raise TooManyRequests(text, retry_after=seconds)
        with _one_of(places, limits.at_a_time):
            data = _uploaded(request, limits.max_bytes)
            try:
                with decoding:
                    picture = read_picture(data)
                del data
                prediction = predictor.predict(picture.image, limits.answer_s)
            except BadPicture as error:
                raise BadRequest(str(error)) from None
            except NoAnswer as error:
                raise ServiceUnavailable(f"{error}; try again", retry_after=_TRY_AGAIN_S) from None
            except PredictionFailed as error:
                raise InternalServerError(str(error)) from None
        response = jsonify(_as_json(prediction, picture))
        response.headers["Cache-Control"] = "no-store"
        return response

    return room


@contextmanager
def _one_of(places: threading.BoundedSemaphore, count: int) -> Iterator[None]:
    if not places.acquire(blocking=False):
        raise ServiceUnavailable(f"{count} pictures are being looked at: try again", retry_after=_TRY_AGAIN_S)
    try:
        yield
    finally:
        places.release()


def _check_head(request: Request, max_bytes: int) -> None:
    """Refuse before anything of the body is read.

    Raises:
        HTTPException: what the request says of its body is nothing that can be taken.
    """
    kind = request.mimetype
    if kind not in {_MULTIPART, "application/octet-stream"} and not kind.startswith("image/"):
        raise UnsupportedMediaType(
            f"got Content-Type {kind[:80]!r}: send a picture as multipart/form-data in the field {FIELD!r}, "
            "or as the body with Content-Type image/jpeg, image/png or image/webp"
        )
    if kind == _MULTIPART and not request.mimetype_params.get("boundary"):
        raise BadRequest("the Content-Type multipart/form-data names no boundary")
    if (request.content_length or 0) > max_bytes + FORM_BYTES:
        raise _too_large(max_bytes)
    if not request.content_length and request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        raise BadRequest("the request has no body: a picture is needed")


def _too_large(max_bytes: int, more: str = "") -> HTTPException:
    return RequestEntityTooLarge(f"a picture may have at most {max_bytes / 1e6:g} MB{more}")


def _uploaded(request: Request, max_bytes: int) -> bytes:
    """The picture's file, read from the body; nothing of it touches the disk.

    Raises:
        HTTPException: it does not come as it should.
    """
    request.max_content_length = max_bytes + FORM_BYTES
    try:
        data = _file_of_form(request) if request.mimetype == _MULTIPART else _whole_body(request)
    except ClientDisconnected as error:  # werkzeug's name for every way in which a body ends early
        if isinstance(error.__context__, TimeoutError):
            raise RequestTimeout("the picture came too slowly") from None
        if isinstance(error.__context__, BodyTooLarge):
            raise _too_large(max_bytes) from None
        raise BadRequest("the connection ended before the whole picture came") from None
    except RequestEntityTooLarge:
        more = f", its form {_MAX_PARTS} parts and {_MAX_TEXT_BYTES // 1024} kB of text"
        raise _too_large(max_bytes, more if request.mimetype == _MULTIPART else "") from None
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    if not data:
        raise BadRequest("the file is empty: a picture is needed")
    return data


def _whole_body(request: Request) -> bytes:
    data = request.get_data(cache=False)
    if len(data) < (request.content_length or 0):
        raise ClientDisconnected
    return data


def _file_of_form(request: Request) -> bytes:
    """The one file of a form.

    Raises:
        BadRequest: the form is damaged or has no such file, or several.
        RequestEntityTooLarge: it has too many parts, or too long ones that are no file.
    """
    parser = FormDataParser(
        stream_factory=lambda *_args, **_kwargs: io.BytesIO(),
        max_form_memory_size=_MAX_TEXT_BYTES,
        max_form_parts=_MAX_PARTS,
        silent=False,
    )
    try:
        _, form, files = parser.parse(
            request.stream, _MULTIPART, request.content_length, dict(request.mimetype_params)
        )
    except ValueError as error:
        raise BadRequest(f"the form is damaged: {error}") from None
    found = files.getlist(FIELD)
    if len(found) == 1 and len(files) == 1:
        return found[0].stream.read()
    if FIELD in form:
        raise BadRequest(f"the field {FIELD!r} holds text: send it as a file, with a file name")
    if not found:
        others = ", ".join(repr(name)[:40] for name in [*files, *form][:_MAX_PARTS]) or "none"
        raise BadRequest(f"no file in a field {FIELD!r}; fields: {others}")
    raise BadRequest(f"got {sum(1 for _ in files.items(multi=True))} files: send one at a time")


def _as_json(prediction: Prediction, picture: Picture) -> dict[str, Any]:
    """The answer, with places in pixels of the uploaded picture."""
    main = max(prediction.detections, key=_prominence, default=None)
    scale = (picture.width / picture.image.shape[1], picture.height / picture.image.shape[0])
    answer: dict[str, Any] = {
        "action": main.label if main else None,
        "confidence": float(main.confidence) if main else None,
        "all_predictions": _scores("action", main.scores if main else ()),
        "detections": [_detection(detection, scale) for detection in prediction.detections],
        "model": prediction.model,
        "width": picture.width,
        "height": picture.height,
    }
    if main is None:  # classifiers of the whole picture always see something, so this one looks for faces
        answer["detail"] = "no face was found in the picture"
    return answer


def _prominence(detection: Detection) -> tuple[float, float]:
    """What is largest comes first: the whole picture, then the nearest face."""
    area = detection.box.width * detection.box.height if detection.box else math.inf
    return area, detection.confidence


def _scores(name: str, scores: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{name: label, "confidence": float(score)} for label, score in scores]


def _detection(detection: Detection, scale: tuple[float, float]) -> dict[str, Any]:
    box = detection.box
    return {
        "label": detection.label,
        "confidence": float(detection.confidence),
        "box": box
        and {
            "x": round(box.x * scale[0]),
            "y": round(box.y * scale[1]),
            "width": round(box.width * scale[0]),
            "height": round(box.height * scale[1]),
        },
        "landmarks": [[float(x) * scale[0], float(y) * scale[1]] for x, y in detection.landmarks],
        "scores": _scores("label", detection.scores),
    }
