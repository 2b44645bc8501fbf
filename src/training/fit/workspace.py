"""The folders of a training: OUT.partial while it goes on, OUT when the bundle is there.

    OUT.partial/
      lock             held by the process that trains
      data-…           the prepared pictures, see ``training.data.prepare``
      training.json    what is trained on which data; written when the pictures have been read
      PHASE/           see ``training.fit.checkpoints``

A training has begun when an epoch is done: it goes on with the same settings only. Before that, nothing is refused.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from framewatch.errors import DataError, SettingError
from framewatch.training.fit.checkpoints import has_begun
from framewatch.vision.models.bundle import MANIFEST

SETTINGS: Final = "training.json"
_LOCK: Final = "lock"
_OF_A_START: Final = re.compile(r"lock|data-[0-9a-f]{16}(\.part|\.lock)?")
"""Names of what a start makes before it has read the pictures."""

Recorded = Mapping[str, object]
"""Values of JSON by the name of their option, or what they are of."""


def partial_folder(out: Path) -> Path:
    """Where the training of that bundle keeps its checkpoints."""
    return out.with_name(f"{out.name}.partial")


def check_out(out: Path, force: bool) -> None:
    """Know that the bundle may be put there.

    Raises:
        SettingError: something is there already, or no folder can be made there.
    """
    if not out.name:
        raise SettingError(f"--out: got {str(out)!r}: expected a folder that is not there yet")
    try:
        _check_nothing_is_lost(out, force)
        above = next(folder for folder in out.absolute().parents if folder.exists())
    except OSError as error:
        raise SettingError(f"--out: {out}: {error.strerror}") from None
    if not above.is_dir():
        raise SettingError(f"--out: {above} is no folder: nothing can be put into it")
    if not os.access(above, os.W_OK | os.X_OK):
        raise SettingError(f"--out: {above} cannot be written: name a folder somewhere else")


def _check_nothing_is_lost(out: Path, force: bool) -> None:
    if out.is_mount():  # the bundle is put there by a rename, which that refuses
        raise SettingError(f"--out: {out} is where another file system begins: name a folder in it")
    if not (out.exists() or out.is_symlink()) or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / MANIFEST).is_file():
        raise SettingError(f"--out: {out} is there already and is no bundle: name another folder")
    if not force:
        raise SettingError(f"--out: {out} is there already: name another folder, or say --force to replace it")


@contextmanager
def open_workspace(out: Path, settings: Recorded, fresh: bool) -> Iterator[Path]:
    """The workspace, this process's own. A start that ends before the pictures are read leaves none.

    Args:
        out: of the bundle.
        settings: of the training: those a training began with are those it goes on with.
        fresh: drop what a training left there.

    Raises:
        SettingError: it began with other settings, or another process trains there.
        DataError: the folder cannot be made, or belongs to something else.
    """
    folder = partial_folder(out)
    try:
        new = [path for path in (folder, *folder.parents) if not path.exists()]
        if folder.exists() and any(folder.iterdir()) and not (folder / _LOCK).exists():
            raise DataError(
                f"{folder}: is there already and is not of a training: move it away, or name another --out"
            )
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / _LOCK, timeout=0):
            if fresh:
                _empty(folder)
            _check_same(folder, settings)
            try:
                yield folder
            except BaseException:
                _remove_start(folder, new)
                raise
    except Timeout:
        raise SettingError(f"--out: another training is writing to {folder}") from None
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}") from None


def record(folder: Path, training: Recorded) -> None:
    """Keep what is trained on which data; where a training has begun, know that it is still the same.

    Raises:
        SettingError: it is not.
    """
    _check_same(folder, training)
    new = folder / f"{SETTINGS}.new"
    new.write_text(json.dumps(training, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(folder / SETTINGS)


def publish(made: Path, out: Path, folder: Path) -> None:
    """Move the finished bundle to its folder by one rename, and remove the workspace."""
    if out.exists():
        out.rename(folder / "replaced")
    made.rename(out)
    shutil.rmtree(folder)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()


def _remove_start(folder: Path, new: Sequence[Path]) -> None:
    """Remove the folder, and those above it that were made for it, while nothing in it is worth keeping.

    Pictures that have been read are, and whatever somebody else put there.
    """
    with suppress(OSError):  # the first error is the one to report
        if all(_OF_A_START.fullmatch(path.name) for path in folder.iterdir()):
            shutil.rmtree(folder)
            for parent in new[1:]:
                parent.rmdir()


def _check_same(folder: Path, now: Recorded) -> None:
    if not has_begun(folder):
        return
    try:
        before = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        raise SettingError(f"{folder / SETTINGS} is damaged: say --fresh to begin anew") from None
    for name in now:
        if before.get(name) != now[name]:
            raise SettingError(
                f"{name}: the training that was begun has {before.get(name)!r}, now it is {now[name]!r}: "
                "say the same to go on with it, or --fresh to begin anew"
            )


def emptied(folder: Path) -> Path:
    """The folder, new, whatever a killed training left there."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    return folder
