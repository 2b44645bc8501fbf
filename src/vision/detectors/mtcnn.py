"""The ``faces-mtcnn`` preset: faces with five landmarks, by the mtcnn package.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", 2016. It finds
faces that are turned or tilted too, and needs TensorFlow, which no other preset does: an extra of its own.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import files, version
from typing import Any, Final

import cv2

from framewatch.model.detection import Box, Detection
from framewatch.vision.classifier import Image

LABEL: Final = "face"
LANDMARKS: Final = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
_MAX_PIXELS: Final = 1280 * 720  # of a larger picture, faces of less than 20 pixels after shrinking are lost
# Part of the model's name in every event: raised whenever the same picture would give other boxes.
_DETECTOR_VERSION: Final = 1

_lock = threading.Lock()  # one network for all threads; TensorFlow uses all cores for it by itself


class MtcnnFaces:
    """Finds faces and their landmarks. Instances share one network and take turns."""

    labels = (LABEL,)
    batch_size = 1
    stateful = False

    def __init__(self) -> None:
        with _lock:
            _network()

    @property
    def model(self) -> str:
        """``faces-mtcnn@`` with the detector's version and the content hash of the network's weights."""
        return _model()

    def classify(self, images: Sequence[Image], streams: Sequence[str | None] = ()) -> list[list[Detection]]:  # noqa: ARG002
        """The faces of each picture from left to right, each with its landmarks in the order of ``LANDMARKS``."""
        return [self._faces(image) for image in images]

    def _faces(self, image: Image) -> list[Detection]:
        height, width = image.shape[:2]
        scale = min(1.0, math.sqrt(_MAX_PIXELS / (height * width)))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        smaller = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
        with _lock:
            found = _network().detect_faces(cv2.cvtColor(smaller, cv2.COLOR_BGR2RGB))
        faces = [_detection(face, scale, width, height) for face in found]
        return sorted((face for face in faces if face.box and face.box.width and face.box.height), key=_left_to_right)


def _detection(face: Mapping[str, Any], scale: float, width: int, height: int) -> Detection:
    box = Box(*(round(int(side) / scale) for side in face["box"])).clipped(width, height)
    points = (face["keypoints"][name] for name in LANDMARKS)
    landmarks = tuple((float(x) / scale, float(y) / scale) for x, y in points)
    confidence = min(1.0, max(0.0, float(face["confidence"])))
    return Detection(LABEL, confidence, box, landmarks, ((LABEL, confidence),))


def _left_to_right(face: Detection) -> tuple[int, ...]:
    return face.box or ()


@cache
def _network() -> Any:
    from mtcnn import MTCNN  # noqa: PLC0415  # imports TensorFlow: seconds, and a gigabyte of memory

    return MTCNN()


@cache
def _model() -> str:
    digest = hashlib.sha256(version("mtcnn").encode())
    for file in sorted(files("mtcnn") or ()):
        if file.suffix == ".lz4":
            digest.update(file.read_binary())
    return f"faces-mtcnn@{_DETECTOR_VERSION}-{digest.hexdigest()[:8]}"
