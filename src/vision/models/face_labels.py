"""A label for each face in the frame: faces by the Haar cascades, then a trained model on each of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np

from framewatch.model.detection import Box, Detection
from framewatch.vision.classifier import Image
from framewatch.vision.detectors.faces import faces_model
from framewatch.vision.detectors.haar import HaarFaceDetector
from framewatch.vision.models.bundle import Bundle
from framewatch.vision.models.runtime import Runtime
from framewatch.vision.models.wholeframe import top_detection

_BATCH: Final = 4  # frames: finding the faces is most of the work, and is done frame by frame
_MAX_CROPS: Final = 64  # a crowd goes in several calls


class LabelledFaces:
    """Finds faces and labels each by a bundle's model; one instance for each thread, all with the same runtime."""

    batch_size = _BATCH
    stateful = False

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        self._input = bundle.manifest.input
        self._margin = bundle.manifest.margin
        self._runtime = runtime
        self._detector = HaarFaceDetector()
        self.labels = bundle.labels
        self.model = combined_model(bundle, faces_model())

    def classify(self, images: Sequence[Image], streams: Sequence[str | None] = ()) -> list[list[Detection]]:  # noqa: ARG002
        """The faces of each picture from left to right, each with its label, its box and its scores."""
        boxes = [[face.box for face in self._detector.detect(image)] for image in images]
        crops = [
            self._input.prepared(_shown(image, box, self._margin))
            for image, found in zip(images, boxes, strict=True)
            for box in found
        ]
        scores = iter(
            row
            for start in range(0, len(crops), _MAX_CROPS)
            for row in self._runtime(np.stack(crops[start : start + _MAX_CROPS]))
        )
        return [[top_detection(self.labels, next(scores), box) for box in found] for found in boxes]


def combined_model(bundle: Bundle, detector: str) -> str:
    """Name and hash of the bundle's model on the boxes of a detector: other boxes, other answers, another name."""
    both = hashlib.sha256(f"{bundle.content_hash} {detector}".encode()).hexdigest()
    return f"{bundle.manifest.name}@{both[:8]}"


def _shown(image: Image, box: Box, margin: float) -> Image:
    """What the model is shown: the box with a margin at each side, as far as there is picture.

    Args:
        image: (height, width, 3).
        box: of the face, inside the picture.
        margin: as a part of the box's sides; less than 0 takes that much off.
    """
    across, down = round(box.width * margin), round(box.height * margin)
    wider = Box(box.x - across, box.y - down, box.width + 2 * across, box.height + 2 * down)
    x, y, width, height = wider.clipped(image.shape[1], image.shape[0])
    return image[y : y + max(1, height), x : x + max(1, width)]
