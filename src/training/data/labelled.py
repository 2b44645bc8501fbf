"""Labelled pictures, read once into arrays on disk: what training and evaluation work on.

data = load_data("data/smoking", InputSpec(height=224, width=224), Path("work"))
data.parts["train"].pictures     # (n, 224, 224, 3), mapped from the disk
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from framewatch.errors import DataError
from framewatch.objects.base import Access
from framewatch.training.data.prepare import Index, folder_for, load_index, prepare
from framewatch.training.data.samples import (
    ALL,
    TEST,
    TRAIN,
    VALIDATION,
    Progress,
    Sample,
    SampleSet,
    Skipped,
    part_name,
    some,
)
from framewatch.training.data.sources import open_source
from framewatch.training.data.split import split
from framewatch.vision.models.inputs import InputSpec

__all__ = ["ALL", "TEST", "TRAIN", "VALIDATION", "LabelledData", "Part", "load_data", "part_name"]

_log = logging.getLogger(__name__)

_NAMED: Final = 20  # skipped samples in the notes
_LONGEST: Final = 100  # characters of a label


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the data.

    Attributes:
        pictures: (n, height, width, channels), 8 bits; with the frames before the height for sequences.
        targets: (n,), index of each label.
        names: where each picture came from.
        votes: (n, labels), the share of people who gave each label, where several were asked.
    """

    pictures: NDArray[np.uint8]
    targets: NDArray[np.int64]
    names: tuple[str, ...] = ()
    votes: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, slots=True)
class LabelledData:
    """All parts.

    Attributes:
        labels: in index order.
        parts: by name: train, validation, and test where there is one; or all, alone.
        notes: what was left out and why, for people.
        skipped: name and reason of everything that no sample could be made of.
        seed: of the split.
    """

    labels: tuple[str, ...]
    parts: dict[str, Part]
    notes: list[str] = field(default_factory=list)
    skipped: tuple[tuple[str, str], ...] = ()
    seed: int = 1


def load_data(
    source: str,
    spec: InputSpec,
    workspace: Path,
    seed: int = 1,
    access: Access | None = None,
    progress: Progress = lambda done, total: None,
    whole: str = TEST,
    learn: bool = True,
) -> LabelledData:
    """The data at a folder, file or ``s3://bucket/prefix/``; decoded only once for the same source, input and seed.

    Args:
        source: see ``training.data.sources``.
        spec: what the model takes.
        workspace: folder of the arrays; made when it is not there.
        seed: of the split, where the source has no validation part of its own.
        access: to the object store.
        progress: called with how many samples are decoded.
        whole: part that loses no picture to another that has it too: it is measured on; ``all``: the only part.
        learn: whether a model is to learn from them, which takes two labels with training pictures of each.

    Raises:
        DataError: nothing can be learned or measured on them, and why.
        SettingError: there is no such location.
        ObjectsUnavailable: the object store does not answer.
    """
    opened = open_source(source, access or Access(), spec.frames)
    folder = folder_for(workspace, opened.location, spec, seed, whole)
    try:
        workspace.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{workspace}: cannot be made: {error.strerror}") from None
    with FileLock(folder.with_suffix(".lock")):  # a second process waits and then finds them
        index = load_index(folder, opened.stamp)
        if index is None:
            found = opened.find()
            _check_labels(opened.location, found)
            if learn:
                _check_classes(opened.location, found.samples)
            _log.info("%s: %d samples of %d labels to read", opened.location, len(found.samples), len(found.labels))

            def splitting(samples: Sequence[Sample], hashes: Sequence[bytes]) -> tuple[list[str | None], list[str]]:
                _check_readable(opened.location, found, samples)
                parts, notes = split(samples, hashes, seed, whole)
                if learn and TRAIN not in parts and any(sample.part in (None, TRAIN) for sample in samples):
                    raise DataError(f"{opened.location}: every picture of train stands in another part too")
                return parts, notes

            index = prepare(found, spec, folder, opened.stamp, splitting, progress)
        if learn:
            _check_parts(opened.location, index)
        parts = {name: _part(folder / f"{name}.npy", index, name) for name in index.parts}
    return LabelledData(tuple(index.labels), parts, _notes(index), tuple(index.skipped), seed)


def _part(path: Path, index: Index, name: str) -> Part:
    its = index.parts[name]
    pictures = np.load(path, mmap_mode="r", allow_pickle=False)
    votes = np.array(its.votes, np.float32)
    return Part(
        pictures,
        np.array(its.targets, np.int64),
        tuple(its.names),
        votes / votes.sum(axis=1, keepdims=True) if len(votes) else None,
    )


def _check_labels(location: str, found: SampleSet) -> None:
    """Before an hour is spent on reading."""
    if not found.samples:
        raise DataError(f"{location}: no labelled pictures in it: {some(found.skipped) or 'it is empty'}")
    odd = [label for label in found.labels if not label.isprintable() or not 1 <= len(label) <= _LONGEST]
    if odd:
        raise DataError(
            f"{location}: {odd[0][:_LONGEST]!a} cannot be a label: 1 to {_LONGEST} printable characters can"
        )


def _check_classes(location: str, samples: Sequence[Sample]) -> None:
    """Likewise, where something is to be learned."""
    training = [sample for sample in samples if sample.part in (None, TRAIN)]
    if not training:
        there = some(sorted({sample.part for sample in samples if sample.part}))
        raise DataError(f"{location}: no training pictures in it, only those of {there}")
    classes = {sample.label for sample in training}
    if len(classes) == 1:
        only = classes.pop()
        in_folders = any(name.startswith(f"{only}/") for sample in training for name in sample.files)
        raise DataError(
            f"{location}: all pictures are of one class, {only!r}: at least two are needed"
            + (f"; if its classes stand in folders below that one, name it: {location}{only}" if in_folders else "")
        )


def _check_readable(location: str, found: SampleSet, samples: Sequence[Sample]) -> None:
    total, good = len(found.samples), len(samples)
    if 2 * good < total:
        raise DataError(f"{location}: {total - good} of {total} pictures cannot be read; is it the right one?")
    lost = sorted({sample.label for sample in found.samples} - {sample.label for sample in samples})
    if lost:
        raise DataError(f"{location}: no picture of class {some(lost)} can be read")


def _check_parts(location: str, index: Index) -> None:
    """Of data to learn from: several classes, every one of them in train, and something to choose by."""
    if TRAIN not in index.parts or len(index.labels) < 2:  # prepared when nothing was to be learned
        raise DataError(f"{location}: no training pictures of two classes in it")
    counts = Counter(index.parts[TRAIN].targets)
    empty = [label for i, label in enumerate(index.labels) if not counts[i]]
    if empty:
        raise DataError(f"{location}: no training picture of class {some(empty)}")
    if VALIDATION not in index.parts:
        raise DataError(
            f"{location}: too few pictures to split off some for validation: two different ones of a class"
        )


def _notes(index: Index) -> list[str]:
    if not index.skipped:
        return list(index.notes)
    total = len(index.skipped)
    named = "; ".join(str(Skipped(*each)) for each in index.skipped[:_NAMED])
    return [*index.notes, f"{total} skipped: {named}{'; …' if total > _NAMED else ''}"]
