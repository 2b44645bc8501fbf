"""An overview of a source: every picture is read once, counted, and checked."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from framewatch.errors import DataError
from framewatch.objects.base import Access
from framewatch.training.data.reading import evenly
from framewatch.training.data.samples import (
    ALL,
    TEST,
    TRAIN,
    VALIDATION,
    DecodedSample,
    Progress,
    Sample,
    SampleSet,
    Skipped,
    each,
    one_line,
    some,
)
from framewatch.training.data.sources import open_source
from framewatch.training.report.overview import (
    DuplicateGroup,
    Duplicates,
    Overview,
    PictureNote,
    Spread,
    label_totals,
    summary,
)
from framewatch.training.report.overview_plots import class_distribution, samples_sheet
from framewatch.vision.classifier import Image
from framewatch.vision.jpeg import scaled_down

SUMMARY: Final = "dataset_summary.txt"
DISTRIBUTION: Final = "class_distribution.png"
SHEET: Final = "samples.png"

_EXAMPLES: Final = 8  # of each class
_CLASSES_SHOWN: Final = 40
_THUMBNAIL: Final = 128  # pixels
_AT_ONCE: Final = 256
_MAX_NOTES: Final = 100
_GROUPS: Final = 100
_NAMES: Final = 6  # of one group

_SMALL: Final = 16  # pixels of a side
_LONG: Final = 4  # times as long as wide
_FLAT: Final = 2.0  # standard deviation of the values


@dataclass(frozen=True, slots=True)
class Explored:
    """The figures, and a few pictures of each label."""

    overview: Overview
    examples: dict[str, list[Image]]


@dataclass(frozen=True, slots=True)
class _Measured:
    """What is kept of one sample."""

    content: bytes
    width: int
    height: int
    format: str
    mode: str
    odd: tuple[str, ...]
    thumbnail: Image | None


def explore(source: str, access: Access, frames: int = 1, progress: Progress = lambda done, total: None) -> Explored:
    """Measure all of it.

    Args:
        source: as for training.
        access: to the object store.
        frames: pictures in a sample.
        progress: called with how many samples are done.

    Raises:
        DataError: there is no labelled picture.
        SettingError: there is no such location.
        ObjectsUnavailable: the object store does not answer.
    """
    opened = open_source(source, access, frames)
    found = opened.find()
    chosen = _chosen(found)
    measured: list[tuple[Sample, _Measured]] = []
    skipped = list(found.skipped)
    for index, result in each(found, lambda index, seen: _measure(seen, index in chosen), _AT_ONCE, progress):
        if isinstance(result, Skipped):
            skipped.append(result)
        else:
            measured.append((found.samples[index], result))
    if not measured:
        raise DataError(f"{opened.location}: no labelled picture that can be read: {some(skipped) or 'it is empty'}")
    examples: dict[str, list[Image]] = {label: [] for label in found.labels[:_CLASSES_SHOWN]}
    for sample, one in measured:
        if one.thumbnail is not None:
            examples[sample.label].append(one.thumbnail)
    return Explored(_overview(opened.location, found, measured, skipped), examples)


def write_overview(explored: Explored, folder: Path) -> list[Path]:
    """The summary, the plot of the classes and the sheet of examples, in the folder, which is made.

    Raises:
        DataError: they cannot be written.
    """
    paths = [folder / name for name in (SUMMARY, DISTRIBUTION, SHEET)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(summary(explored.overview), encoding="utf-8")
        class_distribution(explored.overview, paths[1])
        samples_sheet(explored.examples, paths[2])
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror}") from None
    return paths


def _measure(seen: DecodedSample, keep: bool) -> _Measured:
    pixels = hashlib.sha256()
    for picture in seen.pictures:
        pixels.update(str(picture.shape).encode())
        pixels.update(np.ascontiguousarray(picture).data)
    thumbnail = scaled_down(seen.pictures[len(seen.pictures) // 2], _THUMBNAIL) if keep else None
    return _Measured(pixels.digest(), seen.width, seen.height, seen.format, seen.mode, _odd(seen), thumbnail)


def _odd(seen: DecodedSample) -> tuple[str, ...]:
    """What is unusual about the sample."""
    short, long = sorted((seen.width, seen.height))
    odd = {
        "very small": short < _SMALL,
        "very long": long > _LONG * short,
        "of one colour": all(float(picture.std()) < _FLAT for picture in seen.pictures),
    }
    return (*(name for name, true in odd.items() if true), *seen.odd)


def _chosen(found: SampleSet) -> set[int]:
    """Indexes of the examples: some of each class, from its first to its last."""
    by_label: dict[str, list[int]] = {label: [] for label in found.labels[:_CLASSES_SHOWN]}
    for index, sample in enumerate(found.samples):
        if sample.label in by_label:
            by_label[sample.label].append(index)
    return {indexes[i] for indexes in by_label.values() for i in evenly(len(indexes), min(_EXAMPLES, len(indexes)))}


def _overview(
    location: str, found: SampleSet, measured: Sequence[tuple[Sample, _Measured]], skipped: list[Skipped]
) -> Overview:
    there = {sample.part or ALL for sample, _ in measured}
    counts = {part: dict.fromkeys(found.labels, 0) for part in sorted(there, key=_order)}
    for sample, _ in measured:
        counts[sample.part or ALL][sample.label] += 1
    odd = Counter(what for _, one in measured for what in one.odd)
    odd_pictures = [PictureNote(name=one_line(s.name), what=", ".join(one.odd)) for s, one in measured if one.odd]
    overview = Overview(
        source=location,
        pictures=len(measured),
        labels=[one_line(label) for label in found.labels],
        counts={part: {one_line(label): n for label, n in its.items()} for part, its in counts.items()},
        imbalance=None,
        width=_spread([one.width for _, one in measured]),
        height=_spread([one.height for _, one in measured]),
        formats=dict(Counter(one.format for _, one in measured).most_common()),
        modes=dict(Counter(one.mode for _, one in measured).most_common()),
        duplicates=_duplicates(measured),
        odd=dict(odd.most_common()),
        odd_pictures=odd_pictures[:_MAX_NOTES],
        skipped=[PictureNote(name=one_line(each.name), what=one_line(each.reason)) for each in skipped],
        notes=list(found.notes),
    )
    totals = label_totals(overview).values()
    return overview.model_copy(update={"imbalance": max(totals) / min(totals) if all(totals) else None})


def _order(part: str) -> tuple[int, str]:
    usual = (ALL, TRAIN, VALIDATION, TEST)
    return usual.index(part) if part in usual else len(usual), part


def _spread(values: list[int]) -> Spread | None:
    return Spread(min=min(values), median=median(values), max=max(values)) if values else None


def _duplicates(measured: Sequence[tuple[Sample, _Measured]]) -> Duplicates:
    by_content: dict[bytes, list[Sample]] = defaultdict(list)
    for sample, one in measured:
        by_content[one.content].append(sample)
    groups = [_group(samples) for samples in by_content.values() if len(samples) > 1]
    groups.sort(key=lambda group: (-len(group.labels), -len(group.parts)))
    return Duplicates(
        groups=len(groups),
        pictures=sum(group.pictures for group in groups),
        groups_across_parts=sum(len(group.parts) > 1 for group in groups),
        groups_across_labels=sum(len(group.labels) > 1 for group in groups),
        shown=groups[:_GROUPS],
    )


def _group(samples: Sequence[Sample]) -> DuplicateGroup:
    return DuplicateGroup(
        pictures=len(samples),
        names=[one_line(sample.name) for sample in samples[:_NAMES]],
        labels=sorted({one_line(sample.label) for sample in samples}),
        parts=sorted({sample.part or ALL for sample in samples}, key=_order),
    )
