"""A folder for each class, below a folder for each part of the data where there are parts: from names alone.

Smoking/1.jpg                   class Smoking
train/Smoking/1.jpg             the same, of the part train
Smoking/street/1.jpg            folders below a class mean nothing, unless samples are sequences:
Smoking/clip7/0001.jpg …        then one of them is one sample
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from framewatch.training.data.samples import TRAIN, Sample, Skipped, part_name, some

PICTURES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"}
)
VIDEOS: Final = frozenset({".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"})
_NO_DATA: Final = frozenset({"__macosx", "thumbs.db", "desktop.ini", "icon\r"})


def is_picture(name: str) -> bool:
    """Whether it says it is one."""
    return PurePosixPath(name).suffix.lower() in PICTURES


def is_video(name: str) -> bool:
    """Whether it says it is one."""
    return PurePosixPath(name).suffix.lower() in VIDEOS


def visible(names: Sequence[str]) -> list[str]:
    """The names without what file managers and archives leave behind."""
    return [n for n in names if not any(p.startswith(".") or p.casefold() in _NO_DATA for p in n.split("/"))]


def in_folders(names: Sequence[str], frames: int) -> tuple[list[Sample], list[Skipped], list[str]]:
    """Samples, what is none, and notes.

    Args:
        names: of the source's objects, visible ones, in natural order.
        frames: pictures in a sample.
    """
    files = [n for n in names if is_picture(n) or is_video(n)]
    parts = _parts(files)
    depth = 1 if parts else 0
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    sequences: dict[str, list[str]] = {}
    nowhere, other_folders = [], Counter[str]()
    for name in files:
        folders = name.split("/")[:-1]
        part = parts.get(folders[0]) if folders else None
        if folders and depth and part is None:
            other_folders[folders[0]] += 1
        elif len(folders) <= depth:
            nowhere.append(name)
        elif frames == 1 and is_video(name):
            skipped.append(Skipped(name, "a video: single pictures are wanted here"))
        elif frames > 1 and is_picture(name) and len(folders) > depth + 1:
            sequences.setdefault("/".join(folders), []).append(name)
        else:
            samples.append(Sample(name, folders[depth], part, (name,)))
    for folder, inside in sequences.items():
        label, top = folder.split("/")[depth], folder.split("/")[0]
        samples.append(Sample(f"{folder}/", label, parts.get(top), tuple(inside)))
    return samples, skipped, _notes(names, files, nowhere, other_folders, parts)


def _parts(files: Sequence[str]) -> dict[str, str]:
    """The part of the data for each folder at the top that is one; none where the classes are at the top.

    A class may be called ``test``: a folder is a part when it has folders in it and there is ``train`` beside it,
    or nothing but parts.
    """
    tops = {name.split("/")[0] for name in files if "/" in name}
    found = {top: part for top in tops if (part := part_name(top)) and _has_folders(top, files)}
    return found if TRAIN in found.values() or set(found) == tops else {}


def _has_folders(top: str, files: Sequence[str]) -> bool:
    return any(name.startswith(f"{top}/") and name.count("/") >= 2 for name in files)


def _notes(
    names: Sequence[str],
    files: Sequence[str],
    nowhere: list[str],
    other_folders: Counter[str],
    parts: dict[str, str],
) -> list[str]:
    notes = [f"{len(nowhere)} pictures in no folder of a class left out: {some(nowhere)}"] if nowhere else []
    for top, count in other_folders.items():
        notes.append(f"{count} pictures in folder {top} left out: it is no part such as {some(sorted(parts))}")
    kinds = Counter(PurePosixPath(name).suffix.lower() or "no suffix" for name in set(names) - set(files))
    if kinds:
        what = some(f"{n} x {kind}" for kind, n in kinds.most_common())
        notes.append(f"{kinds.total()} files left out that are no pictures by name: {what}")
    return notes
