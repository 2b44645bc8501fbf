"""Labelled faces found, beside a full-size scan: a faster result that finds less would be a slower one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.plain import plain_cascade, plain_faces
from benchmarks.rig import DATA
from framewatch.vision.classifier import Image
from framewatch.vision.detectors.haar import HaarFaceDetector

Box = tuple[int, int, int, int]
MATCH = 0.4  # intersection over union from which a box is the labelled face


def accuracy(console: Console) -> tuple[int, int] | None:
    """Print and return labelled faces found by the plain scan and by ours; None without the data."""
    folder = DATA / "faces"
    if not folder.is_dir():
        console.print(f"no labelled faces at {folder}: name the data folder by FRAMEWATCH_TEST_DATA\n")
        return None
    cascade, detector = plain_cascade(), HaarFaceDetector()
    finders: dict[str, Callable[[Image], Sequence[Box]]] = {
        "full-size scan 1.1/5/30": lambda image: plain_faces(cascade, image),
        "Framewatch": lambda image: [face.box for face in detector.detect(image)],
    }
    labels = json.loads((folder / "boxes.json").read_text())
    total = sum(map(len, labels.values()))
    table = Table("detector", "found", "of", "false", title="Labelled faces (18 in 4 photos, many 37 px wide)")
    found = []
    for name, find in finders.items():
        right = boxes = 0
        for photo, wanted in labels.items():
            image = np.asarray(cv2.imread(str(folder / photo)), np.uint8)
            got = find(image)
            right += matches([tuple(w) for w in wanted], got)
            boxes += len(got)
        table.add_row(name, str(right), str(total), str(boxes - right))
        found.append(right)
    console.print(table)
    return found[0], found[1]


def matches(wanted: Sequence[Box], got: Sequence[Box]) -> int:
    """How many wanted boxes have a box of their own among those got, best overlap first."""
    pairs = sorted(((overlap(w, g), i, k) for i, w in enumerate(wanted) for k, g in enumerate(got)), reverse=True)
    used: tuple[set[int], set[int]] = (set(), set())
    for share, i, k in pairs:
        if share >= MATCH and i not in used[0] and k not in used[1]:
            used[0].add(i)
            used[1].add(k)
    return len(used[0])


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes (left, top, width, height)."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0, across) * max(0, down)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)
