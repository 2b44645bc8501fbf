"""Objects of a bucket and of a folder, and the pictures of a bucket as a source; on a real S3 server."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from framewatch.consumer.processing import ConsumedRecord, process
from framewatch.errors import BadRecord, ObjectsUnavailable, SettingError, SourceError
from framewatch.kafka.record import from_record, to_record
from framewatch.model.detection import Detection
from framewatch.model.frame import Frame
from framewatch.model.names import is_file_name, stream_name_of
from framewatch.objects.base import Access, Objects, natural_key, patiently
from framewatch.objects.open import open_objects
from framewatch.producer.sources.base import Picture, Source
from framewatch.producer.sources.open import open_source
from framewatch.vision.classifier import Image
from framewatch.vision.jpeg import encode_jpeg
from s3 import SECRET, Gate, ObjectStore
from test_sources import Waits, plain

NOWHERE = Access("http://127.0.0.1:1", "key", SECRET)


def encoded(level: int, extension: str = ".png") -> bytes:
    """A file of a picture of one grey, by which it is known again."""
    return bytes(cv2.imencode(extension, plain(level))[1].tobytes())


def level(picture: Picture) -> int:
    return round(float(np.mean(picture.image)))


@pytest.fixture(params=["bucket", "folder"])
def objects(request: pytest.FixtureRequest, s3: ObjectStore, tmp_path: Path) -> Objects:
    """A place with nothing in it yet."""
    place = f"s3://{s3.bucket()}/some/where/" if request.param == "bucket" else str(tmp_path / "some" / "where")
    made = open_objects(place, s3.access)
    made.prepare()
    return made


# --- objects


def test_what_is_written_is_read_again_and_listed_in_natural_order(objects: Objects) -> None:
    assert objects.names() == []
    for name in ("10.jpg", "9.jpg", "b/2.jpg", "b/10.jpg", "frame 1.jpg", "größe ?#%20+.json"):
        objects.write(name, name.encode(), "image/jpeg")
    assert objects.names() == ["9.jpg", "10.jpg", "b/2.jpg", "b/10.jpg", "frame 1.jpg", "größe ?#%20+.json"]
    assert [objects.read(name).decode() for name in objects.names()] == objects.names()


def test_writing_again_takes_the_place_of_what_was_there(objects: Objects) -> None:
    objects.write("a.json", b"a long first one")
    objects.write("a.json", b"")
    assert objects.read("a.json") == b""
    assert objects.names() == ["a.json"]


def test_what_is_not_there_is_none_or_named(objects: Objects) -> None:
    assert objects.find("a.json") is None
    with pytest.raises(SourceError, match=r"some/where/a\.json: it is not there"):
        objects.read("a.json")


def test_what_is_too_large_is_not_read(objects: Objects) -> None:
    objects.write("a", b"12345")
    assert objects.read("a", at_most=5) == b"12345"
    with pytest.raises(SourceError, match=r"where/a: .*\b4\b"):
        objects.read("a", at_most=4)


@pytest.mark.parametrize("name", ["../a", "a/../../b", ".", "", "a//b", "/etc/passwd", "a\0b"])
def test_a_name_leads_nowhere_else(objects: Objects, name: str) -> None:
    for use in (objects.find, objects.read, lambda name: objects.write(name, b"")):
        with pytest.raises(SourceError, match="cannot be reached"):
            use(name)


def test_a_message_about_an_object_is_one_line_whatever_its_name(objects: Objects) -> None:
    with pytest.raises(SourceError) as error:
        objects.read("a\nframewatch: all is well")
    assert "\n" not in str(error.value)


def test_objects_have_their_media_type(s3: ObjectStore) -> None:
    bucket = s3.bucket()
    open_objects(f"s3://{bucket}/out", s3.access).write("a.json", b"{}", "application/json")
    assert s3.client.head_object(Bucket=bucket, Key="out/a.json")["ContentType"] == "application/json"


def test_only_what_is_below_the_prefix_is_listed_and_no_folder_markers(s3: ObjectStore) -> None:
    bucket = s3.bucket({"test/": b"", "test/1.jpg": b"1", "test/sub/": b"", "test2/2.jpg": b"2", "test.jpg": b"3"})
    for place in (f"s3://{bucket}/test/", f"s3://{bucket}/test", f"S3://{bucket}//test//"):
        assert open_objects(place, s3.access).names() == ["1.jpg"]
    assert len(open_objects(f"s3://{bucket}", s3.access).names()) == 3


def test_opening_connects_to_nothing() -> None:
    assert open_objects("s3://lake/test", NOWHERE).location == "s3://lake/test/"


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("s3://", "bucket"),
        ("s3:///test/", "bucket"),
        (f"s3://key:{SECRET}@lake/test/", "AWS_ACCESS_KEY_ID"),
        ("s3://lake/../other/", "prefix"),
        ("s3://lake/a\nb/", "prefix"),
        (f"https://user:{SECRET}@host/lake", "s3://bucket/prefix/"),
        ("", "folder"),
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_secrets(place: str, named: str) -> None:
    with pytest.raises(SettingError, match=named) as error:
        open_objects(place, NOWHERE)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("access", "named"),
    [
        (Access(key_id="key"), "AWS_SECRET_ACCESS_KEY"),
        (Access(secret=SECRET), "AWS_ACCESS_KEY_ID"),
        (Access(f"http://user:{SECRET}@host:9000"), "AWS_ENDPOINT_URL"),
        (Access("127.0.0.1:9000"), "AWS_ENDPOINT_URL"),
        (Access("http://host:99999"), "AWS_ENDPOINT_URL"),
        (Access(f"http://host/?{SECRET}"), "AWS_ENDPOINT_URL"),
    ],
)
def test_an_access_that_is_none_is_refused_without_showing_secrets(access: Access, named: str) -> None:
    with pytest.raises(SettingError, match=named) as error:
        open_objects("s3://lake/test", access)
    assert SECRET not in str(error.value)


def test_an_access_does_not_show_its_keys() -> None:
    assert repr(Access("http://h:1", "the-key", SECRET, "the-token")) == "Access(endpoint='http://h:1', region=None)"


def test_a_bucket_that_is_not_there_is_named(s3: ObjectStore) -> None:
    missing = open_objects("s3://no-such-lake/output/", s3.access)
    for use in (missing.prepare, missing.names, lambda: missing.write("a", b"")):
        with pytest.raises(SettingError, match="no bucket 'no-such-lake'"):
            use()


def test_wrong_keys_are_refused_by_name_and_not_shown(s3: ObjectStore) -> None:
    objects = open_objects(f"s3://{s3.bucket()}/output/", s3.access)
    with s3.checking_keys():
        for use in (objects.prepare, objects.names, lambda: objects.find("a"), lambda: objects.write("a", b"")):
            with pytest.raises(SettingError, match="AWS_SECRET_ACCESS_KEY right") as error:
                use()
            assert SECRET not in str(error.value)


@pytest.mark.parametrize("folder", ["/dev/null", "/proc/no/folder"])
def test_a_folder_that_cannot_be_made_is_named(folder: str) -> None:
    with pytest.raises(SettingError, match=folder):
        open_objects(folder, NOWHERE).prepare()


def folder_of(folder: Path, *names: str) -> Objects:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"1")
    return open_objects(str(folder), NOWHERE)


def test_links_in_a_folder_are_followed_but_not_round_in_circles(tmp_path: Path) -> None:
    folder_of(tmp_path / "real", "1.jpg", "deep/2.jpg")
    objects = folder_of(tmp_path / "set", "a/1.jpg", ".hidden/1.jpg")
    (tmp_path / "set" / "b").symlink_to("../real")
    (tmp_path / "set" / "a" / "up").symlink_to("..")
    (tmp_path / "real" / "deep" / "around").symlink_to("..")
    (tmp_path / "set" / "nowhere").symlink_to("gone")
    (tmp_path / "set" / "itself.jpg").symlink_to("itself.jpg")
    assert objects.names() == ["a/1.jpg", "b/1.jpg", "b/deep/2.jpg"]


def test_a_folder_that_is_there_twice_by_a_link_is_named(tmp_path: Path) -> None:
    objects = folder_of(tmp_path / "set", "a/1.jpg")
    (tmp_path / "set" / "b").symlink_to("a")
    with pytest.raises(SettingError, match=r"/set/a/ and .*/set/b/ are the same folder, by a link"):
        objects.names()
    assert list(objects.reachable()) == ["a/1.jpg"]
    with pytest.raises(SettingError, match="no such folder"):
        open_objects(str(tmp_path / "nowhere"), NOWHERE).reachable()


@pytest.mark.parametrize("call", ["scandir", "stat"])
@pytest.mark.parametrize(
    ("error", "names"),
    [(PermissionError(errno.EACCES, "Permission denied"), None), (OSError(errno.ENOENT, "gone"), 1)],
)
def test_what_may_not_be_read_is_named_and_what_went_away_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: OSError, names: int | None
) -> None:
    """As of a folder of mode 000, or 644, and of files that somebody deletes meanwhile."""
    objects = folder_of(tmp_path / "set", "a/1.jpg", "b/1.jpg", "lost+found/1.jpg")
    real, kept = getattr(os, call), tmp_path / "set" / "b"

    def refused(path: str | Path, *args: Any, **more: Any) -> Any:
        if kept == Path(path) if call == "scandir" else kept in Path(path).parents:
            raise OSError(error.errno, error.strerror, str(path))
        return real(path, *args, **more)

    monkeypatch.setattr(os, call, refused)
    if names is not None:
        assert len(objects.names()) == names
        return
    with pytest.raises(SettingError, match=r"/set/b.*: cannot be read: Permission denied"):
        objects.names()
    assert list(objects.reachable()) == ["a/1.jpg"]


def test_numbers_are_in_order_however_long_and_equal_ones_keep_theirs() -> None:
    long = "9" * 5000
    names = ["a10", f"a1{long}", "a1", "a٣", "ab", f"a{long}", "a2", "a01", "a"]
    assert sorted(names, key=natural_key) == [
        "a", "a01", "a1", "a2", "a٣", "a10", f"a{long}", f"a1{long}", "ab",
    ]  # fmt: skip


def test_a_store_that_is_away_is_worth_trying_again(gate: Gate) -> None:
    bucket = gate.store.bucket({"out/a": b"1"})
    objects = open_objects(f"s3://{bucket}/out", gate.store.access)
    assert objects.read("a") == b"1"
    gate.shut()
    for use in (objects.prepare, objects.names, lambda: objects.find("a"), lambda: objects.write("b", b"")):
        with pytest.raises(ObjectsUnavailable, match=f"s3://{bucket}/out"):
            use()
    gate.open()
    assert objects.names() == ["a"]


@contextmanager
def answering(code: int, body: bytes = b"") -> Iterator[Access]:
    """A server that answers everything so."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        try:
            yield Access(f"http://127.0.0.1:{server.server_port}", "key", SECRET)
        finally:
            server.shutdown()


SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>slower, please</Message></Error>"


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (503, SLOW_DOWN, ObjectsUnavailable),
        (500, b"<Error><Code>InternalError</Code><Message>we</Message></Error>", ObjectsUnavailable),
        (502, b"<html>bad gateway</html>", ObjectsUnavailable),
        (429, b"", ObjectsUnavailable),
        (403, b"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>", SettingError),
        (301, b"<Error><Code>PermanentRedirect</Code><Message>no</Message></Error>", SettingError),
        (400, b"<html>this is no object store</html>", SettingError),
    ],
)
def test_what_may_pass_is_told_from_what_will_not(code: int, body: bytes, expected: type[Exception]) -> None:
    with answering(code, body) as access:
        objects = open_objects("s3://lake/out", access)
        for use in (objects.prepare, objects.names, lambda: objects.find("a")):
            with pytest.raises(expected) as error:
                use()
            assert SECRET not in str(error.value)


@contextmanager
def silent() -> Iterator[Access]:
    """A server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Access(f"http://127.0.0.1:{server.getsockname()[1]}", "key", SECRET)


def test_a_server_that_says_nothing_is_given_up_within_seconds() -> None:
    with silent() as access:
        started = time.monotonic()
        with pytest.raises(ObjectsUnavailable):
            open_objects("s3://lake/out", access).find("a")
        assert time.monotonic() - started < 20


def test_trying_again_takes_longer_each_time_and_ends_when_it_is_told() -> None:
    def away() -> None:
        raise ObjectsUnavailable("away")

    waits = Waits(7)
    with pytest.raises(SourceError, match="stopped"):
        patiently(away, waits)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    with pytest.raises(ObjectsUnavailable):
        patiently(away, waits := Waits(), wait_s=3)
    assert waits == [0.5, 1.0, 2.0]
    answers = itertools.chain([ObjectsUnavailable("away")], itertools.repeat(None))

    def back() -> str:
        if (error := next(answers)) is not None:
            raise error
        return "here"

    assert patiently(back, Waits()) == "here"


def test_a_program_that_used_a_bucket_ends_without_a_word(s3: ObjectStore) -> None:
    bucket = s3.bucket({"a": b"1"})
    program = (
        "import threading\n"
        "from framewatch.objects.base import Access, ObjectsUnavailable\n"
        "from framewatch.objects.open import open_objects\n"
        f"objects = open_objects('s3://{bucket}', Access({s3.endpoint!r}, 'k', 's'))\n"
        "assert objects.names() == ['a']\n"
        "def read():\n"
        "    try:\n"
        "        while True: objects.read('a')\n"
        "    except ObjectsUnavailable: pass\n"
        "for _ in range(4): threading.Thread(target=read, daemon=True).start()\n"
        "objects.write('b', b'2')\n"
    )
    argv = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_who_uses_no_bucket_does_not_load_its_client() -> None:
    program = (
        "import sys; from framewatch import cli; from framewatch.objects.base import Access; "
        "from framewatch.objects.open import open_objects; open_objects('/tmp', Access()); "
        "print('pyarrow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout == "False\n", done.stderr


# --- names that go with pictures

FRAME = Frame("s", "r", 0, 1, 1, 1, b"jpeg")


@pytest.mark.parametrize("name", ["1.jpg", "a b (2).PNG", "größe.webp", "日本.jpg", "x" * 240, "..jpg", "-rf"])
def test_a_pictures_name_travels(name: str) -> None:
    named = Frame("s", "r", 0, 1, 1, 1, b"jpeg", name)
    assert is_file_name(name)
    assert from_record(to_record(named)) == named
    assert from_record(to_record(FRAME)).name is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        " ",
        "a/b",
        "a\\b",
        "../a",
        "a\nb",
        "a\0b",
        "a\x1b[31mb",
        "x" * 241,
        "ü" * 121,
        "a\u202eb",
        "a\u2028b",
    ],
)
def test_what_is_no_file_name_is_refused(name: str) -> None:
    assert not is_file_name(name)
    with pytest.raises(BadRecord) as error:
        from_record(to_record(Frame("s", "r", 0, 1, 1, 1, b"jpeg", name)))
    assert error.value.reason == "header"
    assert len(str(error.value)) < 500


def test_half_a_character_is_no_name() -> None:
    assert not is_file_name("a\udcff.jpg")


def test_pictures_of_a_folder_and_single_ones_carry_their_names(tmp_path: Path) -> None:
    for name in ("10.png", "9.jpg"):
        (tmp_path / name).write_bytes(encoded(50, Path(name).suffix))
    assert [picture.name for picture in open_source(str(tmp_path), Waits()).read()] == ["9.jpg", "10.png"]
    assert [picture.name for picture in open_source(str(tmp_path / "9.jpg"), Waits()).read()] == ["9.jpg"]


def test_a_picture_whose_name_cannot_go_with_it_goes_under_another_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ends = (b"a\nb.png", b"a\tb.png", b"a\\b.PNG", b"\xff.png", "ü".encode() * 123 + b".jpeg")
    for name in ends:
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(encoded(50))
    first, again = ([picture.name or "" for picture in open_source(str(tmp_path), Waits()).read()] for _ in "12")
    assert first == again, "or a result would come under two names"
    assert len(set(first)) == len(ends)
    assert all(map(is_file_name, first)), first
    assert sorted(name.rpartition("-")[0][:3] for name in first) == ["_", "a_b", "a_b", "a_b", "ü" * 3]
    assert sorted(name.rpartition(".")[2] for name in first) == ["PNG", "jpeg", "png", "png", "png"]
    assert "a\\nb.png': a name that cannot go with the picture: it goes as a_b-" in caplog.text
    assert all(name in caplog.text for name in first)


def test_a_picture_is_a_part_of_no_video_whatever_its_name(tmp_path: Path) -> None:
    class Alone:
        model, labels, batch_size, stateful = "alone@1", ("x",), 8, True

        def classify(self, images: Sequence[Image], streams: Sequence[str | None] = ()) -> list[list[Detection]]:
            seen.extend(streams)
            return [[] for _ in images]

    seen: list[str | None] = []
    for name in ("a\nb.png", "c.png"):
        (tmp_path / name).write_bytes(encoded(50))
    pictures = [*open_source(str(tmp_path), Waits()).read(), Picture(plain(50))]
    frames = [Frame("s", "r", i, 1, 60, 40, encode_jpeg(each.image), each.name) for i, each in enumerate(pictures)]
    process([ConsumedRecord("t", 0, frame.number, to_record(frame)) for frame in frames], Alone())
    assert seen == [None, None, "s/r"]


@pytest.mark.parametrize(
    ("source", "stream"),
    [
        ("s3://lake/test/", "lake-test"),
        ("s3://lake", "lake"),
        ("s3://lake/a/b.jpg", "lake-a-b.jpg"),
        (f"s3://k:{SECRET}@lake/x", "lake-x"),
    ],
)
def test_a_bucket_names_its_stream(source: str, stream: str) -> None:
    assert stream_name_of(source) == stream


# --- a bucket as a source


def opened(store: ObjectStore, bucket: str, waits: Waits | None = None) -> Source:
    return open_source(f"s3://{bucket}/test/", waits or Waits(), store.access)


def test_the_pictures_of_a_bucket_come_in_natural_order_by_their_names(
    s3: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    bucket = s3.bucket(
        {
            "test/10.jpg": encoded(200, ".jpg"),
            "test/9.PNG": encoded(90),
            "test/a b.webp": encoded(40, ".webp"),
            "test/notes.txt": b"-",
            "test/clip.mp4": b"-",
            "test/deeper/1.jpg": encoded(1),
            "training/1.jpg": encoded(2),
        }
    )
    source = opened(s3, bucket)
    assert (source.name, source.live, source.fps, source.count) == (f"s3://{bucket}/test/", False, None, 3)
    pictures = list(source.read())
    assert [picture.name for picture in pictures] == ["9.PNG", "10.jpg", "a b.webp"]
    assert [level(picture) for picture in pictures] == [90, 200, 40]
    assert len([line for line in caplog.messages if "3 others" in line]) == 1


def test_one_picture_of_a_bucket_can_be_named(s3: ObjectStore) -> None:
    bucket = s3.bucket({"test/1.jpg": encoded(100), "test/2.jpg": encoded(1)})
    source = open_source(f"s3://{bucket}/test/1.jpg", Waits(), s3.access)
    assert [(picture.name, level(picture)) for picture in source.read()] == [("1.jpg", 100)]


def test_broken_pictures_are_named_and_passed_over_and_the_end_says_how_many(
    s3: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = {f"test/{number}.png": encoded(number) for number in range(1, 9)}
    bucket = s3.bucket(pictures | {"test/3.png": b"", "test/5.png": encoded(5)[:30]})
    source = opened(s3, bucket)
    s3.client.delete_object(Bucket=bucket, Key="test/8.png")
    got: list[Picture] = []
    with pytest.raises(SourceError, match="3 of 8 pictures could not be read"):
        note(got, source.read())
    assert [picture.name for picture in got] == [f"{number}.png" for number in (1, 2, 4, 6, 7)]
    for number in (3, 5, 8):
        assert f"s3://{bucket}/test/{number}.png" in caplog.text


def note(got: list[Picture], pictures: Iterator[Picture]) -> None:
    """Each picture as it comes; an error takes none of them away."""
    for picture in pictures:
        got.append(picture)


def test_nothing_there_and_nothing_to_reach_is_one_line(s3: ObjectStore) -> None:
    bucket = s3.bucket({"test/notes.txt": b"-"})
    for source, reason in (
        (f"s3://{bucket}/test/", "no pictures there"),
        (f"s3://{bucket}/tset/", "no pictures there"),
        ("s3://no-such-lake/test/", "no bucket"),
        ("s3://", "s3://bucket/prefix/"),
    ):
        with pytest.raises(SourceError, match=reason):
            open_source(source, Waits(), s3.access)


def test_a_store_that_is_not_there_yet_is_waited_for_a_while() -> None:
    with pytest.raises(ObjectsUnavailable, match="s3://lake/test/"):
        open_source("s3://lake/test/", waits := Waits(), NOWHERE, wait_s=3)
    assert waits == [0.5, 1.0, 2.0]


def test_a_store_that_goes_away_in_the_middle_costs_no_picture(gate: Gate) -> None:
    numbers = range(1, 31)
    bucket = gate.store.bucket({f"test/{number}.png": encoded(number) for number in numbers})
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        if seconds:  # none while an answer is on its way
            waits.append(seconds)
            if len(waits) == 3:
                gate.open()

    got: list[Picture] = []
    for picture in open_source(f"s3://{bucket}/test/", sleep, gate.store.access).read():
        got.append(picture)
        if len(got) == 7:
            gate.shut()
    assert [level(picture) for picture in got] == list(numbers)
    assert waits[:3] == [0.5, 1.0, 2.0]


def test_it_is_stopped_at_once_whatever_the_store_does(s3: ObjectStore) -> None:
    bucket = s3.bucket({f"test/{number}.png": encoded(number) for number in range(20)})
    stopped = threading.Event()

    def sleep(_: float) -> None:
        if stopped.is_set():
            raise SourceError("stopped")

    pictures = open_source(f"s3://{bucket}/test/", sleep, s3.access).read()
    next(pictures)
    with s3.frozen():
        stopped.set()
        started = time.monotonic()
        with pytest.raises(SourceError, match="stopped"):
            list(pictures)
        assert time.monotonic() - started < 4, "it waited for the store, which is given up after five seconds"


def test_each_time_round_the_bucket_is_listed_anew(s3: ObjectStore) -> None:
    bucket = s3.bucket({"test/1.png": encoded(1)})
    source = opened(s3, bucket)
    assert [picture.name for picture in source.read()] == ["1.png"]
    s3.put(bucket, {"test/2.png": encoded(2)})
    assert [picture.name for picture in source.read()] == ["1.png", "2.png"]
