"""A stateless Haar face detector at about a fifth of the cost of a plain full-size scan.

``detectMultiScale(gray, 1.1, 5, minSize=(30, 30))`` with OpenCV's "default" cascade visits every position of every
scale with small steps, although nearly all of them hold no face. Here the picture is judged in two passes:

1. *Propose.* ``frontalface_alt2``, cut down to its first stages (fewer stages let more through, and the tolerance
   for a wrong size or position grows), looks at few sizes (36 px times powers of the square root of two) on shrunken
   pictures in which a step is always two pixels of the 20-pixel window. Every hit counts, near ones are merged.
2. *Verify.* Each proposal is cut out, scaled so that the expected face is ``VERIFY_SIZE`` px wide, and scanned
   finely with the whole ``alt2`` cascade. No hit at all: no face. Many hits: a face. Few hits: the "default" cascade
   looks at the same cut-out too, and both cascades' hits are counted together (two opinions, trained differently).

The number of hits that agree on a box (its *support*) decides, and gives the confidence.

Nothing is remembered between calls, nothing is random: the same picture gives the same boxes. The work is bounded by
``max_pixels``: larger pictures are shrunk first, so the smallest face found grows with them. Only cascades shipped in
``cv2.data`` are used. An instance must not be used by two threads at once (OpenCV's classifiers keep buffers): make
one for each thread, best with ``cv2.setNumThreads(1)``; the boxes do not depend on it.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import cv2
import numpy as np

from framewatch.model.detection import Box
from framewatch.vision.classifier import Image
from framewatch.vision.detectors.cascades import load_cascade

PROPOSE_STAGES: Final = 13  # of alt2's 20
PROPOSE_SIZE: Final = 36.0  # width in px of the smallest proposed face; verification reaches down to `min_size`
PROPOSE_RATIO: Final = math.sqrt(2.0)  # between proposed sizes; two of them share one shrunken picture
PROPOSE_WINDOW: Final = 20  # alt2's window
MERGE_DISTANCE: Final = 0.2  # hits whose centres are closer than this share of the smaller one's width are merged
MERGE_RATIO: Final = 1.6  # ... unless one is this much larger
MAX_HITS: Final = 1024  # these two bound the work on odd textures
MAX_PROPOSALS: Final = 128  # busy photos have about 30
VERIFY_SIZE: Final = 60.0  # px; above twice the window OpenCV steps by single pixels
VERIFY_TOLERANCE: Final = 1.3  # a face may be this much smaller or larger than proposed
VERIFY_MARGIN: Final = 0.25  # context around a proposal, in widths
VERIFY_FACTOR: Final = 1.1
SECOND_BELOW: Final = 8  # hits of alt2 that need no second opinion
SETTLED: Final = 10  # support from which other proposals inside a face are passed over
OVERLAP: Final = 0.35  # shared part of the smaller box from which two boxes are the same face
CONFIDENCE_HALF: Final = 10.0  # support at which the confidence would be 0.5, see `confidence`
CONFIDENCE_SLOPE: Final = 2.0

CASCADES: Final = ("frontalface_alt2", "frontalface_default")


class Face(NamedTuple):
    """A face found: where, in pixels of the picture, and how sure, 0 to 1."""

    box: Box
    confidence: float


class _Proposal(NamedTuple):
    x: float  # centre
    y: float
    smallest: float  # widths of the merged hits
    largest: float


class _Found(NamedTuple):
    support: int
    x: float
    y: float
    size: float


def confidence(support: int) -> float:
    """Support as a figure in 0..1 (a logistic of its logarithm): monotonic, and no probability."""
    return 1.0 / (1.0 + math.pow(CONFIDENCE_HALF / support, CONFIDENCE_SLOPE))


class HaarFaceDetector:
    """Finds upright frontal faces. Not for two threads at once: one instance for each thread."""

    def __init__(
        self, min_size: int = 30, min_support: int = 8, max_pixels: int = 1920 * 1080, *, thorough: bool = False
    ) -> None:
        """`min_size`: least width of a face in px. `min_support`: fewer hits are no face (2 or more).

        `max_pixels`: larger pictures are shrunk to this area first; it bounds time and memory.
        `thorough`: the second cascade looks at every proposal, not only where the first one has hits.
        """
        if min_size < PROPOSE_WINDOW or min_support < 2 or max_pixels < 1:
            raise ValueError(f"min_size must be >= {PROPOSE_WINDOW}, min_support >= 2 and max_pixels >= 1")
        self._min_size = min_size
        self._min_support = min_support
        self._max_pixels = max_pixels
        self._thorough = thorough
        self._first_size = PROPOSE_SIZE * min_size / 30.0
        self._propose = load_cascade(CASCADES[0], PROPOSE_STAGES)
        self._verify = load_cascade(CASCADES[0])
        self._second = load_cascade(CASCADES[1])

    def detect(self, image: Image) -> list[Face]:
        """The faces, sorted by their boxes. `image`: grey, BGR or BGRA, uint8, of any size."""
        grey = _to_grey(image)
        height, width = grey.shape
        if grey.size == 0:
            return []
        shrink = math.sqrt(min(1.0, self._max_pixels / grey.size))
        if shrink < 1.0:
            size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
            grey = _resize(grey, size)
        found: list[_Found] = []
        for proposal in _merge(self._proposals(grey)):
            if not any(_holds(face, proposal) for face in found):
                found += self._verified(grey, proposal)
        kept: list[_Found] = []
        for face in sorted(found, key=lambda f: (-f.support, f.x, f.y, f.size)):
            if not any(_same(face, other) for other in kept):
                kept.append(face)
        boxes = (_to_box(f, width / grey.shape[1], height / grey.shape[0], width, height) for f in kept)
        return sorted(face for face in boxes if face.box.width > 0 and face.box.height > 0)

    def _proposals(self, grey: Image) -> list[tuple[float, float, float]]:
        """Raw hits (left, top, width) of the cut-down cascade."""
        height, width = grey.shape
        hits: list[tuple[float, float, float]] = []
        size = self._first_size
        level = grey
        while size <= min(height, width):
            scale = PROPOSE_WINDOW / size
            shape = (max(PROPOSE_WINDOW, round(width * scale)), max(PROPOSE_WINDOW, round(height * scale)))
            level = _resize(level, shape)  # each level from the one before: cheaper, and smooth
            largest = int(PROPOSE_WINDOW * PROPOSE_RATIO + 1)
            raw = self._propose.detectMultiScale(level, PROPOSE_RATIO, 0, maxSize=(largest, largest))
            hits += [(float(x) / scale, float(y) / scale, float(w) / scale) for x, y, w, _ in raw]
            size *= PROPOSE_RATIO * PROPOSE_RATIO
        return sorted(hits)

    def _verified(self, grey: Image, proposal: _Proposal) -> list[_Found]:
        size = math.sqrt(proposal.smallest * proposal.largest)
        spread = math.sqrt(proposal.largest / size)  # merged hits of unlike size: search a little wider
        reach = size * (0.5 + VERIFY_MARGIN)
        left, top = max(0, round(proposal.x - reach)), max(0, round(proposal.y - reach))
        crop = grey[top : round(proposal.y + reach), left : round(proposal.x + reach)]
        if min(crop.shape) < 8:
            return []
        scale = VERIFY_SIZE / size
        crop = _resize(crop, (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale))))
        least = int(max(size / (VERIFY_TOLERANCE * spread), self._min_size * 0.97) * scale)
        most = int(size * VERIFY_TOLERANCE * spread * scale)
        hits = _scan(self._verify, crop, VERIFY_FACTOR, least, most)
        if not hits and not self._thorough:
            return []
        if len(hits) < SECOND_BELOW:
            hits += _scan(self._second, crop, VERIFY_FACTOR, least, most)
        hits.sort()
        if not hits:
            return []
        rects, counts = cv2.groupRectangles(hits, self._min_support - 1, 0.2)
        return [
            _Found(int(n), left + float(x) / scale, top + float(y) / scale, float(w) / scale)
            for (x, y, w, _), n in zip(rects, counts, strict=True)
        ]


def _scan(
    cascade: cv2.CascadeClassifier, crop: Image, factor: float, least: int, most: int
) -> list[tuple[int, int, int, int]]:
    raw = cascade.detectMultiScale(crop, factor, 0, minSize=(least, least), maxSize=(most, most))
    return [(int(x), int(y), int(w), int(h)) for x, y, w, h in raw]


def _merge(hits: list[tuple[float, float, float]]) -> list[_Proposal]:
    """Near hits of like size become one proposal; those with most hits come first."""
    hits = hits[:: -(-len(hits) // MAX_HITS) or 1]
    array = np.array(hits, dtype=np.float64).reshape(-1, 3)
    width = array[:, 2]
    x, y = array[:, 0] + width / 2, array[:, 1] + width / 2
    smaller = np.minimum(width[:, None], width)
    near = np.maximum(abs(x[:, None] - x), abs(y[:, None] - y)) < MERGE_DISTANCE * smaller
    near &= np.maximum(width[:, None], width) < MERGE_RATIO * smaller
    free = np.ones(len(array), dtype=np.bool_)
    proposals: list[_Proposal] = []
    for index in np.argsort(-near.sum(axis=1), kind="stable"):
        if free[index]:
            members = near[index] & free
            free &= ~members
            sizes = width[members]
            centre = float(x[members].mean()), float(y[members].mean())
            proposals.append(_Proposal(*centre, float(sizes.min()), float(sizes.max())))
    return proposals[:MAX_PROPOSALS]


def _holds(face: _Found, proposal: _Proposal) -> bool:
    """A proposal whose centre lies in a face found with strong support needs no look of its own."""
    inside = face.x < proposal.x < face.x + face.size and face.y < proposal.y < face.y + face.size
    return inside and face.support >= SETTLED


def _same(one: _Found, other: _Found) -> bool:
    across = min(one.x + one.size, other.x + other.size) - max(one.x, other.x)
    down = min(one.y + one.size, other.y + other.size) - max(one.y, other.y)
    return across > 0 and down > 0 and across * down > OVERLAP * min(one.size, other.size) ** 2


def _to_box(face: _Found, across: float, down: float, width: int, height: int) -> Face:
    """In whole pixels of the given picture, and inside it."""
    left, top = max(0, round(face.x * across)), max(0, round(face.y * down))
    right, bottom = min(width, round((face.x + face.size) * across)), min(height, round((face.y + face.size) * down))
    return Face(Box(left, top, right - left, bottom - top), round(confidence(face.support), 3))


def _to_grey(image: Image) -> Image:
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ValueError(f"expected a uint8 picture of 1, 3 or 4 channels, got {image.dtype} {image.shape}")
    if image.ndim == 2 or image.size == 0:
        return image.reshape(image.shape[:2]) if image.ndim == 2 else np.zeros((0, 0), dtype=np.uint8)
    if image.shape[2] == 1:
        return image[:, :, 0]
    code = cv2.COLOR_BGR2GRAY if image.shape[2] == 3 else cv2.COLOR_BGRA2GRAY
    return np.asarray(cv2.cvtColor(image, code), dtype=np.uint8)


def _resize(image: Image, size: tuple[int, int]) -> Image:
    shrinks = size[0] < image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=method), dtype=np.uint8)
