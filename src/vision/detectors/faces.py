"""The ``faces`` preset: upright frontal faces by OpenCV's Haar cascades."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Final

from framewatch.model.detection import Detection
from framewatch.vision.classifier import Image
from framewatch.vision.detectors.cascades import cascades_hash
from framewatch.vision.detectors.haar import CASCADES, HaarFaceDetector

LABEL: Final = "face"
# Part of the model's name in every event: raised whenever the detector would give other boxes for the same picture.
_DETECTOR_VERSION: Final = 1


class HaarFaces:
    """Finds faces; one instance for each thread."""

    labels = (LABEL,)
    batch_size = 1
    stateful = False

    def __init__(self) -> None:
        self._detector = HaarFaceDetector()

    @property
    def model(self) -> str:
        """``faces@`` with the detector's version and the content hash of its cascades."""
        return faces_model()

    def classify(self, images: Sequence[Image], streams: Sequence[str | None] = ()) -> list[list[Detection]]:  # noqa: ARG002
        """The faces of each picture, from left to right."""
        return [self._faces(image) for image in images]

    def _faces(self, image: Image) -> list[Detection]:
        return [
            Detection(LABEL, face.confidence, face.box, scores=((LABEL, face.confidence),))
            for face in self._detector.detect(image)
        ]


def is_face(img: Image) -> bool:
    """Whether there is a face in the picture, (height, width, 3) BGR or (height, width) grey."""
    return bool(_detectors.of_thread.detect(img))


@cache
def faces_model() -> str:
    """The model of ``HaarFaces``."""
    return f"faces@{_DETECTOR_VERSION}-{cascades_hash(*CASCADES)}"


class _Detectors(threading.local):
    """One detector for each thread that asks, made at its first question."""

    @cached_property
    def of_thread(self) -> HaarFaceDetector:
        return HaarFaceDetector()


_detectors = _Detectors()
