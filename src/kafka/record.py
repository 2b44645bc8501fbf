"""A frame as a Kafka record: the only place that knows the form on the wire.

Value: the JPEG itself, so that any Kafka tool gets a picture. Key: the stream's name, so that one stream stays
on one partition and in order. Kafka's timestamp: capture time in milliseconds. Headers, all text:

========  ======================================================
version   ``1``
run       id of the producer's run
frame     number of the frame in its run, from 0
time_us   capture time, microseconds since 1970 UTC
width     pixels
height    pixels
crc32     CRC-32 (ISO 3309, as in zlib) of the value, 8 hex digits
name      optional: the picture's own file name, UTF-8
========  ======================================================
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from framewatch.errors import BadRecord
from framewatch.model.frame import Frame
from framewatch.model.names import is_file_name, is_name

VERSION = "1"
MAX_RECORD_BYTES = 16 * 1024 * 1024  # the same limit on broker, producer and consumer
MAX_FRAME_BYTES = MAX_RECORD_BYTES - 64 * 1024  # room for key, headers and batch overhead

_MAX_FRAME_NUMBER = 2**53 - 1  # what JSON and BSON readers of every language hold exactly
_MAX_TIME_US = 253_402_300_799_999_999  # the end of the year 9999, the last a BSON date prints
_MAX_SIDE = 65_535  # what a JPEG header can say

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Record:
    """What Kafka carries, free of any client library."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


def to_record(frame: Frame) -> Record:
    """The frame as a record."""
    headers = {
        "version": VERSION,
        "run": frame.run,
        "frame": str(frame.number),
        "time_us": str(frame.time_us),
        "width": str(frame.width),
        "height": str(frame.height),
        "crc32": f"{zlib.crc32(frame.jpeg):08x}",
        **({} if frame.name is None else {"name": frame.name}),
    }
    return Record(
        key=frame.stream.encode(),
        value=frame.jpeg,
        headers=[(name, text.encode()) for name, text in headers.items()],
        timestamp_ms=frame.time_us // 1000,
    )


def from_record(record: Record) -> Frame:
    """The frame a record holds, its bytes checked against the checksum but not decoded.

    Raises:
        BadRecord: reason ``key``, ``empty``, ``too-large``, ``version``, ``header`` or ``checksum``.
    """
    headers = dict(record.headers)
    stream = _text(record.key, "key")
    if not is_name(stream):
        raise BadRecord("key", f"{stream[:80]!r} is no stream name")
    if not record.value:
        raise BadRecord("empty", "the record has no value")
    if len(record.value) > MAX_FRAME_BYTES:
        raise BadRecord("too-large", f"{len(record.value)} bytes, at most {MAX_FRAME_BYTES}")
    if (version := _header(headers, "version")) != VERSION:
        raise BadRecord("version", f"got format {version[:20]!r}, this consumer reads {VERSION!r}")
    run = _header(headers, "run")
    if not is_name(run):
        raise BadRecord("header", f"run {run[:80]!r} is no run id")
    frame = Frame(
        stream=stream,
        run=run,
        number=_integer(headers, "frame", 0, _MAX_FRAME_NUMBER),
        time_us=_integer(headers, "time_us", 0, _MAX_TIME_US),
        width=_integer(headers, "width", 1, _MAX_SIDE),
        height=_integer(headers, "height", 1, _MAX_SIDE),
        jpeg=record.value,
        name=_header(headers, "name") if "name" in headers else None,
    )
    if frame.name is not None and not is_file_name(frame.name):
        raise BadRecord("header", f"name {frame.name[:80]!r} is no name of a file")
    crc32 = f"{zlib.crc32(record.value):08x}"
    if (expected := _header(headers, "crc32")) != crc32:
        raise BadRecord("checksum", f"header says {expected[:16]!r}, the bytes give {crc32!r}")
    return frame


def _header(headers: Mapping[str, bytes | None], name: str) -> str:
    if headers.get(name) is None:
        raise BadRecord("header", f"header {name!r} is missing")
    return _text(headers[name], "header")


def _integer(headers: Mapping[str, bytes | None], name: str, least: int, most: int) -> int:
    text = _header(headers, name)
    # isdecimal alone takes digits of every script, and int() takes signs, spaces and underscores.
    if not (text.isascii() and text.isdecimal() and len(text) <= 18 and least <= int(text) <= most):
        raise BadRecord("header", f"header {name!r} is {text[:20]!r}, not a whole number {least} to {most}")
    return int(text)


def _text(raw: bytes | str | None, reason: str) -> str:
    if raw is None:
        raise BadRecord(reason, "missing")
    if isinstance(raw, str):
        return raw
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadRecord(reason, f"{raw[:40]!r} is not UTF-8") from None
