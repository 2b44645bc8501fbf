"""``framewatch produce`` on a real broker: every frame arrives once and in order, whatever is put in its way."""

from __future__ import annotations

import itertools
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from conftest import REPOSITORY, SAMPLE, Call, Command, OwnServices, Services, wait_for
from framewatch.embedded.home import Endpoints
from framewatch.kafka.record import MAX_RECORD_BYTES, Record, from_record
from framewatch.kafka.topics import ensure_topic
from framewatch.model.frame import Frame
from framewatch.vision.images import OF_ONES_OWN, read_picture
from framewatch.vision.jpeg import decode_img, encode_jpeg, scaled_down
from test_sources import (
    Handler,
    Web,
    camera,
    cut,
    in_turn,
    index_first,
    noise,
    plain,
    serving,
    write_picture,
    write_video,
)
from test_web import measured

NOBODY = "127.0.0.1:1"  # a port that no program is ever given


@dataclass(frozen=True)
class Arrived:
    """A frame as it lies on the topic."""

    frame: Frame
    partition: int
    timestamp_ms: int


class Bench:
    """A topic of the test's own, and producers that fill it."""

    def __init__(self, start: Command, kafka: str, topic: str, call: Call | None = None) -> None:
        self._start = start
        self._call = call
        self.kafka = kafka
        self.topic = topic

    def start(self, source: object, *options: object, **environment: str) -> subprocess.Popen[str]:
        return self._start("produce", source, "--topic", self.topic, *options, **environment)

    def run(self, source: object, *options: object, **environment: str) -> tuple[int, str, str]:
        """Exit code, output and errors of a producer that comes to its end."""
        return result(self.start(source, *options, **environment))

    def figures(self, source: object, *options: object) -> dict[str, Any]:
        """The summary of a producer that comes to a good end and says nothing else."""
        return figures(self.start(source, "--json", *options))

    def call(self, source: object, *options: object) -> tuple[int, str, str]:
        """The same as ``run`` without a process, for what is said and sent by a command that comes to its end."""
        assert self._call is not None
        return self._call("produce", source, "--topic", self.topic, *options)

    def called(self, source: object, *options: object) -> dict[str, Any]:
        """The same as ``figures`` without a process."""
        code, out, err = self.call(source, "--json", *options)
        assert (code, err) == (0, "")
        return dict(json.loads(out))

    def count(self) -> int:
        """Records on the topic."""
        with self._consumer() as consumer:
            return sum(high - low for _, low, high in bounds(consumer, self.topic))

    def wait_for(self, n: int, timeout_s: float = 90) -> None:
        wait_for(lambda: self.count() >= n, f"{n} frames on the topic", timeout_s)

    def arrived(self) -> list[Arrived]:
        """All records there are now, by capture time; each is checked as a worker does."""
        found: list[Arrived] = []
        with self._consumer() as consumer:
            ends = {partition: (low, high) for partition, low, high in bounds(consumer, self.topic) if high > low}
            consumer.assign([TopicPartition(self.topic, partition, low) for partition, (low, _) in ends.items()])
            left = sum(high - low for low, high in ends.values())
            deadline = time.monotonic() + 60
            while left:
                assert time.monotonic() < deadline, f"{left} records do not come"
                for message in consumer.consume(500, 0.5):
                    assert message.error() is None
                    partition, offset, headers = message.partition() or 0, message.offset() or 0, message.headers()
                    if offset >= ends[partition][1]:  # newer than the question
                        continue
                    assert isinstance(headers, list)
                    record = Record(
                        key=as_bytes(message.key()),
                        value=as_bytes(message.value()),
                        headers=[(name, as_bytes(text)) for name, text in headers],
                        timestamp_ms=message.timestamp()[1],
                    )
                    found.append(Arrived(from_record(record), partition, record.timestamp_ms))
                    left -= 1
        return sorted(found, key=lambda one: one.frame.time_us)

    def frames(self) -> list[Frame]:
        return [one.frame for one in self.arrived()]

    @contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        consumer = Consumer(
            {"bootstrap.servers": self.kafka, "group.id": "reads", "fetch.max.bytes": 2 * MAX_RECORD_BYTES,
             "receive.message.max.bytes": 3 * MAX_RECORD_BYTES, "enable.auto.commit": False}
        )  # fmt: skip
        try:
            yield consumer
        finally:
            consumer.close()


def result(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of a producer that comes to its end."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def figures(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The summary of a producer that comes to a good end and says nothing else."""
    code, out, err = result(process)
    assert (code, err) == (0, "")
    return dict(json.loads(out))


def as_bytes(text: str | bytes | None) -> bytes | None:
    return text.encode() if isinstance(text, str) else text


def bounds(consumer: Consumer, topic: str) -> list[tuple[int, int, int]]:
    """Partition, first and next offset of each; a broker that was killed may not know them at once."""
    deadline = time.monotonic() + 60
    while True:
        try:
            found = []
            for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
                found.append((partition, low, high))
            return found
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def ended(process: subprocess.Popen[str], number: int | None = signal.SIGINT, within_s: float = 60) -> dict[str, Any]:
    """The summary of a producer that is asked to end, or comes to its end, and does so well."""
    if number is not None:
        process.send_signal(number)
    out, err = process.communicate(timeout=within_s)
    assert process.returncode == 0, err
    return dict(json.loads(out))


def numbers(frames: list[Frame]) -> list[int]:
    return [frame.number for frame in frames]


@pytest.fixture
def bench(framewatch: Command, endpoints: Endpoints, topic: str, call: Call) -> Bench:
    return Bench(framewatch, endpoints.kafka, topic, call)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty frames at 15 a second."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", "MJPG", 30, 15)


# What arrives


def test_every_frame_arrives_once_in_order_whole_and_stamped(bench: Bench) -> None:
    before_us = time.time_ns() // 1000
    summary = bench.figures(SAMPLE, "--fps", "max", "--run", "r1")
    after_us = time.time_ns() // 1000
    arrived = bench.arrived()
    frames = [one.frame for one in arrived]
    assert numbers(frames) == list(range(420))
    times = [frame.time_us for frame in frames]
    assert before_us < times[0] < times[-1] < after_us
    assert all(a < b for a, b in itertools.pairwise(times))
    assert [one.timestamp_ms for one in arrived] == [moment // 1000 for moment in times]
    assert {one.partition for one in arrived} in ({0}, {1})
    assert {(f.stream, f.run, f.width, f.height) for f in frames} == {("sample", "r1", 640, 360)}
    source = cv2.VideoCapture(str(SAMPLE))
    for frame in frames:
        there, image = source.read()
        assert there
        if frame.number % 20 == 0:
            assert np.abs(decode_img(frame.jpeg).astype(int) - image).mean() < 3
    source.release()
    megabytes = sum(len(frame.jpeg) for frame in frames) / 1e6
    assert summary | {"seconds": 0, "megabytes_per_second": 0} == {
        "stream": "sample", "run": "r1", "frames_read": 420, "delivered": 420, "failed": 0, "dropped": 0,
        "megabytes": pytest.approx(megabytes, abs=0.001), "seconds": 0, "megabytes_per_second": 0, "error": None,
        "partition": arrived[0].partition, "first_offset": 0, "last_offset": 419,
    }  # fmt: skip
    assert 0 < summary["seconds"] < (after_us - before_us) / 1e6
    assert summary["megabytes_per_second"] == pytest.approx(megabytes / summary["seconds"], rel=0.02)


@pytest.mark.alone
def test_the_pace_is_as_recorded_or_as_said_or_as_fast_as_possible(bench: Bench, clip: Path) -> None:
    def seconds(fps: str) -> float:
        summary = bench.called(clip, "--fps", fps)
        times = [frame.time_us / 1e6 for frame in bench.frames() if frame.run == summary["run"]]
        assert len(times) == summary["delivered"] == 30
        return times[-1] - times[0]

    for fps, due in {"native": 29 / 15, "60": 29 / 60, "max": 0.0}.items():
        measured(partial(seconds, fps), lambda took, due=due: abs(took - due) < 0.2)  # type: ignore[misc]


# Younger than the retention: what is older, the broker may delete before it is read.
AT_US = (time.time_ns() // 1_000_000_000 - 3600) * 1_000_000 + 6
AT = f"{datetime.fromtimestamp(AT_US // 1_000_000, UTC):%Y-%m-%dT%H:%M:%S}.000006Z"


def test_a_recording_can_be_put_at_another_time_at_its_own_pace_however_fast_it_is_sent(
    bench: Bench, clip: Path
) -> None:
    sent = [
        bench.called(clip, "--fps", "max", "--start-at", AT, "--run", "start"),
        bench.called(clip, "--fps", "60", "--end-at", AT, "--run", "end"),
        bench.called(clip, "--fps", "max", "--end-at", AT, "--max-frames", 30, "--run", "same"),
    ]
    assert [summary["delivered"] for summary in sent] == [30] * 3
    times: dict[str, list[int]] = {}
    for frame in bench.frames():
        times.setdefault(frame.run, []).append(frame.time_us)
    assert times["start"] == [AT_US + round(k * 1e6 / 15) for k in range(30)]
    assert times["end"] == times["same"] == [AT_US - 2_000_000 + round(k * 1e6 / 15) for k in range(30)]


def test_pictures_at_another_time_need_a_pace_unless_it_is_one(bench: Bench, tmp_path: Path) -> None:
    one = write_picture(tmp_path / "1.png", plain(50))
    write_picture(tmp_path / "2.png", plain(60))
    code, _, err = bench.call(tmp_path, "--start-at", AT)
    assert (code, "have no pace of their own: say one by --fps" in err) == (1, True)
    assert bench.called(tmp_path, "--start-at", AT, "--fps", 50, "--run", "both")["delivered"] == 2
    assert bench.called(one, "--end-at", AT, "--run", "one")["delivered"] == 1
    assert sorted(f.time_us - AT_US for f in bench.frames()) == [0, 0, 20_000]


def test_a_camera_has_the_time_it_has(bench: Bench) -> None:
    for arguments, expected, said in (
        ((f"rtsp://{NOBODY}/x", "--start-at", AT, "--end-at", AT), 2, "--start-at and --end-at: got both"),
        ((9999, "--start-at", AT), 1, "is live: only a recording can be put at another time"),
        ((SAMPLE, "--end-at", "noon"), 2, "got 'noon': expected a time such as"),
    ):
        code, _, err = bench.call(*arguments)
        assert (code, said in err) == (expected, True)


def test_what_is_too_long_or_too_large_is_refused_by_its_bounds(bench: Bench, clip: Path, tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "1.png", plain(50))
    code, out, err = bench.call(clip, "--json", "--fps", "max", "--max-frames", 7)
    assert (code, json.loads(out)["delivered"]) == (1, 7)
    assert "clip.avi: has more than 7 pictures: the rest is left out" in err
    for source, size in ((clip, "160x120"), (picture, "60x40")):
        code, _, err = bench.call(source, "--max-pixels", 2000)
        assert (code, f"{size} pixels; at most 2000 are allowed" in err) == (1, True)
    assert bench.called(picture, "--max-pixels", 2400)["delivered"] == 1
    assert bench.count() == 7 + 1


def test_a_program_reads_how_far_it_is_line_by_line(bench: Bench, clip: Path) -> None:
    code, out, err = bench.run(clip, "--fps", 20, "--progress", "--run", "r1", "--stream", "c")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    # A line each quarter of a second, and the last: the 1.45 seconds of the clip are more where the machine is busy.
    assert 4 <= len(lines) <= 2 + lines[-1]["seconds"] / 0.25
    read = [line["frames_read"] for line in lines]
    assert read == sorted(read)
    assert {line["total"] for line in lines[:-1]} == {30}
    last = lines[-1]
    assert (last["frames_read"], last["delivered"], last["error"]) == (30, 30, None)
    assert (last["first_offset"], last["last_offset"]) == (0, 29)
    code, out, _ = bench.call(clip.with_name("none.avi"), "--progress")
    assert (code, "no such file" in json.loads(out)["error"]) == (1, True)


def test_nobody_reads_how_far_it_is_and_it_ends(bench: Bench) -> None:
    process = bench.start(SAMPLE, "--loop", "--progress")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 1


def test_nobody_reads_how_far_it_is_while_it_waits_for_kafka_and_it_ends(bench: Bench) -> None:
    process = bench.start(SAMPLE, "--progress", "--wait", 600, KAFKA_BOOTSTRAP_SERVERS=NOBODY)
    time.sleep(3)
    assert process.poll() is None
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(30) == 1


def test_it_stays_near_those_who_classify(bench: Bench) -> None:
    process = bench.start(SAMPLE, "--fps", "max", "--max-lag", 50, "--group", "slow", "--progress")
    bench.wait_for(50)
    time.sleep(1)
    assert bench.count() == 50
    partition = bench.arrived()[0].partition
    consumer = Consumer({"bootstrap.servers": bench.kafka, "group.id": "slow"})
    consumer.commit(offsets=[TopicPartition(bench.topic, partition, 30)], asynchronous=False)
    bench.wait_for(80)
    time.sleep(1)
    assert bench.count() == 80
    process.send_signal(signal.SIGTERM)
    _, out, _ = result(process)
    consumer.close()
    assert json.loads(out.splitlines()[-1])["delivered"] == 80


def test_two_producers_at_once_do_not_mix(bench: Bench, clip: Path) -> None:
    names = ("front door", "back")
    both = [bench.start(clip, "--stream", name, "--run", "r", "--fps", "60", "--json") for name in names]
    assert [ended(process, None)["delivered"] for process in both] == [30, 30]
    for name in names:
        assert numbers([frame for frame in bench.frames() if frame.stream == name]) == list(range(30))


def test_a_folder_of_pictures_and_videos_is_one_stream(bench: Bench, clip: Path, tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png", plain(50))
    (tmp_path / "2.avi").write_bytes(clip.read_bytes())
    write_picture(tmp_path / "10.jpg", plain(200))
    assert bench.called(tmp_path, "--fps", "max", "--stream", "mixed")["delivered"] == 32
    frames = bench.frames()
    assert numbers(frames) == list(range(32))
    assert [round(float(decode_img(frames[at].jpeg).mean())) for at in (0, 31)] == [50, 200]
    assert [(frame.width, frame.height) for frame in frames[::31]] == [(60, 40)] * 2
    assert {(frame.width, frame.height) for frame in frames[1:31]} == {(160, 120)}


def test_a_huge_picture_is_scaled_down_and_quality_is_as_said(bench: Bench, tmp_path: Path) -> None:
    image = np.kron(noise(1, 75, 100), np.ones((40, 40, 1), np.uint8))
    picture = write_picture(tmp_path / "huge.png", image)
    options = {"small": ("--max-side", 640, "--quality", 30), "usual": ()}
    for run, more in options.items():
        assert bench.called(picture, "--run", run, *more)["delivered"] == 1
    small, usual = sorted(bench.frames(), key=lambda frame: frame.run)
    assert [(frame.width, frame.height) for frame in (small, usual)] == [(640, 480), (1920, 1440)]
    for frame, side, quality in ((small, 640, 30), (usual, 1920, 90)):
        read = read_picture(picture.read_bytes(), OF_ONES_OWN, side).image
        assert frame.jpeg == encode_jpeg(read, quality)
        assert np.abs(read.astype(int) - scaled_down(image, side)).mean() < 2


def test_a_frame_over_the_limit_is_not_sent_and_counted(bench: Bench, tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "noise.bmp", noise(1, 3000, 4000))
    code, out, err = bench.call(picture, "--max-side", 4000, "--quality", 100, "--json")
    summary = json.loads(out)
    assert (code, summary["frames_read"], summary["delivered"], summary["failed"]) == (1, 1, 0, 1)
    assert "noise #0: could not be delivered: a frame of over 16" in err
    assert bench.count() == 0


# Ends


def test_a_loop_goes_on_until_stopped_and_then_all_is_delivered(bench: Bench, clip: Path) -> None:
    numbers_of = {"int": signal.SIGINT, "term": signal.SIGTERM}
    options = ("--loop", "--fps", "200", "--json")
    running = {name: bench.start(clip, *options, "--stream", name) for name in numbers_of}

    def frames_of(name: str) -> list[Frame]:
        return [frame for frame in bench.frames() if frame.stream == name]

    bench.wait_for(140)
    for name in running:
        wait_for(lambda name=name: len(frames_of(name)) >= 70, f"70 frames of {name}", 90)  # type: ignore[misc]
    for name, process in running.items():
        summary = ended(process, numbers_of[name])
        frames = frames_of(name)
        assert numbers(frames) == list(range(summary["delivered"]))
        assert summary["frames_read"] == summary["delivered"] >= 70
        assert (summary["failed"], summary["dropped"], summary["error"]) == (0, 0, None)
        assert frames[0].jpeg == frames[30].jpeg == frames[60].jpeg != frames[1].jpeg


def test_the_summary_is_one_line_for_people(bench: Bench, clip: Path) -> None:
    process = bench.start(clip, "--loop", "--stream", "door", "--run", "r7", "--fps", "0.01")
    bench.wait_for(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=50)  # though the next frame is due in 100 s
    assert (process.returncode, err) == (0, "")
    figures = r"1 frames read, 1 delivered, 0 failed, 0\.0 MB in \d+\.\d s, \d\.\d MB/s\n"
    assert re.fullmatch(rf"door \(run r7\): {figures}", out)


def test_of_a_cut_off_video_what_could_be_read_arrives_and_one_line_says_why_it_ended(
    bench: Bench, tmp_path: Path
) -> None:
    short = cut(index_first(write_video(tmp_path / "whole.mp4")), 0.5)
    results = {
        "people": bench.run(short, "--fps", "max", "--stream", "people"),
        "programs": bench.call(short, "--fps", "max", "--stream", "programs", "--json"),
    }
    frames = bench.frames()
    n = len(frames) // 2
    assert 5 < n < 55
    why = f"{short}: cut off or damaged: {n} of about 60 frames could be read"
    for stream, (code, _, err) in results.items():
        assert (code, err) == (1, f"framewatch: {why}\n")
        assert numbers([frame for frame in frames if frame.stream == stream]) == list(range(n))
    assert f"{n} frames read, {n} delivered, 0 failed" in results["people"][1]
    summary = json.loads(results["programs"][1])
    assert (summary["frames_read"], summary["delivered"], summary["error"]) == (n, n, why)


def test_what_cannot_be_read_at_all_is_one_line(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"\0\0\0\x18ftypmp42 and then nothing of the kind" * 20)
    (tmp_path / "empty.mkv").touch()
    write_video(tmp_path / "frameless.avi", "MJPG", 0)
    (tmp_path / "folder").mkdir()
    sources = {
        tmp_path / "broken.mp4": "broken.mp4: cannot be opened as a video",
        tmp_path / "empty.mkv": "empty.mkv: the file is empty",
        tmp_path / "frameless.avi": "frameless.avi: ",
        tmp_path / "folder": "folder: no pictures or videos in it",
        tmp_path / "missing.mp4": "missing.mp4: no such file or folder",
        "": "got '' as source: name a file",
        "ftp://u:secret@host/a": "ftp://host/a: the scheme is 'ftp'; one of file, rtsp",
    }
    for source, expected in sources.items():
        # One by a process of its own: there, nobody has told FFmpeg before to be quiet.
        code, _, err = (bench.run if source == tmp_path / "broken.mp4" else bench.call)(source)
        assert code == 1
        assert expected in err
        assert err.startswith("framewatch: ")
        assert err.count("\n") == 1
    assert bench.count() == 0


def test_several_sources_are_one_line_that_says_what_takes_them(bench: Bench) -> None:
    code, out, err = bench.run("clips/a.mkv", "clips/b.mkv", "clips/c.mkv")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "got 3 sources: one source at a time; `framewatch up` takes several, or name the folder" in err


def test_wrong_values_are_one_line_that_says_what_was_got_and_what_is_allowed(bench: Bench) -> None:
    wrong = {
        ("--fps", "0"): ("'0'", "native, max, or a number over 0 and at most 1000"),
        ("--fps", "nan"): ("'nan'", "native, max, or a number"),
        ("--wait", "-1"): ("'-1'", "a number of seconds, 0 to 86400"),
        ("--quality", "101"): ("'101'", "100"),
        ("--max-side", "wide"): ("'wide'", "integer"),
        ("--stream", "a/b"): ("'a/b'", "1 to 64 letters"),
    }
    for (name, value), said in wrong.items():
        code, _, err = bench.call(SAMPLE, name, value)
        assert code == 2
        assert err.startswith("framewatch: ")
        assert err.count("\n") == 1
        assert all(part in err for part in (name, *said)), err


def test_a_terminal_shows_how_far_it_is(bench: Bench, services: Services, clip: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "framewatch.producer", str(clip), "--topic", bench.topic, "--fps", "30"],
        env={**services.environment(), "TERM": "xterm", "COLUMNS": "100"},
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=theirs, text=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    with open(ours, "rb", buffering=0) as terminal:  # noqa: PTH123
        try:
            while part := terminal.read(4096):
                shown += part
        except OSError:  # Linux says so when the other end was closed
            pass
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "30 frames read, 30 delivered" in out
    assert re.search(rb"clip.*\D[1-9]\d?/30\b", shown), shown


# The broker is away


def test_a_broker_that_is_not_there_is_waited_for_and_then_one_line_says_so(bench: Bench) -> None:
    started = time.monotonic()
    stopped = bench.start(SAMPLE, "--json", KAFKA_BOOTSTRAP_SERVERS=NOBODY)
    code, out, err = bench.run(SAMPLE, "--wait", "1.5", KAFKA_BOOTSTRAP_SERVERS=NOBODY)
    assert 1.5 < time.monotonic() - started < 50  # a minute is what it waits unless told
    notice, said = err.splitlines()
    assert (code, out) == (1, "")
    assert f"waiting for Kafka at {NOBODY}" in notice
    assert said.startswith(f"framewatch: no Kafka answers at {NOBODY} after ")
    # The other one waits a minute, but not when stopped; nothing was sent, and that is no error.
    assert stopped.stderr is not None
    assert "waiting for Kafka" in stopped.stderr.readline()
    summary = ended(stopped, signal.SIGINT, 30)
    assert (summary["frames_read"], summary["delivered"], summary["error"]) == (0, 0, None)


@pytest.fixture
def fragile(own: OwnServices, framewatch: Command, topic: str) -> Bench:
    """A topic on the broker that may be killed."""
    ensure_topic(own.endpoints.kafka, topic, 2, 1, {})

    def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
        return framewatch(*arguments, FRAMEWATCH_HOME=str(own.home.folder), **environment)

    return Bench(start, own.endpoints.kafka, topic)


@contextmanager
def paused(services: OwnServices) -> Iterator[None]:
    """The broker is there and answers nothing."""
    assert services.kafka.pid is not None
    os.kill(services.kafka.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(services.kafka.pid, signal.SIGCONT)


def test_a_broker_that_goes_away_costs_no_frame(own: OwnServices, fragile: Bench) -> None:
    process = fragile.start(SAMPLE, "--fps", "70", "--json")
    fragile.wait_for(60)
    with paused(own):
        time.sleep(2)
    fragile.wait_for(210)  # what waited is there, and half of the video is still to come
    assert own.kafka.pid is not None
    os.kill(own.kafka.pid, signal.SIGKILL)
    own.kafka.start()
    own.kafka.wait_ready()
    summary = ended(process, None, 120)
    assert (summary["frames_read"], summary["delivered"], summary["failed"]) == (420, 420, 0)
    arrived = fragile.arrived()
    assert numbers([one.frame for one in arrived]) == list(range(420))
    assert len({one.partition for one in arrived}) == 1


def test_stopped_while_the_broker_is_away_it_waits_for_it_some_seconds_unless_stopped_again(
    own: OwnServices, fragile: Bench
) -> None:
    patient = fragile.start(SAMPLE, "--loop", "--json")
    hasty = fragile.start(SAMPLE, "--loop", "--stream", "hasty")
    wait_for(lambda: len({frame.stream for frame in fragile.frames()}) == 2, "both streams")
    with paused(own):
        time.sleep(0.5)
        for process in (patient, hasty):
            process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert (patient.poll(), hasty.poll()) == (None, None)
        hasty.send_signal(signal.SIGINT)
        hasty.communicate(timeout=6)  # the other one has ten seconds from when it was asked to end
        assert hasty.returncode == 130
    summary = ended(patient, None)
    assert (summary["failed"], summary["dropped"]) == (0, 0)
    frames = [frame for frame in fragile.frames() if frame.stream == "sample"]
    assert numbers(frames) == list(range(summary["delivered"]))


def test_a_topic_deleted_in_mid_stream_is_made_again_and_filled(bench: Bench, endpoints: Endpoints) -> None:
    process = bench.start(SAMPLE, "--fps", "120", "--json")
    bench.wait_for(60)
    admin = AdminClient({"bootstrap.servers": endpoints.kafka})
    admin.delete_topics([bench.topic])[bench.topic].result(20)
    soon_us = time.time_ns() // 1000 + 1_000_000
    _, out, err = result(process)
    summary = json.loads(out)
    taken_us = {frame.number: frame.time_us for frame in bench.frames()}
    found = list(taken_us)
    assert (summary["frames_read"], summary["delivered"], summary["failed"]) == (420, 420, 0), err
    assert process.returncode == 0
    assert bench.count() == len(found) and found[-1] == 419, "each once"
    assert taken_us[found[0]] < soon_us, "all that the old topic could not have"
    # The new topic has all from some frame on; but of those that were on their way when the old one went, the client
    # may take a few for delivered: on the new one their numbers in its sequence are behind those that came first.
    gaps = [(a, b) for a, b in itertools.pairwise(found) if b != a + 1]
    assert len(gaps) <= 1, "what is missing is one unbroken stretch"
    assert all(b - a <= 11 and taken_us[b] < soon_us for a, b in gaps), "a few, right at the deletion"


# Long runs


def test_memory_stays_flat(bench: Bench, clip: Path) -> None:
    process = bench.start(clip, "--fps", "max", "--loop", "--max-side", "120", "--json")
    resident = psutil.Process(process.pid).memory_info
    bench.wait_for(500)
    early = resident().rss
    bench.wait_for(5000, 180)
    late = resident().rss
    assert ended(process)["delivered"] >= 5000
    assert (late - early) / 1e6 < 15


# Live sources


def endless(fps: float, seconds: float = 60, sent: list[int] | None = None) -> Callable[[Handler], None]:
    """A camera, which makes up for its pauses; it notes the numbers of the pictures that it has sent."""
    jpegs = [cv2.imencode(".jpg", noise(number))[1].tobytes() for number in range(10)]

    def send(request: Handler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        started = time.monotonic()
        for number in range(int(fps * seconds)):
            jpeg = jpegs[number % 10]
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            request.wfile.write(head + jpeg + b"\r\n")
            if sent is not None:
                sent.append(number)
            time.sleep(max(0.0, started + (number + 1) / fps - time.monotonic()))

    return send


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as server:
        yield server


def test_a_camera_that_breaks_and_comes_back_goes_on_in_the_same_run(bench: Bench, web: Web) -> None:
    web.routes["/live"] = in_turn(endless(50), endless(50, 0.4), camera, lambda request: None, endless(50))
    process = bench.start(web.address("/live", "hidden:secret@"), "--json")
    bench.wait_for(20 + 10 + 30)
    process.send_signal(signal.SIGINT)
    _, out, err = result(process)
    summary, frames = json.loads(out), bench.frames()
    assert (process.returncode, summary["error"]) == (0, None)
    assert summary["delivered"] == summary["frames_read"] == len(frames)
    assert numbers(frames) == list(range(len(frames)))
    assert {(frame.run, frame.stream) for frame in frames} == {(summary["run"], "127.0.0.1")}
    assert err.count("opening it again") >= 3
    assert "secret" not in out + err


@pytest.mark.alone
def test_of_a_camera_what_is_over_the_rate_is_left_out(bench: Bench, web: Web) -> None:
    web.routes["/live"] = endless(60)

    def rate() -> float:
        """Frames a second."""
        before = bench.count()
        process = bench.start(web.address("/live"), "--fps", "20", "--json")
        bench.wait_for(before + 30)
        summary = ended(process)
        frames = [frame for frame in bench.frames() if frame.run == summary["run"]]
        assert summary["frames_read"] == summary["delivered"] + summary["dropped"]
        assert summary["delivered"] == len(frames)
        assert summary["dropped"] > summary["delivered"] / 2
        assert all(a < b for a, b in itertools.pairwise(numbers(frames)))
        return (len(frames) - 1) / (frames[-1].time_us - frames[0].time_us) * 1e6

    measured(rate, lambda fps: 17 < fps < 23)  # of a busy machine the camera itself may have pauses


def test_while_the_broker_is_away_a_cameras_frames_are_left_out_and_counted(
    own: OwnServices, fragile: Bench, web: Web
) -> None:
    sent: list[int] = []
    web.routes["/live"] = endless(100, sent=sent)
    small = json.dumps({"queue.buffering.max.kbytes": "1024"})
    process = fragile.start(web.address("/live"), "--json", FRAMEWATCH_KAFKA_OPTIONS=small)
    resident = psutil.Process(process.pid).memory_info
    fragile.wait_for(50)
    before, n = resident().rss, len(sent)
    with paused(own):
        # Some sixty find room; the others come to nothing.
        wait_for(lambda: len(sent) > n + 200, "200 pictures more")
        assert process.poll() is None
        grown = resident().rss - before
    last = fragile.count()
    fragile.wait_for(last + 80)
    summary, frames = ended(process), fragile.frames()
    assert grown < 15e6
    assert summary["failed"] == 0
    assert summary["dropped"] > 80
    assert summary["frames_read"] == summary["delivered"] + summary["dropped"]
    assert summary["delivered"] == len(frames)
    assert all(a < b for a, b in itertools.pairwise(numbers(frames)))


def test_a_camera_that_hangs_can_be_stopped(bench: Bench, web: Web) -> None:
    hanging = [endless(50, 0.1), lambda request: time.sleep(30)]
    web.routes["/live"] = in_turn(*hanging)
    process = bench.start(web.address("/live"), "--json")
    wait_for(lambda: len(web.requests) >= 2, "the request that hangs")
    time.sleep(1)
    summary = ended(process, signal.SIGINT, 25)  # ten seconds after it began to hang, on an idle machine
    assert summary["error"] is None
