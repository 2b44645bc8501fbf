"""Uploads: what is taken and what is not, and each a stream of its own through a real broker, worker and store."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
import requests
from confluent_kafka import TopicPartition
from flask_openapi3.openapi import OpenAPI
from pymongo.database import Database

from conftest import REPOSITORY, Command, Services, wait_for
from framewatch.kafka.admin import ResilientAdmin
from framewatch.kafka.clients import make_admin, make_frame_reader
from framewatch.kafka.group_offsets import committed_offsets
from framewatch.kafka.topics import ensure_topic
from framewatch.model.upload import Upload
from framewatch.settings import load_settings
from framewatch.storage.mongo.client import connect
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.store import MongoStore
from framewatch.storage.mongo.uploads import UploadStore
from framewatch.uploads.folder import UploadFolder, detect_type
from framewatch.uploads.jobs import Send, Sent, UploadLimits, clean_title
from framewatch.uploads.process import Bounds, producer_process
from framewatch.uploads.service import Uploads
from framewatch.vision.jpeg import encode_jpeg
from framewatch.web.api import problems
from framewatch.web.api import uploads as room
from framewatch.web.http import body_reader as incoming
from framewatch.web.server import WebServer
from shared import free_port
from test_browser import sample_frames
from test_predict import FILE, form, png
from test_sources import write_picture, write_video

Reply = tuple[int, dict[str, str], Any]
MP4_HEAD = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
SMALL = encode_jpeg(np.full((60, 80, 3), 128, np.uint8))
LONG_S = 120  # for processes that start and classify on a busy machine
AHEAD = Bounds().max_lag


class Sender:
    """Says of each file that it was sent, once it is let; of some kinds at once."""

    def __init__(self, free: bool = True, kinds: tuple[str, ...] = ()) -> None:
        self.kinds = kinds
        self.free = threading.Event()
        if free:
            self.free.set()
        self.files: list[tuple[Path, bytes]] = []
        self.stopped = 0

    def __call__(
        self, file: Path, upload: Upload, _run: str, on_progress: Callable[[Sent], None], stopped: Callable[[], bool]
    ) -> Sent:
        self.files.append((file, file.read_bytes()))
        on_progress(Sent(4, 2, 0, 100, 103))
        while not (upload.kind in self.kinds or self.free.wait(0.02)):
            if stopped():
                self.stopped += 1
                return Sent(4, 2, 0, 100, 103)
        return Sent(4, 4, 0, 100, 107)


class Desk:
    """A web server that takes uploads."""

    def __init__(self, root: Path, database: Database[Document], send: Send, **options: Any) -> None:
        self.root = root
        self.database = database
        self.offset: int | None = None
        committed = options.pop("committed", lambda partition: self.offset)
        limits = options.pop("limits", UploadLimits(per_minute=60_000))
        on_end = options.pop("on_end", lambda stream: None)
        self.store = UploadStore(database)
        self.uploads = Uploads(
            UploadFolder(root, **options), self.store, send, committed, MongoStore(database).erase, limits, on_end
        ).start()
        app = OpenAPI(__name__, doc_ui=False)
        problems.answer_with_problems(app)
        app.register_api(room.blueprint(self.uploads))
        self.port = free_port()
        self.server = WebServer(app, "127.0.0.1", self.port, 8)

    def ask(self, method: str, target: str, body: Any = None, kind: str | None = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if kind is not None:
            named["Content-Type"] = kind
        try:
            connection.request(method, target, body, named)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), json.loads(answer.read())
        finally:
            connection.close()

    def post(self, body: bytes, kind: str | None = "video/mp4", **headers: str) -> Reply:
        return self.ask("POST", "/uploads", body, kind, **headers)

    def take(self, body: bytes, kind: str = "application/octet-stream") -> str:
        """The id of an upload that is taken."""
        status, headers, upload = self.post(body, kind)
        assert status == 202, upload
        assert headers["Location"] == upload["url"] == f"/uploads/{upload['id']}"
        return str(upload["id"])

    def get(self, upload_id: str) -> dict[str, Any]:
        status, _, upload = self.ask("GET", f"/uploads/{upload_id}")
        assert status == 200, upload
        return dict(upload)

    def wait(self, upload_id: str, *states: str) -> dict[str, Any]:
        """The upload as it is when it is first seen in one of the states."""
        found: dict[str, Any] = {}

        def is_there() -> bool:
            found.update(self.get(upload_id))
            return found["state"] in states

        wait_for(is_there, f"{states}", LONG_S)
        return found

    def wait_forgotten(self) -> None:
        """Until the folder is empty: what is over is told before its files are deleted."""
        wait_for(lambda: self.files() == set(), "all files deleted")

    def files(self) -> set[str]:
        """All there is in the folder besides locks."""
        return {path.name for path in self.root.rglob("*") if path.is_file() and path.suffix != ".lock"}

    def raw(self, head: list[str], body: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), 20)
        lines = ["POST /uploads HTTP/1.1", "Host: localhost", *head, "", ""]
        connection.sendall("\r\n".join(lines).encode() + body)
        return connection


@contextmanager
def serve(root: Path, database: Database[Document], send: Send | None = None, **options: Any) -> Iterator[Desk]:
    desk = Desk(root, database, send or Sender(), **options)
    try:
        with desk.server:
            yield desk
    finally:
        desk.uploads.close()


@pytest.fixture
def desk(tmp_path: Path, database: Database[Document]) -> Iterator[Desk]:
    with serve(tmp_path / "uploads", database) as desk:
        yield desk


def reply(connection: socket.socket) -> tuple[int, Any]:
    with connection:
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, json.loads(answer.read())


# What is taken


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    written = {
        "video": [
            write_video(tmp_path / "a.mp4", "mp4v", 3, 10),
            write_video(tmp_path / "a.mov", "mp4v", 3, 10),
            write_video(tmp_path / "a.mkv", "mp4v", 3, 10),
            write_video(tmp_path / "a.avi", "MJPG", 3, 10),
            write_video(tmp_path / "a.webm", "VP80", 3, 10),
            write_video(tmp_path / "a.ts", "MPEG", 3, 25),
            write_video(tmp_path / "a.mpg", "MPEG", 3, 25),
        ],
        "image": [write_picture(tmp_path / f"a{suffix}", SMALL_IMAGE) for suffix in (".jpg", ".png", ".webp")],
    }
    for kind, paths in written.items():
        for path in paths:
            found = detect_type(path.read_bytes()[:512])
            assert found is not None, path
            assert found.kind == kind, path


SMALL_IMAGE = np.full((60, 80, 3), 128, np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:1/secret\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"%PDF-1.7" + MP4_HEAD,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a" + bytes(600),
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1",
        b"\x00",
        b"hello" * 1000,
    ],
)
def test_what_is_no_picture_or_video_by_content_is_a_415_and_leaves_nothing(desk: Desk, content: bytes) -> None:
    for body, kind in ((content, "video/mp4"), form((FILE, content))):
        status, _, problem = desk.post(body, kind)
        assert (status, problem["title"]) == (415, "Unsupported Media Type")
        assert "neither a picture" in problem["detail"] and "b'" not in problem["detail"]
    assert desk.files() == set()
    assert desk.ask("GET", "/uploads")[2] == {"uploads": []}


def test_a_form_and_a_bare_body_give_the_same_file_to_the_sender_under_a_name_of_the_server(
    tmp_path: Path, database: Database[Document]
) -> None:
    sender = Sender()
    body, kind = form((FILE, SMALL))
    with serve(tmp_path / "uploads", database, sender) as desk:
        desk.offset = 108
        for content, content_type in ((body, kind), (SMALL, "image/png"), (SMALL, "application/octet-stream")):
            status, _, upload = desk.post(content, content_type)
            assert (status, upload["kind"], upload["bytes"]) == (202, "image", len(SMALL))
            assert upload["title"] == ("../../etc/x.exe" if content_type == kind else "image")
            assert upload["stream"] == upload["id"]
            done = desk.wait(upload["id"], "done")
            assert (done["total"], done["sent"], done["classified"], done["error"]) == (4, 4, 4, "")
        desk.wait_forgotten()
    assert [content for _, content in sender.files] == [SMALL] * 3
    assert all(file.suffix == ".jpg" and file.parent.parent == tmp_path / "uploads" for file, _ in sender.files)
    assert (tmp_path / "uploads").stat().st_mode & 0o777 == 0o700


def test_a_title_is_text_for_a_line() -> None:
    assert clean_title("a\x00b\r\n\x1b[31m c\u202e.mp4 ") == "a b [31m c .mp4"
    assert clean_title("x" * 1000) == "x" * 100
    assert clean_title("Küche 猫.mp4") == "Küche 猫.mp4"


# What is refused


def test_too_much_is_a_413_by_kind_whatever_was_said_of_it(tmp_path: Path, database: Database[Document]) -> None:
    limits = UploadLimits(image_bytes=1000, video_bytes=300_000, per_minute=1000)
    with serve(tmp_path / "uploads", database, limits=limits) as desk:
        for content, kind, words in (
            (SMALL + bytes(2000), "image/jpeg", "image: at most 0.001 MB"),
            (MP4_HEAD + bytes(301_000), "video/mp4", "at most 0.3 MB"),
            (MP4_HEAD + bytes(500_000), "video/mp4", "at most 0.3 MB"),
        ):
            status, _, problem = desk.post(content, kind)
            assert (status, words in problem["detail"]) == (413, True), problem
            status, _, problem = desk.post(*form((FILE, content)))
            assert status == 413
        desk.take(MP4_HEAD + bytes(299_000))
        assert reply(desk.raw(["Content-Type: video/mp4", "Content-Length: 9999999999"], b""))[0] == 413
        wait_for(lambda: {Path(name).suffix for name in desk.files()} == {".json"}, "the file sent")


def test_a_body_that_cannot_be_read_says_why(desk: Desk) -> None:
    text = '; name="file"'
    for body, kind, status, words in (
        (b"", "video/mp4", 400, "has no body"),
        (SMALL, "text/html", 415, "got Content-Type 'text/html'"),
        (SMALL, None, 415, "got Content-Type ''"),
        (SMALL, "multipart/form-data", 400, "no boundary"),
        (*form(('; name="video"; filename="a.mp4"', SMALL)), 400, "no file in a field 'file'; fields: 'video'"),
        (*form((text, SMALL)), 400, "holds text"),
        (*form((FILE, SMALL), (FILE, SMALL)), 400, "send one at a time"),
        (*form((FILE, b"")), 400, "the file is empty"),
        (form((FILE, SMALL))[0][:-30], form()[1], 400, ""),
    ):
        got, _, problem = desk.post(body, kind)
        assert (got, words in problem["detail"]) == (status, True), problem
    for more in ([], ["Content-Length: 15"]):
        for coding in ("chunked", "Chunked", "gzip, chunked"):
            chunked = ["Content-Type: video/mp4", f"Transfer-Encoding: {coding}", *more]
            status, problem = reply(desk.raw(chunked, b"5\r\nabcde\r\n0\r\n\r\n"))
            assert status in {400, 411}, (chunked, problem)
    cut = desk.raw(["Content-Type: video/mp4", "Content-Length: 1000"], MP4_HEAD)
    cut.shutdown(socket.SHUT_WR)
    assert reply(cut)[0] == 400
    assert desk.files() == set()


def test_a_body_that_dribbles_is_given_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "_BODY_S", 2.0)  # of eight, for which nothing more would be seen
    began = time.monotonic()
    with desk.raw(["Content-Type: video/mp4", "Content-Length: 100000"], MP4_HEAD) as connection:
        connection.settimeout(0.2)
        while True:
            assert time.monotonic() - began < 30, "no answer, although all of it can never come"
            with suppress(TimeoutError):
                answer = connection.recv(100)
                break
            connection.sendall(b"x")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began >= 2
    desk.wait_forgotten()


def test_other_routes_keep_their_small_limit(desk: Desk) -> None:
    with desk.raw([], b"") as connection:
        assert connection.recv(1000)
    with socket.create_connection(("127.0.0.1", desk.port), 10) as connection:
        head = (
            "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Type: video/mp4\r\nContent-Length: 5000000\r\n\r\n"
        )
        connection.sendall(head.encode() + bytes(100))
        assert connection.recv(1000).startswith(b"HTTP/1.1 404 ")


def test_a_disk_that_would_be_full_is_a_507(tmp_path: Path, database: Database[Document]) -> None:
    for total, free, size, status in (
        (100_000_000_000, 10_100_000_000, 1000, 202),
        (100_000_000_000, 9_900_000_000, 1000, 507),
        (100_000_000_000, 10_000_100_000, 200_000, 507),
        (5_000_000_000, 1_000_000_000, 1000, 507),
        (5_000_000_000, 1_200_000_000, 1000, 202),
    ):
        look = lambda path, t=total, f=free: (t, t - f, f)  # noqa: E731
        with serve(tmp_path / secrets.token_hex(4), database, usage=look) as desk:
            got, _, problem = desk.post(MP4_HEAD + bytes(size))
            assert got == status, problem
            assert status == 202 or (problem["title"], desk.files()) == ("Insufficient Storage", set())


def test_no_more_are_received_at_a_time_than_allowed(tmp_path: Path, database: Database[Document]) -> None:
    limits = UploadLimits(receiving=2, per_minute=1000)
    with serve(tmp_path / "uploads", database, limits=limits) as desk:
        head = ["Content-Type: video/mp4", "Content-Length: 100000"]
        held = [desk.raw(head, MP4_HEAD + bytes(1000)) for _ in range(2)]
        wait_for(lambda: len(desk.files()) == 2, "both received")
        status, headers, problem = desk.post(MP4_HEAD)
        assert (status, headers["Retry-After"]) == (503, "10")
        assert "2 files are being received" in problem["detail"]
        for connection in held:
            connection.close()
        desk.wait_forgotten()
        # Just after the file its place is free as well.
        wait_for(lambda: desk.post(MP4_HEAD)[0] == 202, "their places")


def test_no_more_wait_than_allowed_and_each_client_has_its_rate(tmp_path: Path, database: Database[Document]) -> None:
    limits = UploadLimits(waiting=2, per_minute=4)
    with serve(tmp_path / "uploads", database, Sender(free=False), limits=limits) as desk:
        first = desk.take(MP4_HEAD)
        desk.wait(first, "sending")
        desk.take(MP4_HEAD)
        desk.take(MP4_HEAD)
        status, headers, _ = desk.post(MP4_HEAD)
        assert (status, "Retry-After" in headers) == (503, True)
        status, headers, problem = desk.post(MP4_HEAD)
        assert (status, int(headers["Retry-After"]) > 1) == (429, True)
        assert "more than 4 files a minute" in problem["detail"]


def test_a_picture_and_a_clip_do_not_wait_for_a_long_video(tmp_path: Path, database: Database[Document]) -> None:
    sender = Sender(free=False, kinds=("image",))
    limits = UploadLimits(short_video_bytes=1000, per_minute=1000)
    with serve(tmp_path / "uploads", database, sender, limits=limits) as desk:
        desk.offset = 108
        film, next_film = desk.take(MP4_HEAD + bytes(5000)), desk.take(MP4_HEAD + bytes(5000))
        desk.wait(film, "sending")
        clip = desk.take(MP4_HEAD)
        desk.wait(clip, "sending")
        for _ in range(3):
            assert desk.wait(desk.take(SMALL), "done", "failed")["state"] == "done"
        assert [desk.get(one)["state"] for one in (film, clip, next_film)] == ["sending", "sending", "waiting"]
        sender.free.set()
        assert {desk.wait(one, "done", "failed")["state"] for one in (film, clip, next_film)} == {"done"}


def test_one_full_queue_shuts_out_its_own_kind_only(tmp_path: Path, database: Database[Document]) -> None:
    for full, other in ((SMALL, MP4_HEAD), (MP4_HEAD, SMALL)):
        root = tmp_path / secrets.token_hex(4)
        with serve(root, database, Sender(free=False), limits=UploadLimits(waiting=2, per_minute=1000)) as desk:
            desk.wait(desk.take(full), "sending")
            for _ in range(2):
                desk.take(full)
            for body, kind in ((full, "application/octet-stream"), form((FILE, full))):
                status, headers, problem = desk.post(body, kind)
                assert (status, headers["Retry-After"]) == (503, "10")
                assert problem["detail"].startswith("too many ")
            assert len([name for name in desk.files() if not name.endswith(".json")]) == 3
            desk.wait(desk.take(other), "sending")


def test_pictures_that_no_worker_classifies_do_not_shut_out_videos(
    tmp_path: Path, database: Database[Document]
) -> None:
    limits = UploadLimits(unfinished=3, per_minute=1000)
    with serve(tmp_path / "uploads", database, limits=limits) as desk:
        for upload_id in [desk.take(SMALL) for _ in range(3)]:
            desk.wait(upload_id, "classifying")
        assert desk.post(SMALL, "image/jpeg")[0] == 503
        desk.wait(desk.take(MP4_HEAD), "classifying")


def test_slow_uploads_of_large_videos_leave_a_slot_to_pictures(tmp_path: Path, database: Database[Document]) -> None:
    limits = UploadLimits(receiving=2, per_minute=1000)
    with serve(tmp_path / "uploads", database, limits=limits) as desk:
        large = ["Content-Type: video/mp4", "Content-Length: 100000000"]
        with desk.raw(large, MP4_HEAD + bytes(1000)):
            wait_for(lambda: len(desk.files()) == 1, "a large video being received")
            with desk.raw(large, MP4_HEAD + bytes(1000)) as refused:
                assert refused.recv(100).startswith(b"HTTP/1.1 503 ")
            desk.take(SMALL)


def test_an_upload_that_is_not_there_is_a_404(desk: Desk) -> None:
    for method in ("GET", "DELETE"):
        for name in ("upload-1", "..%2f..%2fetc", "%00"):
            status, _, problem = desk.ask(method, f"/uploads/{name}")
            assert (status, problem["title"]) == (404, "Not Found")


# Through a real broker, worker and store


class World(Desk):
    """Uploads with real producers, and workers on their topic."""

    def __init__(self, root: Path, database: Database[Document], services: Services, topic: str) -> None:
        settings = load_settings(home=services.home.folder, topic=topic, group=topic, partitions=2)
        self.kafka, self.topic = services.endpoints.kafka, topic
        self.bounds = Bounds()
        self.offsets = committed_offsets(
            ResilientAdmin(partial(make_admin, services.endpoints.kafka, {})), topic, topic
        )

        def send(*args: Any) -> Sent:
            return producer_process(settings, self.bounds)(*args)

        super().__init__(root, database, send, committed=self.offsets)

    def frames(self, stream: str) -> dict[int, int]:
        """Capture times of the frames of which there are events, by their numbers."""
        return {event["frame"]: event["time_us"] for event in self.database.events.find({"stream": stream})}

    def unclassified(self) -> int:
        """Frames on the topic that wait for the workers, or fewer: some may be classified meanwhile."""
        with closing(make_frame_reader(self.kafka, {})) as reader:
            ends = [reader.get_watermark_offsets(TopicPartition(self.topic, k), 20, cached=False)[1] for k in (0, 1)]
        # Only now: what is sent meanwhile does not make it more.
        return sum(end - (self.offsets(k) or 0) for k, end in enumerate(ends))


Make = Callable[[], World]


@contextmanager
def made(root: Path, database: Database[Document], services: Services, topic: str) -> Iterator[Make]:
    """Starts servers that take uploads over the same folder; all are ended."""
    with ExitStack() as ending:

        def start() -> World:
            world = World(root, database, services, topic)
            ending.callback(world.uploads.close)
            ending.enter_context(world.server)
            return world

        yield start


@dataclass
class Shared:
    """A topic and a database with a worker, which classifies unless a test holds it."""

    topic: str
    database: Database[Document]
    results: Path
    port: int
    worker: psutil.Process


@pytest.fixture(scope="module")
def shared(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder, name = tmp_path_factory.mktemp("shared"), f"uploads-{secrets.token_hex(4)}"
    ensure_topic(services.endpoints.kafka, name, 2, 1, {})
    with connect(services.endpoints.mongodb) as client, (folder / "log").open("wb") as log:
        database = client[name.replace("-", "_")]
        port = free_port()
        names = ("--topic", name, "--group", name, "--database", database.name, "--port", str(port))
        process = subprocess.Popen(
            [sys.executable, "-c", "from framewatch.cli import main; main()", "consume", "--quiet", *names,
             "--output", str(folder / "results")],
            env=services.environment(), cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            yield Shared(name, database, folder / "results", port, psutil.Process(process.pid))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            client.drop_database(database.name)


@pytest.fixture
def started(shared: Shared, services: Services, tmp_path: Path) -> Iterator[Make]:
    """Servers over a folder of the test's own, side by side or one after another; those before are ended by hand."""
    with made(tmp_path / "uploads", shared.database, services, shared.topic) as start:
        yield start


@pytest.fixture
def world(started: Make) -> World:
    return started()


@pytest.fixture
def resume(shared: Shared, world: World) -> Iterator[Callable[[], None]]:
    """Ends the time in which no worker classifies anything: from the beginning of the test."""
    wait_for(lambda: world.unclassified() == 0, "the end of what came before", LONG_S)
    shared.worker.suspend()
    try:
        yield shared.worker.resume
    finally:
        shared.worker.resume()


def producers() -> list[psutil.Process]:
    """Those that this process has started and that still run."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "framewatch.producer" in process.cmdline() and "--progress" in process.cmdline():
                found.append(process)
    return found


LONG = 300


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video of 300 small frames: far more than are sent before a worker has classified some."""
    return write_video(tmp_path_factory.mktemp("long") / "long.mp4", "mp4v", LONG, 30).read_bytes()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video of 100 small frames."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", "mp4v", 100, 30).read_bytes()


def written_from_sample(path: Path, first: int, end: int) -> bytes:
    """Frames of the sample as a video; there is a face in most of the first half."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (640, 360))
    for image in itertools.islice(sample_frames(), first, end):
        writer.write(image)
    writer.release()
    return path.read_bytes()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video of seven seconds, more than are sent before a worker has classified some."""
    return written_from_sample(tmp_path_factory.mktemp("walk") / "walk.mp4", 30, 240)


def test_a_video_is_a_stream_with_its_own_pace_that_ends_when_it_was_uploaded(world: World, walk: bytes) -> None:
    before_us = time.time_ns() // 1000
    upload_id = world.take(walk)
    seen = set()

    def done() -> bool:
        upload = world.get(upload_id)
        seen.add(upload["state"])
        assert upload["classified"] <= upload["sent"] <= 210
        return bool(upload["state"] == "done")

    wait_for(done, "done", LONG_S)
    upload = world.get(upload_id)
    assert (upload["total"], upload["sent"], upload["classified"], upload["kind"]) == (210, 210, 210, "video")
    assert {"sending", "classifying"} & seen
    frames = world.frames(upload_id)
    assert len(frames) > 50  # all there will be: done says that they are stored
    start_us = upload["time_us"] - 7_000_000
    assert frames == {number: start_us + round(number * 1e6 / 30) for number in frames}
    assert before_us <= upload["time_us"] <= time.time_ns() // 1000
    time.sleep(1)
    assert world.frames(upload_id) == frames
    world.wait_forgotten()
    assert producers() == []


def test_a_picture_goes_under_a_name_of_the_server_and_its_result_to_the_output(world: World, shared: Shared) -> None:
    body, kind = form((FILE, encode_jpeg(sample_image(110))))
    status, _, upload = world.post(body, kind)
    assert (status, upload["title"], upload["kind"]) == (202, "../../etc/x.exe", "image")
    done = world.wait(upload["id"], "done")
    assert (done["total"], done["classified"]) == (1, 1)
    assert world.frames(upload["id"]) == {0: upload["time_us"]}
    assert {e["file"] for e in world.database.events.find({"stream": upload["id"]})} == {f"{upload['id']}.jpg"}
    # Of what else this worker classified there are results under other names only.
    results = [path.name for path in shared.results.rglob("*.json") if upload["id"] in str(path)]
    assert results == [f"{upload['id']}.jpg.json"]
    assert not list(shared.results.rglob("*x.exe*"))


def sample_image(number: int) -> Any:
    return next(itertools.islice(sample_frames(), number, None))


def test_a_picture_is_done_while_a_long_video_is_still_sent(
    world: World, resume: Callable[[], None], long: bytes
) -> None:
    video = world.take(long)
    wait_for(lambda: world.get(video)["sent"] > 0, "some of the video sent", LONG_S)
    picture = world.take(SMALL)  # the video waits for a worker all the while
    assert world.wait(picture, "classifying", "failed")["state"] == "classifying"
    (producer,) = producers()
    assert world.get(video)["state"] == "sending"
    producer.suspend()  # as if it were hours long
    resume()
    assert world.wait(picture, "done", "failed")["classified"] == 1
    assert world.get(video)["state"] == "sending"
    producer.resume()
    assert world.wait(video, "done", "failed")["classified"] == LONG


def test_two_at_once_are_sent_one_after_another_and_each_is_classified(
    framewatch: Command, services: Services, topic: str, database: Database[Document], tmp_path: Path
) -> None:
    names = ("--topic", topic, "--group", topic, "--database", database.name)
    for instance in ("one", "two"):  # each has a partition or both
        framewatch("consume", "--quiet", *names, "--port", free_port(), "--instance", instance)
    with made(tmp_path / "uploads", database, services, topic) as start:
        classified_by_two(start(), tmp_path)


def classified_by_two(world: World, tmp_path: Path) -> None:
    clips = [write_video(tmp_path / name, "mp4v", 60, 30).read_bytes() for name in ("a.mp4", "b.mp4", "c.mkv")]
    with ThreadPoolExecutor(3) as pool:
        ids = list(pool.map(world.take, clips))
    most = 0

    def done() -> bool:
        nonlocal most
        most = max(most, len(producers()))
        return all(world.get(one)["state"] == "done" for one in ids)

    wait_for(done, "all done", LONG_S)
    assert most <= 1
    assert [world.get(one)["classified"] for one in ids] == [60, 60, 60]
    assert {upload["id"] for upload in world.ask("GET", "/uploads")[2]["uploads"]} == set(ids)


def test_what_cannot_be_read_fails_with_a_reason_and_the_next_goes_on(started: Make, tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", "mp4v", 40, 20).read_bytes()
    one = write_video(tmp_path / "one.mp4", "mp4v", 1, 20).read_bytes()
    silent = video.replace(b"vide", b"soun").replace(b"mp4v", b"mp4a")
    opened = "cannot be opened as a video"
    hostile = [
        (opened, [video[: len(video) // 2], MP4_HEAD + b"#EXTM3U\n/etc/passwd\n" * 50]),
        (opened, [silent, MP4_HEAD + bytes(9000)]),
        ("pixels", [png(30_000, 30_000, b"")]),
        ("pixels", [png(2**31 - 1, 2**31 - 1, b"")]),
        ("not a picture", [png(10, 10, b"no pixels"), b"\xff\xd8\xff" + bytes(1000)]),
        ("not a picture", [b"RIFF\0\0\0\0WEBP" + bytes(100)]),
    ]

    def refused(world: World, parts: list[tuple[str, list[bytes]]]) -> None:
        for words, content in ((words, content) for words, files in parts for content in files):
            failed = world.wait(world.take(content), "failed", "done")
            assert (failed["state"], words in failed["error"]) == ("failed", True), failed
            assert not {str(world.root), "Traceback", ".py"} & set(failed["error"].split("'")), failed
            assert str(tmp_path) not in failed["error"]
        done = world.wait(world.take(one), "done", "failed")
        assert (done["state"], done["total"]) == ("done", 1)

    # A process for each file takes its time to start, so several servers have theirs side by side.
    worlds = [started() for _ in range(2)]
    with ThreadPoolExecutor(len(worlds)) as pool:
        list(pool.map(refused, worlds, (hostile[::2], hostile[1::2])))
    worlds[0].wait_forgotten()


def test_a_video_that_breaks_off_is_classified_as_far_as_it_goes_and_fails(world: World, tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.avi", "MJPG", 40, 20).read_bytes()
    failed = world.wait(world.take(whole[: len(whole) // 2]), "failed", "done")
    assert failed["state"] == "failed"
    assert failed["error"].startswith("cut off or damaged: ")
    assert 10 < failed["sent"] == failed["classified"] < 30


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (Bounds(frames=10), "has more than 10 pictures: the rest is left out"),
        (Bounds(pixels=160 * 120 - 1), "160x120 pixels; at most 19199 are allowed"),
    ],
)
def test_what_takes_too_much_fails_with_a_reason(world: World, long: bytes, bounds: Bounds, words: str) -> None:
    world.bounds = bounds
    failed = world.wait(world.take(long), "failed", "done")
    assert (failed["state"], words in failed["error"]) == ("failed", True), failed
    assert failed["classified"] == failed["sent"] < LONG
    assert producers() == []


def test_what_takes_too_long_fails_with_a_reason(world: World, resume: Callable[[], None], long: bytes) -> None:
    world.bounds = Bounds(seconds=2)
    upload_id = world.take(long)  # and no worker is there: it cannot be sent whole, however fast this machine is
    over = world.wait(upload_id, "classifying", "failed", "done")
    assert "took too long" in over["error"]
    assert producers() == []
    resume()
    failed = world.wait(upload_id, "failed", "done")
    assert (failed["state"], failed["error"]) == ("failed", over["error"])
    assert failed["classified"] == failed["sent"] < LONG


def test_a_producer_that_crashes_fails_its_upload_alone(
    world: World, resume: Callable[[], None], long: bytes
) -> None:
    upload_id, other = world.take(long), world.take(SMALL)
    wait_for(lambda: world.get(upload_id)["sent"] > 0, "some sent", LONG_S)
    world.wait(other, "classifying")
    (producer,) = producers()  # that waits for a worker
    producer.send_signal(signal.SIGSEGV)
    resume()
    failed = world.wait(upload_id, "failed", "done")
    assert failed["state"] == "failed" and "damaged" in failed["error"]
    assert world.wait(other, "done", "failed")["state"] == "done"


def test_a_server_that_ends_while_it_sends_leaves_no_process_and_the_next_one_sends_it_again(
    started: Make, world: World, resume: Callable[[], None], long: bytes, clip: bytes
) -> None:
    upload_id, waiting, picture = world.take(long), world.take(clip), world.take(SMALL)
    wait_for(lambda: world.get(upload_id)["sent"] > 0, "some sent", LONG_S)
    world.wait(picture, "classifying")
    began = time.monotonic()
    world.uploads.close()
    assert time.monotonic() - began < 15
    assert producers() == []
    assert world.store.get(upload_id) is not None
    assert len(world.files()) == 5  # two videos, and a note of each of the three
    resume()
    again = started()
    assert again.wait(picture, "done")["classified"] == 1
    assert again.wait(waiting, "done")["classified"] == 100
    done = again.wait(upload_id, "done")
    assert (done["total"], done["classified"]) == (LONG, LONG)
    again.wait_forgotten()


def test_a_server_that_ends_while_its_frames_are_classified_knows_the_end_after_all(
    started: Make, world: World, resume: Callable[[], None], tmp_path: Path
) -> None:
    upload_id = world.take(write_video(tmp_path / "a.mp4", "mp4v", 40, 20).read_bytes())
    upload = world.wait(upload_id, "classifying")
    assert (upload["sent"], upload["classified"]) == (40, 0)
    world.uploads.close()
    resume()
    assert started().wait(upload_id, "done")["classified"] == 40


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video of 30 frames with a face in them."""
    return written_from_sample(tmp_path_factory.mktemp("person") / "person.mp4", 100, 130)


def test_what_is_deleted_while_it_is_under_way_leaves_nothing_behind(
    world: World, resume: Callable[[], None], clip: bytes, walk: bytes, person: bytes
) -> None:
    events = world.database.events

    def uploads() -> set[str]:
        return {upload["id"] for upload in world.ask("GET", "/uploads")[2]["uploads"]}

    before, before_streams, before_uploads = events.count_documents({}), set(events.distinct("stream")), uploads()
    sent, sending, waiting = world.take(clip), world.take(walk), world.take(walk)
    assert world.wait(sent, "classifying")["sent"] == 100
    wait_for(lambda: world.get(sending)["sent"] > 0, "the second under way", LONG_S)
    for upload_id in (sent, sending, waiting):
        assert world.ask("DELETE", f"/uploads/{upload_id}")[0] == 200
        assert world.ask("GET", f"/uploads/{upload_id}")[0] == 404
    resume()
    last = world.take(person)
    kept = world.wait(last, "done")
    wait_for(lambda: world.files() == set(), "all forgotten", LONG_S)
    wait_for(lambda: world.unclassified() == 0, "the end of what was sent of them", LONG_S)
    assert set(events.distinct("stream")) - before_streams == {last}
    assert uploads() - before_uploads == {last}
    n = events.count_documents({}) - before
    status, _, erased = world.ask("DELETE", f"/uploads/{kept['id']}")
    assert (status, erased["events"]) == (200, n)
    assert events.count_documents({}) == before


def test_the_picture_of_an_upload_goes_with_it(shared: Shared, person: bytes) -> None:
    at = f"http://127.0.0.1:{shared.port}"

    def is_there() -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(f"{at}/health", timeout=10).ok
        return False

    wait_for(is_there, "the worker", LONG_S)
    kind = {"Content-Type": "image/jpeg"}
    name = requests.post(f"{at}/uploads", data=person, headers=kind, timeout=30).json()["id"]
    wait_for(lambda: requests.get(f"{at}/uploads/{name}", timeout=30).json()["state"] == "done", "it done", LONG_S)
    assert requests.get(f"{at}/snapshot/{name}.jpg", timeout=30).ok
    assert requests.delete(f"{at}/uploads/{name}", timeout=30).json()["events"] > 0
    assert requests.get(f"{at}/snapshot/{name}.jpg", timeout=30).status_code == 404
    for page in ("/streams", "/metrics"):
        assert name not in requests.get(at + page, timeout=30).text


def test_no_more_of_a_video_lies_before_a_cameras_frames_than_a_moments_work(
    world: World, resume: Callable[[], None], long: bytes
) -> None:
    upload_id = world.take(long)
    wait_for(lambda: world.unclassified() == AHEAD, "as much as may be sent", LONG_S)
    time.sleep(1)  # in which it is asked five times whether more may be
    assert world.unclassified() == AHEAD
    wait_for(lambda: world.get(upload_id)["sent"] == AHEAD, "that it is told")
    resume()
    seen: list[int] = []

    def done() -> bool:
        seen.append(world.unclassified())
        return bool(world.get(upload_id)["state"] == "done")

    wait_for(done, "done", LONG_S)
    assert world.get(upload_id)["classified"] == LONG
    assert max(seen) <= AHEAD


# What is left behind


def test_a_server_takes_over_what_one_that_ended_has_left_and_nothing_of_one_that_runs(tmp_path: Path) -> None:
    first, second = UploadFolder(tmp_path), UploadFolder(tmp_path)
    assert first.path != second.path
    for folder in (first, second):
        folder.note(f"upload-{folder.path.name}", {"of": folder.path.name})
        (folder.path / f"upload-{folder.path.name}.mp4").write_bytes(b"x")
        (folder.path / "upload-x.part").write_bytes(b"x")
    second.close()
    third = UploadFolder(tmp_path)
    assert third.path == second.path
    assert list(third.notes()) == [{"of": "1"}]
    assert sorted(path.name for path in third.path.iterdir()) == ["upload-1.json", "upload-1.mp4"]
    first.close()
    fourth = UploadFolder(tmp_path)
    assert list(fourth.notes()) == [{"of": "0"}]
    fourth.close()
    third.close()
    assert len(list(UploadFolder(tmp_path).notes())) == 2


def test_a_file_that_ends_servers_is_given_up_and_damaged_notes_are_no_end(
    tmp_path: Path, database: Database[Document]
) -> None:
    folder = UploadFolder(tmp_path)
    upload = Upload("upload-1", "upload-1", "a", "video", time.time_ns() // 1000, "sending")
    known = {"upload": asdict(upload), "run": "r", "attempts": 3, "deleted": False, "sent": asdict(Sent(9, 4))}
    folder.note("upload-1", known)
    (folder.path / "upload-1.mp4").write_bytes(MP4_HEAD)
    folder.note("upload-2", {"upload": {"id": 7}})
    (folder.path / "upload-3.json").write_text("{")
    folder.close()
    with serve(tmp_path, database) as desk:
        failed = desk.wait("upload-1", "failed")
        assert failed["error"] == "the server ended while it was sent, 3 times"


def test_an_upload_whose_server_is_gone_fails_in_the_end_and_its_alerts_end(
    tmp_path: Path, database: Database[Document]
) -> None:
    ended: list[str] = []
    now_us = time.time_ns() // 1000
    store = UploadStore(database)
    for name, age_us in (("old", 25 * 3600 * 1_000_000), ("new", 3600 * 1_000_000)):
        store.save(Upload(name, name, "a", "video", now_us - age_us, "classifying"))
    with serve(tmp_path, database, on_end=ended.append) as desk:
        assert desk.wait("old", "failed")["error"] == "the server that had it is gone"
        assert ended == ["old"]
        assert desk.get("new")["state"] == "classifying"
