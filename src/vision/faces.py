"""Faces by OpenCV's Haar cascade."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from vision.types import Box, Detection, Image


class HaarFaces:
    """placeholder"""

    model = "faces@00000000"
    batch_size = 1

    def __init__(self) -> None:
        self._cascade = cv2.CascadeClassifier(
            str(Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml")
        )

    def classify(self, images: Sequence[Image]) -> list[list[Detection]]:
        """Placeholder"""
        return [
            [
                Detection("face", 0.9, Box(*map(int, b)))
                for b in self._cascade.detectMultiScale(cv2.cvtColor(i, cv2.COLOR_BGR2GRAY), 1.1, 5, minSize=(30, 30))
            ]
            for i in images
        ]
