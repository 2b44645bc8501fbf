"""Pictures decoded once, as the model takes them, into files that are read by mapping them into memory.

    WORK/data-3f9a1c02d4e5f607/     by source, input and seed
      train.npy, validation.npy …   (n, *shape), 8 bits
      parts.json                    labels, targets and names; written last: a folder without it is not complete

Memory stays small, however many pictures there are. What is there already and still fits the source is used again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from framewatch.errors import DataError
from framewatch.training.data.samples import DecodedSample, Progress, Sample, SampleSet, Skipped, each
from framewatch.vision.models.inputs import InputSpec

VERSION: Final = 4  # raised whenever the same files would give other arrays
INDEX: Final = "parts.json"

_IN_MEMORY: Final = 32 * 1024**2  # bytes of prepared pictures that wait to be written
_MOST_AT_ONCE: Final = 512

Splitting = Callable[[Sequence[Sample], Sequence[bytes]], tuple[list[str | None], list[str]]]


class PartIndex(BaseModel):
    """One part: the label index and the name of each of its pictures, and the votes where people gave some."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    targets: list[int]
    names: list[str]
    votes: list[tuple[int, ...]] = []


class Index(BaseModel):
    """What stands beside the arrays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = VERSION
    stamp: str
    labels: list[str]
    parts: dict[str, PartIndex]
    notes: list[str]
    skipped: list[tuple[str, str]]


def load_index(folder: Path, stamp: str) -> Index | None:
    """What is there already; None when there is nothing whole, or it was made of what the source no longer is."""
    try:
        index = Index.model_validate_json((folder / INDEX).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    whole = all((folder / f"{part}.npy").is_file() for part in index.parts)
    return index if whole and (index.version, index.stamp) == (VERSION, stamp) else None


def folder_for(workspace: Path, location: str, spec: InputSpec, seed: int, whole: str) -> Path:
    """The folder of the arrays of this source, input, seed and part that is kept whole."""
    key = json.dumps([location, spec.model_dump(), seed, whole])
    return workspace / f"data-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def prepare(
    found: SampleSet, spec: InputSpec, folder: Path, stamp: str, splitting: Splitting, progress: Progress
) -> Index:
    """Decode every sample, split, and write the folder.

    Args:
        found: the samples.
        spec: what the model takes.
        folder: made; in place of one that is there.
        stamp: of the source.
        splitting: says of samples and the hashes of their pixels which part each belongs to.
        progress: called with how many are decoded.

    Raises:
        DataError: there is no room for the arrays, or nothing can be learned of them.
    """
    making = folder.with_name(f"{folder.name}.part")
    row_bytes = int(np.prod(spec.shape))
    try:
        shutil.rmtree(making, ignore_errors=True)  # of a run that was killed
        making.mkdir(parents=True)
        _check_room(making, 2 * row_bytes * len(found.samples))
        decoded = making / "decoded"
        with decoded.open("wb") as file:
            samples, hashes, skipped = _decode(found, spec, file, progress)
        parts, notes = splitting(samples, hashes)
        with decoded.open("rb") as file:
            for part in sorted({part for part in parts if part}):
                rows = [row for row, its in enumerate(parts) if its == part]
                _write_rows(making / f"{part}.npy", spec.shape, file, rows)
        decoded.unlink()
        index = _index(found, samples, parts, stamp, notes, skipped)
        (making / INDEX).write_text(index.model_dump_json(), encoding="utf-8")
        if folder.exists():  # of an earlier state of the source; whoever still reads it keeps what is mapped
            shutil.rmtree(folder)
        making.rename(folder)
    except OSError as error:
        raise DataError(f"{folder}: the prepared pictures cannot be written: {error.strerror or error}") from None
    return index


def _decode(
    found: SampleSet, spec: InputSpec, file: BinaryIO, progress: Progress
) -> tuple[list[Sample], list[bytes], list[Skipped]]:
    """Write the prepared pictures one behind the other; gives their samples, hashes, and what could not be read."""

    def prepared(_index: int, seen: DecodedSample) -> tuple[NDArray[np.uint8], bytes]:
        pictures = np.stack([spec.prepared(picture) for picture in seen.pictures])
        return pictures, content_hash(pictures)

    samples: list[Sample] = []
    hashes: list[bytes] = []
    skipped: list[Skipped] = []
    at_once = max(1, min(_MOST_AT_ONCE, _IN_MEMORY // int(np.prod(spec.shape))))
    for index, result in each(found, prepared, at_once, progress):
        if isinstance(result, Skipped):
            skipped.append(result)
            continue
        pictures, content = result
        file.write(pictures.data)
        hashes.append(content)
        samples.append(found.samples[index])
    return samples, hashes, skipped


def content_hash(pictures: NDArray[np.uint8]) -> bytes:
    """SHA-256 of the pixels: the same for two files of the same picture."""
    return hashlib.sha256(np.ascontiguousarray(pictures).data).digest()


def _write_rows(path: Path, shape: tuple[int, ...], source: BinaryIO, rows: Sequence[int]) -> None:
    """The rows of the source as a NumPy file; not by mapping, which would fill the memory with what is written."""
    row_bytes = int(np.prod(shape))
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(rows), *shape)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for _, run in groupby(enumerate(rows), lambda pair: pair[1] - pair[0]):
            following = [row for _, row in run]
            source.seek(following[0] * row_bytes)
            left = len(following) * row_bytes
            while left:
                content = source.read(min(left, _IN_MEMORY))
                file.write(content)
                left -= len(content)


def _index(
    found: SampleSet,
    samples: Sequence[Sample],
    parts: Sequence[str | None],
    stamp: str,
    notes: list[str],
    skipped: Sequence[Skipped],
) -> Index:
    indexes = {label: index for index, label in enumerate(found.labels)}
    by_part: dict[str, PartIndex] = {}
    for sample, part in zip(samples, parts, strict=True):
        if part:
            its = by_part.setdefault(part, PartIndex(targets=[], names=[]))
            its.targets.append(indexes[sample.label])
            its.names.append(_text(sample.name))
            if sample.votes:
                its.votes.append(sample.votes)
    return Index(
        stamp=stamp,
        labels=list(found.labels),
        parts=by_part,
        notes=[*found.notes, *notes],
        skipped=[(_text(each.name), _text(each.reason)) for each in (*found.skipped, *skipped)],
    )


def _text(name: str) -> str:
    """The name as UTF-8 can say it; a file's may be any bytes."""
    return name.encode(errors="backslashreplace").decode()


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{folder.parent}: the prepared pictures need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
        )
