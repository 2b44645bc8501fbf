"""Uploaded files on disk until they are sent, their types by their first bytes, and a note for each.

The server chooses every name in the folder. Each server has a subfolder to itself, held by a lock that ends with the
process, and takes over what a server that ended has left in another.
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
from framewatch.model.upload import Kind
from framewatch.vision.file_formats import describe_file

_log = logging.getLogger(__name__)

Reason = Literal["kind", "size", "disk", "busy"]

HEAD_BYTES: Final = 512  # enough to tell the type of a file
FREE_BYTES: Final = 1024**3  # of the disk, that uploads leave free
FREE_SHARE: Final = 0.1

_CHECK_EACH: Final = 8 * 1024**2  # bytes of a file after which the free disk space is checked again
_MAX_SERVERS: Final = 64
_QUICKTIME: Final = frozenset({b"ftyp", b"moov", b"mdat", b"wide"})  # the first box of a file (ISO/IEC 14496-12)
_STILL: Final = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")  # brands of pictures in such a file
_TS_PACKET: Final = 188  # bytes, each packet beginning with G (ISO/IEC 13818-1, 2.4.3.2)

Usage = Callable[[Path], Any]  # as shutil.disk_usage


class UploadRefused(Exception):
    """A file that is refused.

    Attributes:
        reason: its type, its size, the disk, or that too many are under way.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class FileType:
    """The type of a file by its content.

    Attributes:
        kind: picture or video.
        suffix: of the name that it gets, such as ``.mp4``.
    """

    kind: Kind
    suffix: str


def detect_type(head: bytes) -> FileType | None:
    """The type of a file that begins with these bytes, None unless it is a picture or video that can be read."""
    if head.startswith(b"\xff\xd8\xff"):
        return FileType("image", ".jpg")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return FileType("image", ".png")
    if head.startswith(b"RIFF"):
        return {b"WEBP": FileType("image", ".webp"), b"AVI ": FileType("video", ".avi")}.get(head[8:12])
    if head[4:8] in _QUICKTIME:
        return None if head[4:8] == b"ftyp" and head[8:12] in _STILL else FileType("video", ".mp4")
    if head.startswith(b"\x1aE\xdf\xa3"):
        return FileType("video", ".mkv")
    if head.startswith((b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")):
        return FileType("video", ".mpg")
    if len(head) > _TS_PACKET and head[0] == head[_TS_PACKET] == 0x47:
        return FileType("video", ".ts")
    return None


class IncomingFile:
    """A file that is being received: a binary stream to write to.

    Attributes:
        type: by its content, once enough of it is there.
        count: bytes received.
    """

    def __init__(self, path: Path, admit: Callable[[Kind], int], check_disk: Callable[[int], None]) -> None:
        """Create the file.

        Args:
            path: of the file without its suffix.
            admit: called once, when the file's kind is known; returns how many bytes it may have, or raises
                UploadRefused.
            check_disk: raises UploadRefused where the disk has no space for so many bytes more.
        """
        self.type: FileType | None = None
        self.count = 0
        self._path = path
        self._part = path.with_suffix(".part")
        self._admit, self._check_disk = admit, check_disk
        self._head = b""
        self._max_bytes = 0
        self._checked_at = 0
        # For its owner only, whatever the folder allows.
        self._file: BinaryIO = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def write(self, data: bytes) -> int:
        """Take the next bytes.

        Raises:
            UploadRefused: it is neither picture nor video, it is too large, or too many are under way.
        """
        self.count += len(data)
        if self.type is None:
            self._head += data
            if len(self._head) < HEAD_BYTES:
                return len(data)
            data = self._detect()
        self._write(data)
        return len(data)

    def _detect(self) -> bytes:
        """Find out the file's type and have it admitted; what came until then is still to be written."""
        head, self._head = self._head, b""
        self.type = detect_type(head[:HEAD_BYTES])
        if self.type is None:
            raise UploadRefused(
                "kind",
                f"{describe_file(head, self.count)}: neither a picture (JPEG, PNG, WebP) nor a video "
                "(MP4, MOV, MKV, WebM, AVI, MPEG) by their content",
            )
        self._max_bytes = self._admit(self.type.kind)
        return head

    def _write(self, data: bytes) -> None:
        if self.count > self._max_bytes:
            assert self.type is not None
            raise UploadRefused("size", f"{self.type.kind}: at most {self._max_bytes / 1e6:g} MB are allowed")
        if self.count - self._checked_at >= _CHECK_EACH:
            self._checked_at = self.count
            self._check_disk(0)
        try:
            self._file.write(data)
        except OSError as error:
            raise _disk_error(error) from None

    def finish(self) -> Path:
        """Close the file, which was received whole, and give it its name.

        Raises:
            UploadRefused: it is neither picture nor video, or the disk is full.
        """
        if self.type is None:
            self._write(self._detect())
        assert self.type is not None
        try:
            self._file.close()
            return self._part.rename(self._path.with_suffix(self.type.suffix))
        except OSError as error:
            raise _disk_error(error) from None

    def discard(self) -> None:
        """Delete the file, unless it was finished."""
        with suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)


def _disk_error(error: OSError) -> UploadRefused:
    _log.error("an upload cannot be written: %s", error.strerror)
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return UploadRefused("disk", "the server's disk is full" if full else "the server cannot write the file")


class UploadFolder:
    """The subfolder that this process has to itself."""

    def __init__(self, root: Path, usage: Usage = shutil.disk_usage) -> None:
        """Make or take over a subfolder.

        Args:
            root: the folder.
            usage: gives the size of a folder's disk and how much of it is used and free.

        Raises:
            SettingError: it cannot be used.
        """
        self._usage = usage
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            root.chmod(0o700)
            self._lock, self.path = self._lock_one(root)
            self.path.mkdir(mode=0o700, exist_ok=True)
            self._take_over(root)
        except OSError as error:
            raise SettingError(f"{root}: cannot be used as the folder of uploads: {error.strerror}") from None
        for part in self.path.glob("*.part"):
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """Release it: the next server takes over what is left in it."""
        self._lock.release()

    def receive(self, name: str, size: int, admit: Callable[[Kind], int]) -> IncomingFile:
        """Begin a file that is to be received.

        Args:
            name: that it gets, without suffix.
            size: that it will have, in bytes.
            admit: see ``IncomingFile``.

        Raises:
            UploadRefused: the disk has no space for it.
        """
        self.check_disk(size)
        try:
            return IncomingFile(self.path / name, admit, self.check_disk)
        except OSError as error:
            raise _disk_error(error) from None

    def check_disk(self, size: int) -> None:
        """Check that the disk has space for so many bytes and stays free enough for others.

        Raises:
            UploadRefused: it has not.
        """
        total, _, free = self._usage(self.path)
        if free - size < max(FREE_BYTES, FREE_SHARE * total):
            raise UploadRefused("disk", "the server's disk has no space for it: 1 GB and a tenth of it are kept free")

    def file(self, name: str) -> Path | None:
        """The received file of that name."""
        found = (path for path in self.path.glob(f"{name}.*") if path.suffix not in {".json", ".note", ".part"})
        return next(found, None)

    def delete(self, name: str, note: bool = True) -> None:
        """Delete the file, and its note unless that is to be kept."""
        if path := self.file(name):
            path.unlink(missing_ok=True)
        if note:
            (self.path / f"{name}.json").unlink(missing_ok=True)

    def note(self, name: str, note: dict[str, Any]) -> None:
        """Write the note of an upload, for a server that is started after this one ended."""
        part = self.path / f"{name}.note"
        try:
            part.write_text(json.dumps(note), encoding="utf-8")
            part.replace(self.path / f"{name}.json")
        except OSError as error:
            _log.error("%s: cannot be written: %s", part, error.strerror)

    def notes(self) -> Iterator[dict[str, Any]]:
        """The note of each upload; files without a note are deleted."""
        kept = set()
        for path in sorted(self.path.glob("*.json")):
            try:
                note = json.loads(path.read_text(encoding="utf-8"))
                kept.add(path.stem)
                yield note
            except (OSError, ValueError) as error:
                _log.warning("%s: left out: %s", path, error)
        for path in self.path.iterdir():
            if path.stem not in kept:
                path.unlink(missing_ok=True)

    def _lock_one(self, root: Path) -> tuple[FileLock, Path]:
        for k in range(_MAX_SERVERS):
            lock = FileLock(root / f"{k}.lock")
            with suppress(Timeout):
                lock.acquire(timeout=0)
                return lock, root / str(k)
        raise OSError(errno.EBUSY, f"{_MAX_SERVERS} servers use it")

    def _take_over(self, root: Path) -> None:
        """Move here what servers that no longer run have left."""
        for other in root.iterdir():
            if not other.is_dir() or other == self.path:
                continue
            with suppress(Timeout), FileLock(root / f"{other.name}.lock").acquire(timeout=0):
                for path in other.iterdir():
                    path.replace(self.path / path.name)
