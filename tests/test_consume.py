"""A worker on a real topic: what it shows, stores, prints, rejects and goes on through."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from pymongo.database import Database

from conftest import SAMPLE, Call, Command, Services, wait_for
from framewatch.embedded.home import Endpoints
from framewatch.kafka.record import Record, to_record
from framewatch.model.frame import Frame
from framewatch.model.names import dead_letter_topic
from framewatch.settings import load_settings
from framewatch.storage.mongo.documents import Document, from_document
from framewatch.storage.mongo.store import MongoStore
from framewatch.vision.classifier import Image
from framewatch.vision.jpeg import decode_img, encode_jpeg
from framewatch.wiring.worker import run_worker
from shared import free_port
from test_sources import write_video

US = time.time_ns() // 1000 - 60_000_000  # capture time of the first frame: younger than the retention


class World:
    """One topic with its database, and commands that work on it."""

    def __init__(
        self, framewatch: Command, topic: str, database: Database[Document], services: Services, ending: ExitStack
    ) -> None:
        self._framewatch = framewatch
        self._services = services
        self._ending = ending
        self.topic = topic
        self.database = database
        self.kafka = services.endpoints.kafka
        self.port = free_port()
        self._producer = Producer({"bootstrap.servers": self.kafka, "message.max.bytes": 16 * 1024**2})

    def consume(self, *options: object, port: int | None = None) -> subprocess.Popen[str]:
        settings = ("--topic", self.topic, "--group", self.topic, "--database", self.database.name)
        worker = self._framewatch("consume", *settings, "--port", port or self.port, *options)
        wait_for(lambda: answers(port or self.port), "the web server")
        return worker

    def work(self, **changed: object) -> Callable[[], object]:
        """The same worker in a thread of the test, for as long as the test runs; returns what ends it."""
        settings = load_settings(
            topic=self.topic,
            group=self.topic,
            database=self.database.name,
            port=self.port,
            home=self._services.home.folder,
            **changed,
        )
        stop = threading.Event()
        run = partial(run_worker, settings, self._services.endpoints, MongoStore(self.database), stop)
        thread = threading.Thread(target=run)
        thread.start()

        def end() -> None:
            stop.set()
            thread.join(60)
            assert not thread.is_alive()

        self._ending.callback(end)
        wait_for(lambda: answers(self.port), "the web server")
        return end

    def produce(self, source: Path, *options: object) -> dict[str, Any]:
        out, err = self._framewatch("produce", source, "--topic", self.topic, "--json", *options).communicate()
        assert out, err
        return json.loads(out)  # type: ignore[no-any-return]

    def send(self, record: Record) -> None:
        self._producer.produce(
            self.topic,
            value=record.value,
            key=record.key,
            headers=list(record.headers),
            timestamp=record.timestamp_ms,
        )
        assert self._producer.flush(20) == 0

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return bytes(answer.read())

    def health(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.get("/health")))
        except urllib.error.HTTPError as error:  # a part is not up (yet): the page says so with the same figures
            with error:
                return dict(json.load(error))

    def counts(self) -> dict[str, int]:
        return dict(self.health()["counts"])

    def wait_done(self, n: int) -> None:
        wait_for(lambda: self.counts()["done"] >= n, f"{n} frames done", 120)

    def dead_letters(self, n: int) -> list[dict[str, str]]:
        """Headers of the first n dead letters."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka,
                "group.id": "rejects",
                "auto.offset.reset": "earliest",
                "receive.message.max.bytes": 64 * 1024**2,
            }
        )
        consumer.subscribe([dead_letter_topic(self.topic)])
        found: list[dict[str, str]] = []
        deadline = time.monotonic() + 60
        while len(found) < n and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                headers = message.headers() or []
                assert isinstance(headers, list)
                found.append({k: (v if isinstance(v, bytes) else b"").decode(errors="replace") for k, v in headers})
        consumer.close()
        return found


@pytest.fixture
def world(framewatch: Command, topic: str, database: Database[Document], services: Services) -> Iterator[World]:
    with ExitStack() as ending:
        yield World(framewatch, topic, database, services, ending)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/streams", timeout=1):
            return True
    except OSError:
        return False


def picture(width: int = 160, height: int = 120) -> Image:
    rng = np.random.default_rng(1)
    return rng.integers(0, 255, (height, width, 3), np.uint8)


def frame(number: int, stream: str = "cam", image: Image | None = None) -> Frame:
    image = picture() if image is None else image
    return Frame(stream, "r", number, US + number * 33_333, image.shape[1], image.shape[0], encode_jpeg(image))


def sample_frames(n: int) -> list[Image]:
    capture = cv2.VideoCapture(str(SAMPLE))
    images = [np.asarray(capture.read()[1], np.uint8) for _ in range(n)]
    capture.release()
    return images


def small_face() -> Image:
    """A picture with a face that is found, and not much more: 160x120 pixels."""
    whole = sample_frames(111)[-1][60:300, 140:460]
    return np.asarray(cv2.resize(whole, (160, 120), interpolation=cv2.INTER_AREA), np.uint8)


def first_parts(response: io.BufferedIOBase, n: int) -> list[tuple[dict[str, str], bytes]]:
    """Headers and body of the first parts of a multipart answer, read as a browser does."""
    parts = []
    assert response.readline() == b"--framewatch\r\n"
    for _ in range(n):
        headers: dict[str, str] = {}
        while (line := response.readline()) != b"\r\n":
            name, _, value = line.decode().partition(":")
            headers[name] = value.strip()
        body = response.read(int(headers["Content-Length"]))
        assert response.readline() == b"\r\n"
        assert response.readline() == b"--framewatch\r\n"
        parts.append((headers, body))
    return parts


def test_a_clip_gives_all_its_frames_and_events_for_most_of_them(world: World, data: Path) -> None:
    world.work()
    summary = world.produce(data / "asl_gestures" / "walk.mkv", "--fps", "max")
    assert (summary["frames_read"], summary["delivered"], summary["failed"]) == (89, 89, 0)
    world.wait_done(89)
    frames = {document["frame"] for document in world.database.events.find({}, {"frame": 1})}
    assert len(frames) >= 0.8 * 89


def test_an_event_tells_what_was_seen_where_and_when(world: World) -> None:
    image = sample_frames(110)[-1]
    world.work()
    world.send(to_record(frame(7, "front door", image)))
    world.wait_done(1)
    (document,) = world.database.events.find({})
    event = from_document(document)
    assert (event.stream, event.run, event.frame, event.time_us) == ("front door", "r", 7, US + 7 * 33_333)
    assert event.id == document["_id"] == f"front door/r/7/{event.model}/0"
    assert (event.label, event.offset) == ("face", 0)
    assert 0 < event.confidence <= 1
    assert event.boundingbox is not None
    crop = decode_img(event.crop)
    assert crop.shape[:2] == (event.boundingbox[3], event.boundingbox[2])
    x, y, width, height = event.boundingbox
    difference = np.abs(crop.astype(int) - image[y : y + height, x : x + width]).mean()
    assert difference < 10


def test_corrupt_records_go_to_the_dead_letters_with_a_reason_while_the_stream_goes_on(world: World) -> None:
    world.work()
    good = to_record(frame(0))
    jpeg = good.value or b""

    def lying(value: bytes, **changes: str | None) -> Record:
        """The good record with another value, rightly summed, and other headers."""
        headers = dict(good.headers) | {"crc32": f"{zlib.crc32(value):08x}".encode()}
        headers |= {name: text.encode() if text is not None else None for name, text in changes.items()}
        return Record(good.key, value, [(k, v) for k, v in headers.items() if v is not None], good.timestamp_ms)

    noise = np.random.default_rng(2).bytes(10_000_000)
    png = cv2.imencode(".png", picture())[1].tobytes()
    bad = {
        "truncated": lying(jpeg[: len(jpeg) // 2]),
        "checksum": lying(jpeg, crc32="00000000"),
        "header": Record(good.key, jpeg, [h for h in good.headers if h[0] != "run"], good.timestamp_ms),
        "not-a-jpeg": lying(png),
        "size": lying(jpeg, width="640", height="480"),
        "version": lying(jpeg, version="99"),
        "empty": Record(good.key, b"", good.headers, good.timestamp_ms),
        "key": Record(None, jpeg, good.headers, good.timestamp_ms),
    }
    expected = [*bad, "not-a-jpeg", "header"]
    for record in [*bad.values(), lying(noise), Record(b"cam", noise, [], 0)]:
        world.send(record)
    world.send(to_record(frame(1)))
    world.wait_done(len(expected) + 1)
    letters = world.dead_letters(len(expected))
    assert sorted(headers["reason"] for headers in letters) == sorted(expected)
    assert all(headers["source_topic"] == world.topic and headers["detail"] for headers in letters)
    assert {headers.get("original_bytes") for headers in letters} == {None, "10000000"}
    assert world.counts()["dead_letters"] == len(expected)
    assert b"cam" in world.get("/streams")


def test_everything_goes_on_after_the_topic_was_deleted(world: World, tmp_path: Path) -> None:
    world.work()
    for number in range(5):
        world.send(to_record(frame(number)))
    world.wait_done(5)
    admin = AdminClient({"bootstrap.servers": world.kafka})
    admin.delete_topics([world.topic])[world.topic].result(20)
    time.sleep(1)
    # More frames than the old topic had: reading on at the old offset would lose the first of them.
    clip = write_video(tmp_path / "clip.avi", "MJPG", 60)
    summary = world.produce(clip, "--fps", "max", "--stream", "again")
    assert summary["delivered"] == 60
    world.wait_done(5 + 60)


def test_the_page_can_be_opened_before_the_producer_starts(world: World) -> None:
    world.work()
    with urllib.request.urlopen(f"http://127.0.0.1:{world.port}/video", timeout=20) as answer:
        assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=framewatch"
        images = sample_frames(112)
        for number in (110, 111):
            world.send(to_record(frame(number, "late", images[number])))
        (headers, body), *_ = first_parts(answer, 2)
    shown = decode_img(body)
    assert headers["Content-Type"] == "image/jpeg"
    assert float(headers["X-Timestamp"]) == pytest.approx((US + int(headers["X-Frame"]) * 33_333) / 1e6)
    # The box is drawn: somewhere the picture differs by more than JPEG does.
    original = images[int(headers["X-Frame"])]
    assert np.abs(shown.astype(int) - original).max() > 100


def test_snapshot_and_streams_tell_the_newest_frame(world: World) -> None:
    world.work()
    for number in range(3):
        world.send(to_record(frame(number, "ward 2")))
    world.wait_done(3)
    (stream,) = json.loads(world.get("/streams"))["streams"]
    assert (stream["stream"], stream["frame"]) == ("ward 2", 2)
    assert decode_img(world.get("/snapshot/ward%202.jpg")).shape == (120, 160, 3)
    with pytest.raises(urllib.error.HTTPError) as error:
        world.get("/snapshot/nobody.jpg")
    with error.value:
        assert error.value.code == 404
        assert "ward 2" in json.load(error.value)["detail"]


def test_the_console_prints_the_frame_and_what_was_seen(world: World) -> None:
    worker = world.consume()
    world.send(to_record(frame(12, "a", picture())))
    world.send(to_record(frame(110, "b", sample_frames(111)[-1])))
    world.wait_done(2)
    worker.send_signal(signal.SIGINT)
    out, err = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert "a #12\n" in out
    assert "b #110: face detected!" in out
    assert "started: waiting for frames" in err


def test_images_are_saved_by_what_is_on_them(world: World, tmp_path: Path) -> None:
    world.work(save_images=tmp_path)
    world.send(to_record(frame(1, "a")))
    world.send(to_record(frame(110, "a", sample_frames(111)[-1])))
    world.wait_done(2)
    assert [f.name for f in (tmp_path / "not_face").iterdir()] == ["a-r-00000001.jpg"]
    (face,) = (tmp_path / "faces").iterdir()
    assert decode_img(face.read_bytes()).shape == (360, 640, 3)


def test_from_beginning_reads_all_again_and_stores_nothing_twice(world: World) -> None:
    images = sample_frames(113)
    for number in range(108, 113):
        world.send(to_record(frame(number, "s", images[number])))

    def all_are_done(duplicates: int) -> None:
        world.wait_done(5)
        assert world.counts()["duplicates"] == duplicates
        assert world.database.events.estimated_document_count() == 5

    end = world.work()
    all_are_done(duplicates=0)
    end()
    worker = world.consume("--quiet", "--from-beginning")
    all_are_done(duplicates=5)
    worker.terminate()
    assert worker.wait(60) == 0


def test_workers_of_one_group_share_the_streams(world: World) -> None:
    other = free_port()
    world.consume("--quiet", "--instance", "one")
    world.consume("--quiet", "--instance", "two", port=other)
    wait_for(lambda: spread(world, other), "both workers showing streams", 60)


def spread(world: World, other: int) -> bool:
    """Whether, of frames of some streams, each worker shows some and none is shown by both."""
    for number, name in enumerate("abcdef"):
        world.send(to_record(frame(number, name)))
    time.sleep(0.5)
    shown = []
    for port in (world.port, other):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/streams", timeout=30) as answer:
            shown.append({s["stream"] for s in json.load(answer)["streams"] if s["frames_per_second"] > 0})
    return bool(shown[0]) and bool(shown[1]) and len(shown[0] | shown[1]) == 6


def test_a_frame_is_shown_in_order_however_long_each_takes(world: World) -> None:
    worker = world.consume("--classifier-threads", "4")
    large = cv2.resize(sample_frames(1)[0], (1280, 720))
    for number in range(12):
        image = np.asarray(large, np.uint8) if number % 3 == 0 else picture()
        world.send(to_record(frame(number, "s", image)))
    world.wait_done(12)
    worker.terminate()
    out, _ = worker.communicate(timeout=60)
    assert [int(line.split("#")[1].split(":")[0]) for line in out.splitlines()] == list(range(12))


def test_one_viewer_too_many_is_told_so(world: World) -> None:
    world.work(max_viewers=1)
    with urllib.request.urlopen(f"http://127.0.0.1:{world.port}/video", timeout=30):
        with pytest.raises(urllib.error.HTTPError) as error:
            world.get("/video")
        with error.value:
            assert error.value.code == 503
            assert error.value.headers["Retry-After"]
    # The place is free again soon after the viewer left.
    wait_for(lambda: world.health()["viewers"] == 0, "the viewer's place")


def test_a_wide_open_address_needs_a_password(framewatch: Command, call: Call, topic: str) -> None:
    port = free_port()
    options = ("--host", "0.0.0.0", "--port", port, "--topic", topic, "--quiet")
    ended_with, _, err = call("consume", *options)
    assert (ended_with, "FRAMEWATCH_PASSWORD" in err) == (2, True)
    framewatch("consume", *options, FRAMEWATCH_PASSWORD="correct horse")
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords(port, "correct horse")))
    wait_for(lambda: code(urllib.request.build_opener(), port) == 401, "the web server")
    wrong = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords(port, "wrong")))
    assert code(wrong, port) == 401
    assert code(opener, port) == 200


def passwords(port: int, password: str) -> urllib.request.HTTPPasswordMgrWithDefaultRealm:
    manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    manager.add_password(None, f"http://127.0.0.1:{port}", "framewatch", password)
    return manager


def code(opener: urllib.request.OpenerDirector, port: int) -> int:
    try:
        with opener.open(f"http://127.0.0.1:{port}/streams", timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def test_a_taken_port_is_one_line(call: Call, endpoints: Endpoints) -> None:
    taken = int(endpoints.kafka.rpartition(":")[2])
    code, _, err = call("consume", "--port", taken)
    assert code == 1
    assert err.startswith(f"framewatch: port {taken} is taken by java")
    assert err.count("\n") == 1
