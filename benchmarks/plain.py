"""The loop that Framewatch is compared with: one frame at a time, as a first version would be written.

Decode, Haar at full size (scale 1.1, 5 neighbours, 30 px) with OpenCV's own threads, one ``insert_one`` a face, draw,
encode. It has no Kafka, no checks and no web server, so it is spared work that Framewatch does.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import cv2
import numpy as np
from cv2.data import haarcascades
from pymongo.collection import Collection


class Result(NamedTuple):
    """What a run came to."""

    frames: int
    events: int
    seconds: float


def plain_cascade() -> cv2.CascadeClassifier:
    """OpenCV's default frontal face cascade."""
    return cv2.CascadeClassifier(f"{haarcascades}haarcascade_frontalface_default.xml")


def plain_faces(cascade: cv2.CascadeClassifier, image: np.ndarray[Any, Any]) -> list[tuple[int, int, int, int]]:
    """Full-size scan, 1.1/5/30."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    found = cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(30, 30))
    return [(int(x), int(y), int(w), int(h)) for x, y, w, h in found]


def plain_loop(jpegs: Sequence[bytes], events: Collection[dict[str, Any]]) -> Result:
    """Run the loop over the frames."""
    cascade = plain_cascade()
    stored = 0
    started = time.perf_counter()
    for number, jpeg in enumerate(jpegs):
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None  # our own frames
        for x, y, w, h in plain_faces(cascade, image):
            crop = cv2.imencode(".jpg", image[y : y + h, x : x + w])[1].tobytes()
            document = {
                "image": base64.b64encode(crop).decode(),
                "frame": number,
                "boundingbox": [x, y, w, h],
                "timestamp": datetime.now(UTC),
            }
            events.insert_one(document)
            stored += 1
            cv2.rectangle(image, (x, y), (x + w, y + h), (0, 255, 0), 2)
        cv2.imencode(".jpg", image)
    return Result(len(jpegs), stored, time.perf_counter() - started)
