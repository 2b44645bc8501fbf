"""A frame on the wire: what goes in comes out, and what is not a frame is refused with its reason."""

from __future__ import annotations

import doctest
import zlib
from dataclasses import replace

import pytest

from framewatch.errors import BadRecord
from framewatch.kafka import record as message
from framewatch.kafka.record import MAX_FRAME_BYTES, MAX_RECORD_BYTES, Headers, Record, from_record, to_record
from framewatch.model import names
from framewatch.model.frame import Frame
from framewatch.model.names import (
    checked_stream_name,
    checked_topic_name,
    dead_letter_topic,
    is_name,
    new_run_id,
    stream_name_of,
)

FRAME = Frame(
    "door", "20261121T101500-3f9a1c", 12, 1_795_256_100_123_456, 640, 360, b"\xff\xd8\xff any bytes \xff\xd9"
)


def with_header(name: str, value: bytes | None) -> Record:
    """A good record but for one header, which comes last."""
    record = to_record(FRAME)
    kept = [(key, kept) for key, kept in record.headers if key != name]
    return replace(record, headers=[*kept, (name, value)])


def reason_of(record: Record) -> str:
    with pytest.raises(BadRecord) as refused:
        from_record(record)
    assert str(refused.value).startswith(f"{refused.value.reason}: ")
    return refused.value.reason


def test_a_frame_comes_back_as_it_was_sent() -> None:
    assert from_record(to_record(FRAME)) == FRAME


@pytest.mark.parametrize(
    "frame",
    [
        replace(FRAME, number=0, time_us=0, width=1, height=1),
        replace(FRAME, number=2**53 - 1, time_us=253_402_300_799_999_999, width=65_535, height=65_535),
        replace(FRAME, stream="玄関 カメラ", run="_"),
        replace(FRAME, stream="a" * 64, run="b" * 64),
        replace(FRAME, jpeg=b"\0"),
        replace(FRAME, jpeg=bytes(MAX_FRAME_BYTES)),
    ],
    ids=["smallest", "largest", "any-script", "longest-names", "one-byte", "most-bytes"],
)
def test_a_frame_at_the_limits_comes_back_as_it_was_sent(frame: Frame) -> None:
    assert from_record(to_record(frame)) == frame


def test_any_kafka_tool_gets_the_picture_the_stream_and_the_capture_time() -> None:
    record = to_record(FRAME)
    assert record.value == FRAME.jpeg
    assert record.key == b"door"
    assert record.timestamp_ms == FRAME.time_us // 1000
    assert dict(record.headers)["crc32"] == b"%08x" % zlib.crc32(FRAME.jpeg)
    assert all(value is not None and value.isascii() for _, value in record.headers)


def test_the_largest_frame_fits_a_record_with_its_key_and_headers() -> None:
    record = to_record(replace(FRAME, stream="玄" * 64, run="玄" * 64))
    around = len(record.key or b"") + sum(len(name) + len(value or b"") for name, value in record.headers)
    assert MAX_FRAME_BYTES + around + 1024 <= MAX_RECORD_BYTES


@pytest.mark.parametrize(
    "key",
    [None, b"", b"a/b", b"../door", b"\xff\xfe", b" door", b"door ", b"door\n", b"do\0or", b"-door", b"a" * 65],
)
def test_a_key_that_is_no_stream_name_is_refused(key: bytes | None) -> None:
    assert reason_of(replace(to_record(FRAME), key=key)) == "key"


@pytest.mark.parametrize("value", [None, b""])
def test_a_record_without_a_value_is_refused(value: bytes | None) -> None:
    assert reason_of(replace(to_record(FRAME), value=value)) == "empty"


def test_a_value_over_the_limit_is_refused() -> None:
    assert reason_of(to_record(replace(FRAME, jpeg=bytes(MAX_FRAME_BYTES + 1)))) == "too-large"


@pytest.mark.parametrize("version", [b"0", b"2", b"", b"1.0", b" 1", "\u0661".encode()])
def test_another_version_of_the_format_is_refused(version: bytes) -> None:
    assert reason_of(with_header("version", version)) == "version"


@pytest.mark.parametrize("name", ["version", "run", "frame", "time_us", "width", "height", "crc32"])
@pytest.mark.parametrize("value", [None, b"\xff\xfe"], ids=["null", "not-utf8"])
def test_a_header_that_is_null_or_no_text_is_refused(name: str, value: bytes | None) -> None:
    assert reason_of(with_header(name, value)) == "header"


@pytest.mark.parametrize("missing", ["version", "run", "frame", "time_us", "width", "height", "crc32"])
def test_a_missing_header_is_refused_and_named(missing: str) -> None:
    record = to_record(FRAME)
    without: Headers = [(name, value) for name, value in record.headers if name != missing]
    with pytest.raises(BadRecord, match=repr(missing)) as refused:
        from_record(replace(record, headers=without))
    assert refused.value.reason == "header"


def test_a_record_without_any_header_is_refused() -> None:
    assert reason_of(replace(to_record(FRAME), headers=[])) == "header"


@pytest.mark.parametrize("run", [b"", b"a/b", b"..", b"x" * 65, b"run\n"])
def test_a_run_that_is_no_run_id_is_refused(run: bytes) -> None:
    assert reason_of(with_header("run", run)) == "header"


NO_NUMBERS = ["", "-1", "+1", " 1", "1 ", "1\n", "1_0", "1.0", "1e3", "0x1", "nan", "twelve", "9" * 19, "9" * 5000]
OTHER_SCRIPTS = ["\u0663", "\u00b2", "\uff11\uff12"]  # Arabic-Indic three, superscript two, fullwidth twelve


@pytest.mark.parametrize("text", NO_NUMBERS + OTHER_SCRIPTS, ids=lambda text: ascii(text[:10]))
@pytest.mark.parametrize("name", ["frame", "time_us", "width", "height"])
def test_what_is_not_a_plain_whole_number_is_refused(name: str, text: str) -> None:
    assert reason_of(with_header(name, text.encode())) == "header"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("frame", 2**53),
        ("time_us", 253_402_300_800_000_000),
        ("width", 0),
        ("width", 65_536),
        ("height", 0),
        ("height", 65_536),
    ],
)
def test_a_number_out_of_range_is_refused(name: str, number: int) -> None:
    assert reason_of(with_header(name, str(number).encode())) == "header"


@pytest.mark.parametrize("crc32", [b"", b"00000000", b"xyz", b"\x00" * 8, b"a" * 5000])
def test_a_wrong_checksum_is_refused(crc32: bytes) -> None:
    assert reason_of(with_header("crc32", crc32)) == "checksum"


def test_each_single_changed_byte_and_each_lost_end_is_noticed() -> None:
    record = to_record(FRAME)
    for at in range(len(FRAME.jpeg)):
        changed = bytearray(FRAME.jpeg)
        changed[at] ^= 1
        assert reason_of(replace(record, value=bytes(changed))) == "checksum"
        if at:
            assert reason_of(replace(record, value=FRAME.jpeg[:at])) == "checksum"


def test_a_reason_stays_short_whatever_the_record_holds() -> None:
    for record in (
        replace(to_record(FRAME), key=b"k" * 100_000),
        with_header("run", b"/" * 100_000),
        with_header("frame", b"9" * 100_000),
        with_header("crc32", b"0" * 100_000),
        with_header("version", b"0" * 100_000),
        with_header("width", b"\xff" * 100_000),
    ):
        with pytest.raises(BadRecord) as refused:
            from_record(record)
        assert len(str(refused.value)) < 300


def test_unknown_headers_are_passed_over() -> None:
    record = to_record(FRAME)
    assert from_record(replace(record, headers=[*record.headers, ("traceparent", None)])) == FRAME


def test_the_label_of_a_frame_names_stream_and_number() -> None:
    assert FRAME.label == "door #12"


@pytest.mark.parametrize("name", ["door", "0", "_x", "front door", "cam-1.lan", "me@home", "玄関", "a" * 64])
def test_a_name_may_have_letters_digits_and_inner_spaces(name: str) -> None:
    assert is_name(name)
    assert checked_stream_name(name) == name


@pytest.mark.parametrize("name", ["", " ", ".", "..", "-x", "@x", "a/b", "a:b", "x ", "a\tb", "a\n", "a" * 65])
def test_a_name_never_has_a_slash_nor_an_odd_edge(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ValueError, match="1 to 64 letters"):
        checked_stream_name(name)


def test_a_topic_name_is_what_kafka_takes() -> None:
    assert checked_topic_name("distributed-video1") == "distributed-video1"
    for name in ("", ".", "..", "a/b", "a b", "ä", "a" * 201):
        with pytest.raises(ValueError, match="1 to 200 letters"):
            checked_topic_name(name)
    assert checked_topic_name(dead_letter_topic("distributed-video1")) == "distributed-video1-dead-letters"


def test_run_ids_are_names_and_differ() -> None:
    ids = [new_run_id() for _ in range(8)]  # of 16 million in each second: of many more, two may be equal some day
    assert len(set(ids)) == 8
    assert all(is_name(run) for run in ids)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("videos/sample.mp4", "sample"),
        ("front door (2).mp4", "front-door-2"),
        ("0", "camera-0"),
        ("rtsp://cam-2.lan:554/main", "cam-2.lan"),
        ("http://192.168.1.7/video.mjpg", "192.168.1.7"),
        ("http://[2001:db8::1]:8080/video", "2001-db8-1"),
        ("玄関.mkv", "玄関"),
        ("...", "video"),
        ("file:///videos/x.mp4", "x"),
        ("x" * 200 + ".mp4", "x" * 64),
    ],
)
def test_a_stream_is_named_after_its_source(source: str, name: str) -> None:
    assert stream_name_of(source) == name


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://hidden:secret@cam/1",
        "rtsp://hidden:sec@secret@cam/1",
        "RTSP://HIDDEN:SECRET@cam:554/1",
        "http://secret@cam/",
        "http://cam/video?token=secret",
        "http://cam/video#secret",
        "http://cam/secret/video.mjpg",
        "http://:secret@/video",
        "http://hidden:%73ecret@cam/secret",
    ],
)
def test_the_name_of_a_stream_never_holds_credentials_of_its_address(address: str) -> None:
    name = stream_name_of(address).lower()
    assert is_name(name)
    assert "secret" not in name
    assert "hidden" not in name


@pytest.mark.parametrize("address", ["http://[::1", "http://hidden:se[cret@cam/"])
def test_an_address_that_cannot_be_taken_apart_still_gives_a_name(address: str) -> None:
    assert is_name(stream_name_of(address))


def test_a_path_longer_than_the_system_allows_still_gives_a_name() -> None:
    assert stream_name_of("x" * 300 + ".mp4") == "x" * 64


@pytest.mark.parametrize("module", [names, message], ids=["names", "message"])
def test_the_examples_in_the_docstrings_are_true(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
