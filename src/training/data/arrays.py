"""Pictures that stand as numbers in one file: FER2013 as NumPy's .npz or as its official table of pixels."""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from framewatch.errors import DataError
from framewatch.training.data.samples import TRAIN, DecodedSample, Sample, SampleSet, Skipped, one_line, part_name
from framewatch.training.data.tables import Table
from framewatch.vision.classifier import Image

FER2013_LABELS: Final = ("Angry", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")

_FERPLUS: Final = {"angry": "anger", "happy": "happiness", "sad": "sadness"}  # by FER2013's names
_EXPECTED: Final = "expected x_train, y_train, x_validation, y_validation (and so on) and labels"
_MAX_SIDE: Final = 1024
_THREADS: Final = 2
_PART: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")  # files are named by it


def from_npz(name: str, content: bytes, frames: int) -> SampleSet:
    """Samples of the arrays ``x_PART`` (n, height, width) or (n, height, width, 1 or 3: red green blue), 8 bits,
    with ``y_PART`` (n,), an index into ``labels``; these may be missing where nothing is to be learned. In a sample
    of several frames all are the same picture.

    Where several people were asked, ``votes_PART`` (n, columns) says how many gave each answer of ``votes_columns``,
    and goes before ``y_PART``: the label is that of most people. A picture for which fewer than half of them gave a
    label, or more gave other answers than any one label, is left out.

    Raises:
        DataError: it is no such file.
    """
    try:
        file = np.load(io.BytesIO(content), allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise DataError(f"{name}: not a NumPy file of several arrays but one array without a name; {_EXPECTED}")
        with file:
            arrays = {key: np.asarray(file[key]) for key in file.files}
    except (ValueError, OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{name}: not a NumPy file that can be read: {error}") from None
    labels = _labels(name, arrays.pop("labels", np.array([])))
    given = [key[2:] for key in arrays if key.startswith("x_")]
    parts = _parts(given)
    if not parts or (not labels and TRAIN in parts.values()):
        raise DataError(
            f"{name}: has {', '.join(sorted(arrays)) or 'nothing'}{'' if labels else ', no labels'}; {_EXPECTED}"
        )
    if odd := [part for part in given if not _PART.fullmatch(part)]:
        raise DataError(
            f"{name}: got x_{one_line(odd[0])}: a part's name is letters, digits, hyphens and underscores"
        )
    samples: list[Sample] = []
    disagreed = 0
    pictures: list[Image] = []
    for part in given:
        rows, targets = _checked(name, part, arrays, len(labels))
        votes = _votes(name, part, arrays, labels)
        for i, (row, target, counted) in enumerate(zip(rows, targets, votes, strict=True)):
            if counted and not any(counted):
                disagreed += 1
                continue
            label = counted.index(max(counted)) if counted else target
            samples.append(Sample(f"{part}/{i}", labels[label] if labels else str(label), parts[part], votes=counted))
            pictures.append(row)
    return SampleSet(
        samples,
        labels or _numbers(samples),
        lambda index: _decoded(pictures[index], frames),
        notes=(f"{disagreed} pictures left out, of which people agree on none of the labels",) if disagreed else (),
        threads=_THREADS,
    )


def from_pixels(table: Table, frames: int) -> SampleSet:
    """Samples of a table with a column of grey pixels (``70 80 82 …``, square) and one of FER2013's labels."""
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    pictures: list[Image] = []
    for number, row in enumerate(table.rows, 2):
        if not any(row):
            continue
        try:
            pictures.append(_square(row[table.key]))
        except ValueError as error:
            skipped.append(Skipped(f"{table.name} row {number}", f"no picture: {error}"))
            continue
        label = row[table.label].strip()
        if label.isascii() and label.isdecimal() and len(label) < 3 and int(label) < len(FER2013_LABELS):
            part = part_name(row[table.part]) if table.part is not None else None
            samples.append(Sample(f"{table.name} row {number}", FER2013_LABELS[int(label)], part))
        else:
            pictures.pop()
            skipped.append(Skipped(f"{table.name} row {number}", f"emotion {label!r} is none of 0 to 6"))
    return SampleSet(
        samples, FER2013_LABELS, lambda index: _decoded(pictures[index], frames), tuple(skipped), threads=_THREADS
    )


def _square(text: str) -> Image:
    values = bytes(map(int, text.split()))  # which refuses what is not 0 to 255
    side = math.isqrt(len(values))
    if side < 1 or side * side != len(values):
        raise ValueError(f"{len(values)} pixels are no square")
    return np.frombuffer(values, np.uint8).reshape(side, side)


def _parts(given: Sequence[str]) -> dict[str, str]:
    """The part for each name in the file: the usual one, or the name itself where that is none or taken."""
    usual = {name: part_name(name) or name for name in given}
    return {name: part if part == name or part not in given else name for name, part in usual.items()}


def _labels(name: str, given: NDArray[np.generic]) -> tuple[str, ...]:
    if given.ndim != 1:
        raise DataError(
            f"{name}: labels is {given.dtype} {given.shape}; expected one name for each index, (classes,)"
        )
    try:
        labels = [str(np.char.decode(label) if label.dtype.kind == "S" else label) for label in given]
    except UnicodeDecodeError:
        raise DataError(f"{name}: labels are bytes that are no UTF-8; expected text") from None
    if twice := [label for label, times in Counter(labels).items() if times > 1]:
        raise DataError(f"{name}: labels has {one_line(twice[0])!r} more than once")
    return tuple(labels)


def _numbers(samples: Sequence[Sample]) -> tuple[str, ...]:
    return tuple(str(i) for i in range(1 + max((int(sample.label) for sample in samples), default=-1)))


def _checked(
    name: str, part: str, arrays: dict[str, NDArray[np.generic]], classes: int
) -> tuple[NDArray[np.uint8], list[int]]:
    pictures, targets = arrays[f"x_{part}"], arrays.get(f"y_{part}")
    if targets is None:
        raise DataError(f"{name}: has x_{part} without y_{part}; {_EXPECTED}")
    shape = pictures.shape
    if pictures.dtype != np.uint8 or not (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))):
        raise DataError(
            f"{name}: x_{part} is {pictures.dtype} {shape}; expected uint8 (n, height, width), perhaps with 3 colours"
        )
    if not all(1 <= side <= _MAX_SIDE for side in shape[1:3]):
        raise DataError(
            f"{name}: x_{part} has pictures of {shape[2]}x{shape[1]}; expected 1 to {_MAX_SIDE} pixels a side"
        )
    if targets.dtype.kind not in "iu" or targets.size != len(pictures):
        raise DataError(
            f"{name}: y_{part} is {targets.dtype} {targets.shape}; expected {len(pictures)} whole numbers"
        )
    flat: list[int] = targets.ravel().tolist()
    if flat and not 0 <= min(flat) <= max(flat) < (classes or 1000):
        raise DataError(f"{name}: y_{part} goes from {min(flat)} to {max(flat)}; there are {classes} labels")
    return np.asarray(pictures, np.uint8), flat


def _votes(
    name: str, part: str, arrays: dict[str, NDArray[np.generic]], labels: tuple[str, ...]
) -> list[tuple[int, ...]]:
    """For each picture how many people gave each label: none at all where they agree on none, () without votes."""
    votes, columns = arrays.get(f"votes_{part}"), arrays.get("votes_columns")
    pictures = len(arrays[f"x_{part}"])
    if votes is None:
        return [()] * pictures
    answers = [str(column) for column in columns] if columns is not None and columns.ndim == 1 else []
    if votes.dtype.kind not in "iu" or votes.shape != (pictures, len(answers)) or (votes.astype(np.int64) < 0).any():
        raise DataError(
            f"{name}: votes_{part} is {votes.dtype} {votes.shape}; expected {pictures} rows of whole numbers, with a "
            f"column for each of votes_columns ({len(answers)})"
        )
    named = [label if label in answers else _FERPLUS.get(label.lower(), label.lower()) for label in labels]
    if missing := [label for label, answer in zip(labels, named, strict=True) if answer not in answers]:
        raise DataError(f"{name}: votes_columns has no {one_line(missing[0])!r}, which is one of the labels")
    counted = votes.astype(np.int64)
    ours = counted[:, [answers.index(answer) for answer in named]]
    others = counted.sum(axis=1) - ours.sum(axis=1)
    agreed = (ours.max(axis=1) > others) & (2 * ours.sum(axis=1) >= counted.sum(axis=1))
    return [tuple(row) for row in np.where(agreed[:, np.newaxis], ours, 0).tolist()]


def _decoded(picture: Image, frames: int) -> DecodedSample:
    """A grey or red green blue one, as read, for each of the frames."""
    height, width = picture.shape[:2]
    grey = picture.ndim == 2 or picture.shape[2] == 1
    bgr = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR if grey else cv2.COLOR_RGB2BGR)
    return DecodedSample((np.asarray(bgr, np.uint8),) * frames, width, height, "array", "L" if grey else "RGB")
