"""Paths of this machine: a file, a folder, or either by its file:// address."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from framewatch.errors import SourceError
from framewatch.producer.sources.base import Request, Source
from framewatch.producer.sources.camera import taken_apart
from framewatch.producer.sources.file import open_file
from framewatch.producer.sources.folder import open_folder


def is_file_address(text: str) -> bool:
    """Whether it is meant as the address of a file."""
    return text[: len("file://")].lower() == "file://"


def open_file_address(request: Request) -> Source:
    """The file or folder of ``file:///path``.

    Raises:
        SourceError: it names another machine, or cannot be read.
    """
    parts = taken_apart(request.text)
    if parts.netloc not in ("", "localhost"):
        raise SourceError(f"{request.text}: a file address has no host: file:///path/to/video.mp4")
    return _open(unquote(parts.path), request)


def open_path(request: Request) -> Source:
    """The file or folder at a path.

    Raises:
        SourceError: it cannot be read.
    """
    return _open(request.text, request)


def _open(text: str, request: Request) -> Source:
    if not text:  # which would mean the current folder
        raise SourceError(f"got {request.text!r} as source: name a file, a folder, a webcam's index or an address")
    path = Path(text)
    try:
        exists, is_folder, is_file = path.exists(), path.is_dir(), path.is_file()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    if is_folder:
        return open_folder(path, request.max_side)
    if not exists:
        raise SourceError(f"{path}: no such file or folder, nor a webcam's index, nor an rtsp:// or http:// address")
    if not is_file:
        raise SourceError(f"{path}: neither a file nor a folder; a webcam is named by its index, such as 0")
    return open_file(path, request.max_side, request.max_pixels)
