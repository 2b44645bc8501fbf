"""Labelled pictures, read once into arrays on disk: what training and evaluation work on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from errors import DataError
from vision.inputs import InputSpec, Pixels

TRAIN: Final = "train"
VALIDATION: Final = "validation"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the data.

    Attributes:
        pictures: (n, height, width, channels), 8 bits; with the frames before the height for sequences.
        targets: (n,), index of each label.
        names: where each picture came from.
    """

    pictures: NDArray[np.uint8]
    targets: NDArray[np.int64]
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, slots=True)
class LabelledData:
    """All parts.

    Attributes:
        labels: in index order.
        parts: by name: train, validation, and test where there is one.
        notes: what was left out and why, for people.
    """

    labels: tuple[str, ...]
    parts: dict[str, Part]
    notes: list[str] = field(default_factory=list)


def load_npz(path: Path, spec: InputSpec) -> LabelledData:
    """Parts ``x_NAME``, ``y_NAME`` of a NumPy file, as FER2013 comes; what stands in validation leaves train.

    Raises:
        DataError: the file has no such parts, or they do not fit together.
    """
    with np.load(path, allow_pickle=False) as file:
        labels = tuple(str(label) for label in file["labels"])
        parts = {
            name[2:]: Part(_shaped(file[name], spec), np.asarray(file[f"y_{name[2:]}"], np.int64))
            for name in sorted(file.files)
            if name.startswith("x_")
        }
    if not {TRAIN, VALIDATION} <= set(parts):
        raise DataError(f"{path}: has parts {', '.join(parts) or 'none'}; needs train and validation")
    train, notes = without(parts[TRAIN], parts[VALIDATION])
    return LabelledData(labels, {**parts, TRAIN: train}, notes)


def without(part: Part, other: Part) -> tuple[Part, list[str]]:
    """The part without the pictures that are in the other one too, and a note of how many those were."""
    there = {content_hash(picture) for picture in other.pictures}
    kept = np.array([content_hash(picture) not in there for picture in part.pictures])
    notes = [f"{np.count_nonzero(~kept)} training pictures left out that also stand in validation"]
    return Part(part.pictures[kept], part.targets[kept]), notes if not kept.all() else []


def content_hash(picture: Pixels) -> str:
    """SHA-256 of the pixels: the same for two files of the same picture."""
    return hashlib.sha256(picture.tobytes()).hexdigest()


def _shaped(pictures: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Grey pictures as the model takes them."""
    if pictures.shape[1:3] == (spec.height, spec.width) and spec.channels == 1:
        return pictures.reshape(-1, *spec.shape)
    coloured = np.repeat(pictures[..., np.newaxis], 3, axis=-1)
    return np.stack([spec.prepared(picture) for picture in coloured])
