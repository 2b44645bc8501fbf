"""Objects in a folder of this machine."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_ISREG
from typing import Final

from framewatch.errors import ObjectsUnavailable, SettingError, SourceError
from framewatch.objects.base import MAX_OBJECT_BYTES, Objects, natural_key

_NOT_THERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


_OF_THE_SYSTEM: Final = "lost+found"  # of a disk whose top is the folder; nobody else may look into it


class Folder(Objects):
    """The files below a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder}/")
        self._folder = folder

    def prepare(self) -> None:
        """Make the folder."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(f"{self.location}: cannot be made: {error.strerror}") from None

    def versions(self) -> dict[str, str]:
        """Names of all files below the folder, each with its size and time; also where links lead, but not in
        hidden folders. One that may not be read is an error: nobody would know what is missing.
        """
        return self._listed(self._refuse)

    def reachable(self) -> dict[str, str]:
        """Likewise, without folders that may not be read, and of those that are there twice only one."""
        return self._listed(self._pass_over)

    def _listed(self, refuse: Callable[[OSError | SettingError], None]) -> dict[str, str]:
        """Names and versions; ``refuse`` is told what is wrong with a path, and raises or leaves it out."""
        found: dict[str, str] = {}
        for path in self._paths(refuse):
            try:
                stat = path.stat()
            except OSError as error:
                refuse(error)
                continue
            if S_ISREG(stat.st_mode):
                found[self._name(path)] = f"{stat.st_size} {stat.st_mtime_ns}"
        return {name: found[name] for name in sorted(found, key=natural_key)}

    def _paths(self, refuse: Callable[[OSError | SettingError], None]) -> Iterator[Path]:
        """Whatever is no folder, below each folder once: links may lead round in circles."""
        seen: dict[Path, Path] = {}
        for top, inner, others in os.walk(self._folder, onerror=refuse, followlinks=True):
            folder = Path(top)
            first = seen.setdefault(folder.resolve(), folder)
            if first == folder:
                inner[:] = [name for name in inner if not name.startswith(".") and name != _OF_THE_SYSTEM]
                inner.sort(key=lambda name: ((folder / name).is_symlink(), name))
                yield from (folder / name for name in others)
                continue
            inner.clear()
            if not folder.is_relative_to(first):
                one, other = sorted(f"{self.address(self._name(path))}/" for path in (first, folder))
                refuse(SettingError(f"{one} and {other} are the same folder, by a link: leave one of them out"))

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _refuse(self, error: OSError | SettingError) -> None:
        """Raise what is wrong with a path; but what went away meanwhile, or is a link to nothing, is not there."""
        if isinstance(error, SettingError):
            raise error
        path = Path(error.filename)
        if error.errno not in _NOT_THERE:
            where = self.location if path == self._folder else self.address(self._name(path))
            raise SettingError(f"{where}: cannot be read: {error.strerror}")
        if path == self._folder:
            raise SettingError(f"{self.location}: no such folder")

    def _pass_over(self, error: OSError | SettingError) -> None:
        """Raise only what is wrong with the folder itself."""
        if isinstance(error, OSError) and Path(error.filename) == self._folder:
            self._refuse(error)

    def find(self, name: str, at_most: int = MAX_OBJECT_BYTES) -> bytes | None:
        """The whole file."""
        try:
            with (self._folder / self.checked(name)).open("rb") as file:
                content = file.read(at_most + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SourceError(f"{self.address(name)}: {error.strerror}") from None
        if len(content) > at_most:
            raise SourceError(f"{self.address(name)}: over {at_most} bytes")
        return content

    def write(self, name: str, content: bytes, kind: str = "application/octet-stream") -> None:  # noqa: ARG002
        """Put the file there. A disk that is full is one that does not answer: there may be room later."""
        path = self._folder / self.checked(name)
        part = path.with_name(f".{path.name[-200:]}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            kind_of = SettingError if isinstance(error, PermissionError | IsADirectoryError) else ObjectsUnavailable
            raise kind_of(f"{self.address(name)}: cannot be written: {error.strerror}") from None
