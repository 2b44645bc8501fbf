"""Names that travel with a frame and end up in ids, paths and addresses: which ones are allowed."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

DEFAULT_TOPIC = "distributed-video1"

_UPLOAD = "upload-"
_UPLOAD_ID = re.compile(_UPLOAD + r"\d{8}T\d{6}-[0-9a-f]{6}")

_NAME = re.compile(r"\w[\w .@-]{0,63}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,200}")
_NOT_IN_NAME = re.compile(r"[^\w.@-]+")
_MAX_FILE_NAME_BYTES = 240  # systems take 255, and what is made of a name is longer: 1.jpg.json


def is_name(text: str) -> bool:
    """Whether the text can name a stream, run, group or worker.

    Letters of any script, digits, ``_ . @ -`` and inner spaces, 1 to 64 of them, starting with a letter, digit
    or ``_``: never a slash, so that ids and addresses made of names can be taken apart again.
    """
    return _NAME.fullmatch(text) is not None and not text.endswith(" ")


def checked_stream_name(text: str) -> str:
    """The same text, or a ValueError that says what a name may be."""
    if not is_name(text):
        raise ValueError("a name is 1 to 64 letters, digits, spaces or _ . @ - and starts with a letter or digit")
    return text


def checked_topic_name(text: str) -> str:
    """The same text, or a ValueError that says what Kafka takes as a topic's name."""
    if not _TOPIC.fullmatch(text) or text in (".", ".."):
        raise ValueError("a topic's name is 1 to 200 letters, digits or . _ -")
    return text


def is_file_name(text: str) -> bool:
    """Whether the text can travel as the name of a picture's file, and be written under by whoever gets it.

    Text of 1 to 240 bytes of UTF-8 that can be printed, with no slash of either kind: it leads to no other folder.
    """
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        return False
    printable = text.isprintable() and not set(text) & {"/", "\\"}
    return 0 < length <= _MAX_FILE_NAME_BYTES and printable and text.strip(" .") != ""


def new_upload_id() -> str:
    """Name of an upload and of its stream."""
    return f"{_UPLOAD}{new_run_id()}"


def is_upload(stream: str) -> bool:
    """Whether the stream is an upload: its frames are older than they look, since they were not captured here."""
    return _UPLOAD_ID.fullmatch(stream) is not None


def dead_letter_topic(topic: str) -> str:
    """Topic of the dead letters: the records of ``topic`` that cannot be classified."""
    return f"{topic}-dead-letters"


def new_run_id() -> str:
    """A run id that sorts by its start and differs from all others, such as ``20261121T101500-3f9a1c``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def stream_name_of(source: str) -> str:
    """Name for the stream of a source: the file's or folder's name, ``camera 0``, the bucket's, the address's host.

    Never user, password or query of an address.

    >>> stream_name_of("videos/front door.mp4"), stream_name_of("0"), stream_name_of("rtsp://u:p@cam-2:554/main")
    ('front-door', 'camera-0', 'cam-2')
    >>> stream_name_of("s3://lake/test/")
    'lake-test'
    """
    if source.isdecimal():
        raw = f"camera-{source}"
    elif source.startswith("file://"):
        return stream_name_of(unquote(source.partition("://")[2]))
    elif source.lower().startswith("s3://"):
        bucket, _, prefix = source[len("s3://") :].partition("/")
        raw = f"{bucket.rpartition('@')[2]}/{prefix}"
    elif "://" in source:
        raw = _host(source) or "camera"
    else:
        path = Path(source)
        raw = path.resolve().name if _is_folder(path) else path.stem
    name = _NOT_IN_NAME.sub("-", raw).strip("-.@ ")[:64]
    return name if is_name(name) else "video"


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # such as a name too long for the system
        return False
