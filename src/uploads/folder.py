"""Uploaded files on the disk until they are sent: what they are by their first bytes, and how many there may be.

Every name in the folder is the server's own. Each server has a part of the folder to itself, held by a lock that ends
with the process, and takes over what a server that ended has left in another.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from filelock import FileLock, Timeout

from framewatch.errors import SettingError
from framewatch.vision.file_formats import told

_log = logging.getLogger(__name__)

Reason = Literal["kind", "size", "disk", "busy"]

HEAD_BYTES: Final = 512  # that tell what a file is
LEFT_BYTES: Final = 1024**3  # of the disk, that uploads leave to others
LEFT_SHARE: Final = 0.1

_LOOK_EACH: Final = 8 * 1024**2  # bytes of a file after which the disk is looked at anew
_MAX_PARTS: Final = 64
_QUICKTIME: Final = frozenset({b"ftyp", b"moov", b"mdat", b"wide"})  # the first box of a file (ISO/IEC 14496-12)
_STILL: Final = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")  # brands of pictures in such a file
_TS_PACKET: Final = 188  # bytes, each packet beginning with G (ISO/IEC 13818-1, 2.4.3.2)

Usage = Callable[[Path], Any]  # as shutil.disk_usage


class UploadRefused(Exception):
    """A file that is not taken.

    Attributes:
        reason: what kind of refusal it is.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Form:
    """What a file is by its content.

    Attributes:
        kind: of upload.
        suffix: of the name that it gets, such as ``.mp4``.
    """

    kind: Literal["image", "video"]
    suffix: str


def form_of(head: bytes) -> Form | None:
    """What a file is that begins so, or None for what is no picture or video that is taken."""
    if head.startswith(b"\xff\xd8\xff"):
        return Form("image", ".jpg")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Form("image", ".png")
    if head.startswith(b"RIFF"):
        return {b"WEBP": Form("image", ".webp"), b"AVI ": Form("video", ".avi")}.get(head[8:12])
    if head[4:8] in _QUICKTIME:
        return None if head[4:8] == b"ftyp" and head[8:12] in _STILL else Form("video", ".mp4")
    if head.startswith(b"\x1aE\xdf\xa3"):
        return Form("video", ".mkv")
    if head.startswith((b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")):
        return Form("video", ".mpg")
    if len(head) > _TS_PACKET and head[0] == head[_TS_PACKET] == 0x47:
        return Form("video", ".ts")
    return None


class IncomingFile:
    """A file that comes in; a binary stream to write to."""

    def __init__(self, path: Path, allowed: Callable[[str], int], check_disk: Callable[[int], None]) -> None:
        """Begin it.

        Args:
            path: of the file without its suffix.
            allowed: bytes that an upload of a kind may have.
            check_disk: raises UploadRefused where so many bytes more are too many.
        """
        self.form: Form | None = None
        self.count = 0
        self._path = path
        self._part = path.with_suffix(".part")
        self._allowed, self._check_disk = allowed, check_disk
        self._head = b""
        self._looked_at = 0
        # For its owner only, whatever the folder allows.
        self._file: BinaryIO = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def write(self, data: bytes) -> int:
        """Write what has come.

        Raises:
            UploadRefused: it is nothing that is taken, or too much.
        """
        self.count += len(data)
        if self.form is None:
            self._head += data
            if len(self._head) < HEAD_BYTES:
                return len(data)
        return self._written(data)

    def _written(self, data: bytes) -> int:
        if self.form is None:
            data, self._head = self._head, b""
            self.form = form_of(data[:HEAD_BYTES])
        if self.form is None:
            raise UploadRefused(
                "kind",
                f"{told(data, self.count)}: neither a picture (JPEG, PNG, WebP) nor a video "
                "(MP4, MOV, MKV, WebM, AVI, MPEG) by their content",
            )
        if self.count > (most := self._allowed(self.form.kind)):
            raise UploadRefused("size", f"{self.form.kind}: at most {most / 1e6:g} MB are allowed")
        if self.count - self._looked_at >= _LOOK_EACH:
            self._looked_at = self.count
            self._check_disk(0)
        try:
            return self._file.write(data)
        except OSError as error:
            raise _disk(error) from None

    def finish(self) -> Path:
        """The whole file, under its name.

        Raises:
            UploadRefused: it is nothing that is taken.
        """
        if self.form is None:
            self._written(b"")
        assert self.form is not None
        try:
            self._file.close()
            return self._part.rename(self._path.with_suffix(self.form.suffix))
        except OSError as error:
            raise _disk(error) from None

    def abandon(self) -> None:
        """Leave nothing of it, unless it was finished."""
        with suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)


def _disk(error: OSError) -> UploadRefused:
    _log.error("an upload cannot be written: %s", error.strerror)
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return UploadRefused("disk", "the server's disk is full" if full else "the server cannot write the file")


class UploadFolder:
    """The part of a folder that this process has to itself."""

    def __init__(self, root: Path, usage: Usage = shutil.disk_usage) -> None:
        """Make or take over a part of the folder.

        Args:
            root: the folder.
            usage: tells of a folder's disk how much is there and free.

        Raises:
            SettingError: it cannot be used.
        """
        self._usage = usage
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            root.chmod(0o700)
            self._lock, self.path = self._held(root)
            self.path.mkdir(mode=0o700, exist_ok=True)
            self._take_over(root)
        except OSError as error:
            raise SettingError(f"{root}: cannot be used as folder of uploads: {error.strerror}") from None
        for part in self.path.glob("*.part"):
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others have it."""
        self._lock.release()

    def incoming(self, name: str, size: int, allowed: Callable[[str], int]) -> IncomingFile:
        """A file to be received.

        Args:
            name: that it gets, without suffix.
            size: that it will have, in bytes.
            allowed: bytes that an upload of a kind may have.

        Raises:
            UploadRefused: there is no room for it.
        """
        self.check_disk(size)
        try:
            return IncomingFile(self.path / name, allowed, self.check_disk)
        except OSError as error:
            raise _disk(error) from None

    def check_disk(self, size: int) -> None:
        """Refuse what would leave others too little of the disk.

        Raises:
            UploadRefused: it would.
        """
        total, _, free = self._usage(self.path)
        if free - size < max(LEFT_BYTES, LEFT_SHARE * total):
            raise UploadRefused("disk", "the server's disk has no room for it: 1 GB and a tenth of it are kept free")

    def file(self, name: str) -> Path | None:
        """The received file of that name."""
        found = (path for path in self.path.glob(f"{name}.*") if path.suffix not in {".json", ".note", ".part"})
        return next(found, None)

    def forget(self, name: str, note: bool = True) -> None:
        """Delete the file, and what was noted of it."""
        if path := self.file(name):
            path.unlink(missing_ok=True)
        if note:
            (self.path / f"{name}.json").unlink(missing_ok=True)

    def note(self, name: str, known: dict[str, Any]) -> None:
        """Keep what is known of an upload, for a server that is started after this one ended."""
        part = self.path / f"{name}.note"
        try:
            part.write_text(json.dumps(known), encoding="utf-8")
            part.replace(self.path / f"{name}.json")
        except OSError as error:
            _log.error("%s: cannot be written: %s", part, error.strerror)

    def notes(self) -> Iterator[dict[str, Any]]:
        """What was kept of each upload; files of which nothing was are deleted."""
        kept = set()
        for path in sorted(self.path.glob("*.json")):
            try:
                known = json.loads(path.read_text(encoding="utf-8"))
                kept.add(path.stem)
                yield known
            except (OSError, ValueError) as error:
                _log.warning("%s: left out: %s", path, error)
        for path in self.path.iterdir():
            if path.stem not in kept:
                path.unlink(missing_ok=True)

    def _held(self, root: Path) -> tuple[FileLock, Path]:
        for k in range(_MAX_PARTS):
            lock = FileLock(root / f"{k}.lock")
            with suppress(Timeout):
                lock.acquire(timeout=0)
                return lock, root / str(k)
        raise OSError(errno.EBUSY, f"{_MAX_PARTS} servers use it")

    def _take_over(self, root: Path) -> None:
        """What servers that run no more have left."""
        for other in root.iterdir():
            if not other.is_dir() or other == self.path:
                continue
            with suppress(Timeout), FileLock(root / f"{other.name}.lock").acquire(timeout=0):
                for path in other.iterdir():
                    path.replace(self.path / path.name)
