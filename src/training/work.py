"""The folders of a training: OUT.partial while it goes on, OUT when the bundle is there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from errors import DataError, SettingError
from vision.bundle import MANIFEST

SETTINGS: Final = "training.json"
_LOCK: Final = "lock"

Recorded = Mapping[str, object]
"""Values of JSON by the name of their option, or what they are of."""


def partial_folder(out: Path) -> Path:
    """Where the training of that bundle keeps its state."""
    return out.with_name(f"{out.name}.partial")


def check_out(out: Path, force: bool) -> None:
    """Know that the bundle may be put there.

    Raises:
        SettingError: something is there already.
    """
    if not out.name:
        raise SettingError(f"--out: got {str(out)!r}: expected a folder that is not there yet")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / MANIFEST).is_file():
        raise SettingError(f"--out: {out} is there already and is no bundle: name another folder")
    if not force:
        raise SettingError(f"--out: {out} is there already: name another folder, or say --force to replace it")


@contextmanager
def working_folder(out: Path, settings: Recorded, fresh: bool) -> Iterator[Path]:
    """The folder of the state, this process's own.

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
        if folder.exists() and any(folder.iterdir()) and not (folder / _LOCK).exists():
            raise DataError(
                f"{folder}: is there already and is not of a training: move it away, or name another --out"
            )
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / _LOCK, timeout=0):
            if fresh:
                _empty(folder)
            _compare(folder, settings)
            yield folder
    except Timeout:
        raise SettingError(f"--out: another training is writing to {folder}") from None
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}") from None


def check_same(folder: Path, found: Recorded) -> None:
    """Record what was found when the training began; later, know that it is still the same.

    Raises:
        SettingError: it is not.
    """
    recorded = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    _refuse_difference({**found, **recorded}, {**recorded, **found})
    _write(folder, {**recorded, **found})


def publish(made: Path, out: Path, folder: Path) -> None:
    """Put the finished bundle in its place by one rename, and remove the state of the training."""
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


def _compare(folder: Path, settings: Recorded) -> None:
    try:
        recorded = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        _write(folder, settings)
        return
    except ValueError:
        raise SettingError(f"{folder / SETTINGS} is damaged: say --fresh to begin anew") from None
    _refuse_difference(recorded, {**recorded, **settings})


def _refuse_difference(before: Recorded, now: Recorded) -> None:
    for name in now:
        if before.get(name) != now[name]:
            raise SettingError(
                f"{name}: the training that was begun has {before.get(name)!r}, now it is {now[name]!r}: "
                "say the same to go on with it, or --fresh to begin anew"
            )


def _write(folder: Path, settings: Recorded) -> None:
    new = folder / f"{SETTINGS}.new"
    new.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(folder / SETTINGS)


def emptied(folder: Path) -> Path:
    """The folder, new, whatever a killed training left there."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    return folder
