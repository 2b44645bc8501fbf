"""What the sources of labelled pictures have in common: samples, not read yet, and how each is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final, TypeVar

from framewatch.errors import BadPicture, SourceError
from framewatch.vision.classifier import Image

T = TypeVar("T")
Progress = Callable[[int, int], object]
"""Called with how many samples are done, and how many there are."""

TRAIN: Final = "train"
VALIDATION: Final = "validation"
TEST: Final = "test"
ALL: Final = "all"  # what is in no part, or in whichever
_PARTS: Final = {
    TRAIN: ("train", "training", "trainset", "trainingset", "traindata"),
    VALIDATION: (
        "validation",
        "validate",
        "valid",
        "val",
        "dev",
        "validationset",
        "validset",
        "valset",
        "publictest",
    ),
    TEST: ("test", "testing", "testset", "testingset", "testdata", "privatetest"),
}
_PART_OF: Final = {spelling: part for part, spellings in _PARTS.items() for spelling in spellings}

_MAX_NAMES: Final = 5  # names in a message
_BATCH: Final = 16  # samples that a thread is given: to hand over each alone would cost more than small ones do


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled sample.

    Attributes:
        name: where it comes from, for people.
        label: what it shows.
        part: of the data, where the source says so.
        files: names of its objects, several for the frames of a sequence; none where the source reads otherwise.
        votes: where several people were asked, how many gave each label, in the order of the source's labels.
    """

    name: str
    label: str
    part: str | None = None
    files: tuple[str, ...] = ()
    votes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DecodedSample:
    """What was read of a sample.

    Attributes:
        pictures: one, or as many as a sequence has frames.
        width: of the picture as it is stored, in pixels; of the first of several.
        height: of it.
        format: of the file, such as ``PNG``.
        mode: of its colours, such as ``CMYK``.
        odd: what is unusual about it, in words.
    """

    pictures: tuple[Image, ...]
    width: int
    height: int
    format: str
    mode: str
    odd: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something of the source that no sample could be made of, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{one_line(self.name)}: {one_line(self.reason)}"


@dataclass(frozen=True, slots=True)
class SampleSet:
    """What there is in a source.

    Attributes:
        samples: in the order of the source.
        labels: in index order; those of the samples, or more.
        read: a sample, by its index. Raises BadPicture or SourceError.
        skipped: what is none, known without reading pictures.
        notes: for people.
        threads: that read at a time.
    """

    samples: Sequence[Sample]
    labels: tuple[str, ...]
    read: Callable[[int], DecodedSample]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    threads: int = field(default=2)


def each(
    found: SampleSet, process: Callable[[int, DecodedSample], T], at_once: int, progress: Progress
) -> Iterator[tuple[int, T | Skipped]]:
    """Read every sample and process it, both in threads; results come in the order of the samples.

    Args:
        found: the samples.
        process: is given the sample's index and what was read of it.
        at_once: results that may wait in memory.
        progress: called after each batch.
    """

    def batch(indexes: range) -> list[tuple[int, T | Skipped]]:
        return [one(index) for index in indexes]

    def one(index: int) -> tuple[int, T | Skipped]:
        try:
            return index, process(index, found.read(index))
        except (BadPicture, SourceError) as error:
            return index, Skipped(found.samples[index].name, str(error))

    total = len(found.samples)
    at_once = max(at_once, found.threads)
    step = max(1, min(_BATCH, at_once // (4 * found.threads)))
    with ThreadPoolExecutor(found.threads, thread_name_prefix="read") as pool:
        for start in range(0, total, at_once):
            end = min(start + at_once, total)
            batches = (range(first, min(first + step, end)) for first in range(start, end, step))
            yield from chain.from_iterable(pool.map(batch, batches))
            progress(end, total)


def part_name(text: str) -> str | None:
    """The part of the data that a person's word means (``Training_set``, ``val``), or None for any other word."""
    return _PART_OF.get(plain(text))


def plain(text: str) -> str:
    """Letters and digits of the text, small."""
    return "".join(filter(str.isalnum, text.casefold()))


def some(names: Iterable[object]) -> str:
    """The first few of them, for a message."""
    first = [one_line(str(name)) for name in islice(names, _MAX_NAMES + 1)]
    return ", ".join([*first[:_MAX_NAMES], "…"] if len(first) > _MAX_NAMES else first)


def one_line(text: str) -> str:
    """The text as it fits a line and does nothing to a terminal."""
    line = " ".join(text.split())
    line = line if len(line) <= 200 else f"{line[:199]}…"
    return line if line.isprintable() else "".join(c if c.isprintable() else "?" for c in line)
