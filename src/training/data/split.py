"""Which part of the data each sample belongs to, so that no picture stands in two of them.

Equal pictures (by the hash of their pixels) always stay together. What a source says itself is kept, save that what
stands in test leaves the other parts, and what stands in validation leaves train. Parts that are missing are split
off train, class by class, in the order of hash(seed + picture): the same seed and pictures give the same parts.
One part can be kept whole, to measure on it what others measured on it; or everything be one part.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from framewatch.training.data.samples import ALL, TEST, TRAIN, VALIDATION, Sample, some

SHARES: Final = {TEST: 0.15, VALIDATION: 0.15}
"""Of the samples of each class, where the source has no such part."""


def split(
    samples: Sequence[Sample], hashes: Sequence[bytes], seed: int, whole: str = TEST
) -> tuple[list[str | None], list[str]]:
    """The part of each sample, None for one that is left out, and notes.

    Args:
        samples: that were read.
        hashes: of the pixels of each.
        seed: of what is split off.
        whole: part that loses no picture to another; ``all``: the only one.
    """
    parts: list[str | None] = [ALL if whole == ALL else sample.part or TRAIN for sample in samples]
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, content in enumerate(hashes):
        groups[content].append(index)
    notes = _leave_weaker_parts(parts, groups, whole)
    missing = _missing({part for part in parts if part})
    if missing:
        _split_off(parts, samples, groups, missing, seed)
        taken = ", ".join(f"{parts.count(part)} {part}" for part in missing)
        notes.append(f"split off train with seed {seed}: {taken}; {parts.count(TRAIN)} train are left")
    return parts, [*notes, *_duplicates(samples, groups, parts)]


def _missing(there: set[str]) -> list[str]:
    """A test part is made only of data that have neither: others were parted by who knows what a test is."""
    if TRAIN not in there or VALIDATION in there:
        return []
    return [VALIDATION] if there - {TRAIN} else [TEST, VALIDATION]


def _strength(part: str, whole: str) -> tuple[int, str]:
    return 4 if part == whole else {TRAIN: 0, VALIDATION: 1, TEST: 3}.get(part, 2), part


def _leave_weaker_parts(parts: list[str | None], groups: dict[bytes, list[int]], whole: str) -> list[str]:
    left = Counter[tuple[str, str]]()
    for indexes in groups.values():
        there = {part for index in indexes if (part := parts[index])}
        if len(there) < 2:
            continue
        strongest = max(there, key=lambda part: _strength(part, whole))
        for index in indexes:
            part = parts[index]
            if part and part != strongest:
                left[part, strongest] += 1
                parts[index] = None
    return [
        f"{n} pictures of {part} left out that also stand in {other}" for (part, other), n in sorted(left.items())
    ]


def _split_off(
    parts: list[str | None], samples: Sequence[Sample], groups: dict[bytes, list[int]], missing: list[str], seed: int
) -> None:
    by_class: dict[str, list[bytes]] = defaultdict(list)
    for content, indexes in groups.items():
        if parts[indexes[0]] == TRAIN:
            by_class[samples[indexes[0]].label].append(content)
    for unordered in by_class.values():
        contents = sorted(unordered, key=lambda content: hashlib.sha256(b"%d " % seed + content).digest())
        total = sum(len(groups[content]) for content in contents)
        for part in missing:
            wanted = max(1, round(SHARES[part] * total))
            # One picture at least stays for train; and of two none goes to test before validation has one.
            reserve = 1 + (missing[-1] != part)
            # A picture that is there a hundred times would be all there is to test.
            most = max(wanted, min((len(groups[content]) for content in contents), default=0))
            chosen = _first(contents, groups, wanted, most, len(contents) - reserve)
            contents = [content for content in contents if content not in chosen]
            for index in (index for content in chosen for index in groups[content]):
                parts[index] = part


def _first(
    contents: Sequence[bytes], groups: dict[bytes, list[int]], wanted: int, most: int, limit: int
) -> set[bytes]:
    """Contents from the first on until ``wanted`` samples are there; none that stands for more than ``most``."""
    chosen: set[bytes] = set()
    taken = 0
    for content in contents:
        if taken < wanted and len(chosen) < limit and len(groups[content]) <= most:
            chosen.add(content)
            taken += len(groups[content])
    return chosen


def _duplicates(samples: Sequence[Sample], groups: dict[bytes, list[int]], parts: Sequence[str | None]) -> list[str]:
    notes = []
    again = sum(max(0, sum(parts[index] == TRAIN for index in indexes) - 1) for indexes in groups.values())
    if again:
        notes.append(f"{again} pictures of train are there more than once")
    torn = [indexes for indexes in groups.values() if len({samples[index].label for index in indexes}) > 1]
    if torn:
        notes.append(f"{len(torn)} pictures stand under several labels: {some(_labelled(samples, p) for p in torn)}")
    return notes


def _labelled(samples: Sequence[Sample], indexes: Sequence[int]) -> str:
    """One sample of each label."""
    by_label = {samples[index].label: samples[index].name for index in reversed(indexes)}
    return " = ".join(f"{name} ({label})" for label, name in by_label.items())
