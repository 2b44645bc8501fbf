"""Names that travel with a frame and end up in ids, paths and addresses: which ones are allowed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import UTC, datetime
from itertools import count, zip_longest
from pathlib import Path
from urllib.parse import unquote, urlsplit

DEFAULT_TOPIC = "distributed-video1"

_UPLOAD = "upload-"
_UPLOAD_ID = re.compile(_UPLOAD + r"\d{8}T\d{6}-[0-9a-f]{6}")

MAX_NAME = 64
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
    return next(_candidates(source))


def stream_names_of(sources: Sequence[str]) -> list[str]:
    """A name for the stream of each source, no two alike: longer ones only where the short ones clash.

    The same sources get the same names in whatever order they stand; what differs in nothing that may be shown is
    numbered. Names that differ in case only count as alike, since some file systems take them so.

    >>> stream_names_of(["rtsp://nvr/ch1", "rtsp://nvr/ch2", "garden.mp4"])
    ['nvr-ch1', 'nvr-ch2', 'garden']
    >>> stream_names_of(["hall/video.mp4", "door/video.mp4"]), stream_names_of(["a.mp4", "a.mp4"])
    (['hall-video', 'door-video'], ['a', 'a-2'])
    """
    names = [stream_name_of(source) for source in sources]
    groups: dict[str, list[int]] = {}
    for position in sorted(range(len(sources)), key=lambda position: (sources[position], position)):
        groups.setdefault(names[position].casefold(), []).append(position)
    taken = {key for key, group in groups.items() if len(group) == 1}
    for _, group in sorted(groups.items()):
        if len(group) > 1:
            for position, name in zip(group, _told_apart([sources[k] for k in group], taken), strict=True):
                names[position] = name
                taken.add(name.casefold())
    return names


def same_name(names: Iterable[str]) -> str | None:
    """The first name that another one before it equals, but for case; None where all differ."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            return name
        seen.add(name.casefold())
    return None


def public_source(source: str) -> str:
    """The source as it may be shown: an address without user, password, query and fragment.

    >>> public_source("rtsp://admin:secret@cam/1?token=x"), public_source("videos/a.mp4")
    ('rtsp://cam/1', 'videos/a.mp4')
    """
    if "://" not in source:
        return source
    try:
        parts = urlsplit(source)
    except ValueError:
        return f"{source.partition('://')[0]}://…"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _told_apart(sources: Sequence[str], taken: Set[str]) -> list[str]:
    """Names for sources whose first ones clash: the first longer ones that all differ, else numbered ones."""
    for names in zip_longest(*map(_candidates, sources)):
        if None in names:  # one source has no longer name left
            break
        keys = {name.casefold() for name in names}
        if len(keys) == len(names) and not keys & taken:
            return list(names)
    return _numbered([stream_name_of(source) for source in sources], taken)


def _numbered(names: Sequence[str], taken: Set[str]) -> list[str]:
    free: list[str] = []
    used = set(taken)
    for name in names:
        suffixes = ("" if k == 1 else f"-{k}" for k in count(1))
        numbered = (f"{name[: MAX_NAME - len(suffix)]}{suffix}" for suffix in suffixes)
        free.append(next(candidate for candidate in numbered if candidate.casefold() not in used))
        used.add(free[-1].casefold())
    return free


def _candidates(source: str) -> Iterator[str]:
    """Names for a source from the shortest to the longest, at least one."""
    for raw in _raw_names(source):
        name = _NOT_IN_NAME.sub("-", raw).strip("-.@ ")[:MAX_NAME].rstrip("-.@ ")
        yield name if is_name(name) else "video"


def _raw_names(source: str) -> Iterator[str]:
    if source.isdecimal():
        yield f"camera-{source}"
    elif source.startswith("file://"):
        yield from _raw_names(unquote(source.partition("://")[2]))
    elif source.lower().startswith("s3://"):
        bucket, _, prefix = source[len("s3://") :].partition("/")
        yield f"{bucket.rpartition('@')[2]}/{prefix}"
    elif "://" in source:
        yield from _raw_names_of_address(source)
    else:
        yield from _raw_names_of_path(Path(source))


def _raw_names_of_address(address: str) -> Iterator[str]:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "camera", parts.port
    except ValueError:
        yield "camera"
        return
    yield host
    yield f"{host}/{parts.path}"
    yield f"{host}/{port or ''}/{parts.path}"
    yield f"{host}/{port or ''}/{parts.path}/{parts.scheme}"


def _raw_names_of_path(path: Path) -> Iterator[str]:
    whole = _resolved(path)
    stem = whole.name if _is_folder(path) else path.stem
    yield stem
    yield whole.name
    above = [part for part in whole.parent.parts if part != whole.anchor]
    for k in range(1, len(above) + 1):
        yield "/".join([*above[-k:], stem])
        yield "/".join([*above[-k:], whole.name])


def _resolved(path: Path) -> Path:
    """The whole path; the path as it is where the system refuses it, such as one that is too long."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # such as a name too long for the system
        return False
