"""Classifies single pictures."""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from flask import Response, jsonify, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from flask_openapi3.types import ResponseDict
from werkzeug.exceptions import BadRequest, InternalServerError, ServiceUnavailable

from framewatch.errors import BadPicture
from framewatch.model.detection import Detection
from framewatch.vision.images import Picture, read_picture
from framewatch.web.api.forms import body_schema, check_headers, read_file
from framewatch.web.predictor import Prediction, PredictionFailed, Predictor, PredictorBusy
from framewatch.web.schemas import ClassesOut, PredictionOut, Problem
from framewatch.web.security.rate import RateLimit

_WHAT: Final = "a picture"
_TRY_AGAIN_S: Final = 1

_TAG: Final = Tag(name="pictures", description="Classification of single pictures.")
_BODY: Final = body_schema("image/jpeg", "image/png", "image/webp")
_ANSWERS: Final[ResponseDict] = {200: PredictionOut, **dict.fromkeys((400, 408, 413, 415, 429, 500, 503), Problem)}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of ``/predict``.

    Attributes:
        max_bytes: of a picture's file.
        per_minute: pictures of one client.
        at_a_time: pictures of all clients together that are received, decoded or classified.
        answer_s: seconds that a picture may wait for its result.
    """

    max_bytes: int = 10_000_000
    per_minute: int = 120
    at_a_time: int = 8
    answer_s: float = 20.0


def blueprint(predictor: Predictor, limits: Limits) -> APIBlueprint:
    """The section of single pictures."""
    section = APIBlueprint("predict", __name__, abp_tags=[_TAG])
    rate = RateLimit(limits.per_minute)
    free = threading.BoundedSemaphore(limits.at_a_time)
    decoding = threading.Lock()  # the largest picture takes 260 MB while it is decoded

    @section.get("/classes", summary="Labels of the classifier", responses={200: ClassesOut})
    def classes() -> Response:
        """In the order of the model's outputs."""
        return jsonify(predictor.labels)

    @section.post("/predict", summary="Classify a picture", responses=_ANSWERS, openapi_extensions=_BODY)
    def predict() -> Response:
        """As the file of a form, or as the body. Nothing of it is stored."""
        check_headers(request, limits.max_bytes, _WHAT, ("image",))
        rate.check(request.remote_addr or "", "pictures")
        with _slot(free, limits.at_a_time):
            file = io.BytesIO()  # nothing of it touches the disk
            read_file(request, limits.max_bytes, _WHAT, file)
            try:
                with decoding:
                    picture = read_picture(file.getvalue())
                del file
                prediction = predictor.predict(picture.image, limits.answer_s)
            except BadPicture as error:
                raise BadRequest(str(error)) from None
            except PredictorBusy as error:
                raise ServiceUnavailable(f"{error}; try again", retry_after=_TRY_AGAIN_S) from None
            except PredictionFailed as error:
                raise InternalServerError(str(error)) from None
        response = jsonify(_as_json(prediction, picture))
        response.headers["Cache-Control"] = "no-store"
        return response

    return section


@contextmanager
def _slot(free: threading.BoundedSemaphore, count: int) -> Iterator[None]:
    if not free.acquire(blocking=False):
        raise ServiceUnavailable(f"{count} pictures are being classified: try again", retry_after=_TRY_AGAIN_S)
    try:
        yield
    finally:
        free.release()


def _as_json(prediction: Prediction, picture: Picture) -> dict[str, Any]:
    """The result, with boxes and landmarks in pixels of the uploaded picture."""
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
    if main is None:  # classifiers of the whole picture always give a label, so this one looks for faces
        answer["detail"] = "no face was found in the picture"
    return answer


def _prominence(detection: Detection) -> tuple[float, float]:
    """Sort key by size: the whole picture, then the largest face."""
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
