"""Folders of videos and pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from framewatch.errors import SourceError
from framewatch.objects.base import natural_key
from framewatch.producer.sources.base import Picture, Source
from framewatch.producer.sources.capture import DEFAULT_FPS
from framewatch.producer.sources.file import VIDEOS, open_file
from framewatch.producer.sources.pictures import PICTURES

_log = logging.getLogger(__name__)


def open_folder(folder: Path, max_side: int) -> Source:
    """The videos and pictures of a folder, in the order of their names.

    Raises:
        SourceError: it cannot be read, or has none.
    """
    try:
        content = sorted(folder.iterdir(), key=lambda path: natural_key(path.name))
        files = [file for file in content if file.suffix.lower() in PICTURES | VIDEOS and file.is_file()]
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from None
    if not files:
        raise SourceError(f"{folder}: no pictures or videos in it ({', '.join(sorted(PICTURES | VIDEOS))})")
    only_pictures = all(f.suffix.lower() in PICTURES for f in files)
    return Source(
        folder.resolve().name,
        live=False,
        fps=None if only_pictures else _fps_of(files, max_side),
        count=len(files) if only_pictures else None,
        read=lambda: _folder_frames(folder, files, max_side),
    )


def _fps_of(files: list[Path], max_side: int) -> float:
    """Frames a second of the first video that can be opened."""
    for file in files:
        if file.suffix.lower() in VIDEOS:
            with suppress(SourceError):
                return open_file(file, max_side).fps or DEFAULT_FPS
    return DEFAULT_FPS


def _folder_frames(folder: Path, files: list[Path], max_side: int) -> Iterator[Picture]:
    """Pictures of all files; one that cannot be read is named and passed over, and the end says how many."""
    broken = 0
    for file in files:
        try:
            yield from open_file(file, max_side).read()
        except SourceError as error:
            broken += 1
            _log.warning("%s", error)
    if broken:
        raise SourceError(f"{folder}: {broken} of {len(files)} files could not be read whole")
