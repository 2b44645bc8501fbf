"""What a person names as data, found out: classes in folders, a table of labels, or FER2013 in one file."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from framewatch.errors import DataError
from framewatch.objects.base import Access, Objects, natural_key
from framewatch.objects.open import is_bucket, open_objects
from framewatch.training.data.arrays import from_npz, from_pixels
from framewatch.training.data.folders import in_folders, visible
from framewatch.training.data.reading import read_sample
from framewatch.training.data.samples import Sample, SampleSet, one_line, part_name, some
from framewatch.training.data.tables import TABLES, Table, match, read_table

ACCEPTED: Final = (
    "a folder for each class (perhaps below train, validation and test), a CSV with columns such as filename and "
    "label beside its pictures, FER2013's .npz or .csv"
)
_NPZ: Final = ".npz"
_MAX_FILE_BYTES: Final = 1 << 30
_READERS_OF_A_BUCKET: Final = 16  # they wait for the network most of the time


@dataclass(frozen=True, slots=True)
class Source:
    """Data of which it is known where they are and whether they have changed.

    Attributes:
        location: for messages; the same for the same data.
        stamp: another one once anything in it has changed.
        find: makes out the samples. Raises DataError when there are none.
    """

    location: str
    stamp: str
    find: Callable[[], SampleSet]


def open_source(source: str, access: Access, frames: int = 1) -> Source:
    """The data at a folder, file or ``s3://bucket/prefix/``; its names are read, and nothing else of it.

    Args:
        source: as a person wrote it.
        access: to the object store.
        frames: pictures in a sample.

    Raises:
        DataError: it is nothing that data can be in.
        SettingError: there is no such location.
        ObjectsUnavailable: the object store does not answer.
    """
    suffix = PurePosixPath(source).suffix.lower()
    if not (suffix in {_NPZ, *TABLES} if is_bucket(source) else _is_file(Path(source))):
        objects = open_objects(source, access)
        versions = objects.versions()
        return Source(
            objects.location, _stamp(versions), lambda: _in_folder(objects, visible(list(versions)), frames)
        )
    folder, _, name = (
        source.rpartition("/") if is_bucket(source) else (str(Path(source).parent), "", Path(source).name)
    )
    objects = open_objects(folder, access)
    if suffix not in {_NPZ, *TABLES}:
        raise DataError(f"{objects.address(name)}: a file of a kind not known here; accepted: {ACCEPTED}")
    versions = objects.reachable() if is_bucket(source) or suffix != _NPZ else {name: _version(Path(source))}
    if name not in versions:
        raise DataError(f"{objects.address(name)}: no such object")
    find = _in_npz if suffix == _NPZ else _in_table
    return Source(objects.address(name), _stamp(versions), lambda: find(objects, name, list(versions), frames))


def _in_npz(objects: Objects, name: str, _names: list[str], frames: int) -> SampleSet:
    return from_npz(objects.address(name), objects.read(name, _MAX_FILE_BYTES), frames)


def _in_table(objects: Objects, name: str, names: list[str], frames: int) -> SampleSet:
    table = read_table(name, objects.read(name, _MAX_FILE_BYTES))
    if isinstance(table, str):
        raise DataError(f"{objects.address(name)}: {table}; accepted: {ACCEPTED}")
    if table.has_pixels:
        return from_pixels(table, frames)
    found = _matched(objects, [table], visible(names), frames)
    if not found.samples:
        raise DataError(f"{objects.address(name)}: no row means a picture beside it: {_rows_of(found)}")
    return found


def _in_folder(objects: Objects, names: list[str], frames: int) -> SampleSet:
    """A table at the top, when it means any picture, goes before folders; one in a folder of a part only before
    taking parts for classes, where there are no others.
    """
    at_top = [name for name in names if "/" not in name]
    found, of_pixels, notes = _by_tables(objects, at_top, names, frames)
    if found:
        return found
    samples, skipped, folder_notes = in_folders(names, frames)
    if all(part_name(sample.label) and not sample.part for sample in samples):
        in_parts = [name for name in names if name.count("/") == 1 and part_name(name.split("/")[0])]
        found, _, more = _by_tables(objects, in_parts, names, frames)
        notes += more
        if found:
            return replace(found, notes=(*notes, *found.notes))
        _check_no_parts(objects.location, samples, notes)
    if samples:
        found = _of_files(objects, samples, frames)
        return replace(found, skipped=tuple(skipped), notes=(*notes, *folder_notes))
    archives = [name for name in at_top if PurePosixPath(name).suffix.lower() == _NPZ]
    if len(of_pixels) + len(archives) == 1:
        return from_pixels(of_pixels[0], frames) if of_pixels else _in_npz(objects, archives[0], [], frames)
    several = [table.name for table in of_pixels] + archives
    here = f"{some(several)}: name one of them" if several else _contents(names)
    raise DataError(f"{objects.location}: found {'; '.join((here, *notes, *folder_notes[:1]))}; accepted: {ACCEPTED}")


def _by_tables(
    objects: Objects, among: list[str], names: list[str], frames: int
) -> tuple[SampleSet | None, list[Table], list[str]]:
    """What the tables mean when that is any picture, the tables of pixels, and what is to say of all others.

    Args:
        objects: of the source.
        among: names of which some may be tables.
        names: of all.
        frames: pictures in a sample.
    """
    tables: list[Table] = []
    notes: list[str] = []
    for name in among:
        if PurePosixPath(name).suffix.lower() in TABLES:
            table = read_table(name, objects.read(name, _MAX_FILE_BYTES))
            if isinstance(table, str):
                notes.append(f"{one_line(name)} left out: {table}")
            else:
                tables.append(table)
    of_pixels = [table for table in tables if table.has_pixels]
    of_files = [table for table in tables if not table.has_pixels]
    if of_files:
        found = _matched(objects, of_files, names, frames)
        if found.samples:
            return replace(found, notes=(*notes, *found.notes)), of_pixels, []
        notes.append(f"no row of {some(table.name for table in of_files)} means a picture: {_rows_of(found)}")
    return None, of_pixels, notes


def _check_no_parts(location: str, samples: list[Sample], notes: list[str]) -> None:
    """Pictures right in folders of parts, with nothing to say what they show, are not of classes of those names.

    Args:
        location: for messages.
        samples: all those that would be of such a class.
        notes: why the tables there say nothing.
    """
    labels = sorted({sample.label for sample in samples})
    if labels:
        are = "are parts, not classes" if len(labels) > 1 else "is a part, not a class"
        raise DataError(f"{location}: {'; '.join((f'{some(labels)} {are}', *notes))}; accepted: {ACCEPTED}")


def _matched(objects: Objects, tables: list[Table], names: list[str], frames: int) -> SampleSet:
    samples, skipped, notes = match(tables, names)
    return replace(_of_files(objects, samples, frames), skipped=tuple(skipped), notes=tuple(notes))


def _of_files(objects: Objects, samples: list[Sample], frames: int) -> SampleSet:
    labels = tuple(sorted({sample.label for sample in samples}, key=natural_key))
    threads = _READERS_OF_A_BUCKET if is_bucket(objects.location) else min(8, os.cpu_count() or 2)
    return SampleSet(samples, labels, lambda index: read_sample(objects, samples[index], frames), threads=threads)


def _rows_of(found: SampleSet) -> str:
    """Those that mean nothing."""
    return some(found.skipped) or "there is none below its header"


def _contents(names: list[str]) -> str:
    kinds = Counter(PurePosixPath(name).suffix.lower() or "no suffix" for name in names)
    return some(f"{n} x {kind}" for kind, n in kinds.most_common()) or "nothing"


def _stamp(versions: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(list(versions.items())).encode()).hexdigest()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # of which looking into it as a folder says more
        return False


def _version(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"
