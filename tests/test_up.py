"""Everything by one command: it starts, shows, survives a death, is stopped, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import cv2
import psutil
import pytest

from conftest import REPOSITORY, SAMPLE, wait_for
from framewatch.embedded.home import Home
from framewatch.ports import is_free
from framewatch.storage.mongo.client import connect
from framewatch.vision.jpeg import decode_img
from shared import free_port
from test_sources import write_video


class Up:
    """``framewatch up`` in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None
        self.log = home.parent / "up.log"
        self.folder = REPOSITORY

    def start(self, *arguments: object) -> Up:
        return self.start_command("up", *arguments, "--home", self.home, "--port", self.port)

    def start_command(self, *arguments: object) -> Up:
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", "from framewatch.cli import main; main()", *map(str, arguments)],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        return self

    def end(self, number: int = signal.SIGINT, timeout_s: float = 120) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def said(self) -> str:
        return self.log.read_text()

    def children(self) -> dict[str, int]:
        return {record.stem: json.loads(record.read_text())["pid"] for record in Home(self.home).records()}

    def guard(self) -> int:
        assert self.process is not None
        children = psutil.Process(self.process.pid).children()
        [guard] = [child.pid for child in children if "framewatch.embedded.guard" in child.cmdline()]
        return guard

    def streams(self) -> set[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/streams", timeout=10) as answer:
            return {stream["stream"] for stream in json.load(answer)["streams"]}

    def seconds_to_picture(self) -> float:
        started = time.monotonic()
        wait_for(lambda: self.frame() is not None, "a picture", 150)
        return time.monotonic() - started

    def frame(self, stream: str = "sample") -> int | None:
        """Number of the newest frame shown of a stream."""
        address = f"http://127.0.0.1:{self.port}/snapshot/{stream}.jpg"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                decode_img(answer.read())
                return int(answer.headers["X-Frame"])
        except OSError:
            return None


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up") / "home"


@pytest.fixture
def up(home: Path) -> Iterator[Up]:
    with ended_at_last(Up(home)) as up:
        yield up


@contextmanager
def ended_at_last(up: Up) -> Iterator[Up]:
    """Whatever happens, nothing of it runs on."""
    try:
        yield up
    finally:
        if up.process is not None and up.process.poll() is None:
            os.killpg(up.process.pid, signal.SIGKILL)
            up.process.wait()
        for pid in up.children().values():
            if psutil.pid_exists(pid):
                psutil.Process(pid).kill()


@pytest.mark.alone  # with the next one, which starts what this one has left
def test_it_shows_the_video_and_ctrl_c_ends_all_of_it(up: Up) -> None:
    up.start(SAMPLE, "--loop")
    up.seconds_to_picture()
    wait_for(lambda: (up.frame() or 0) > 60, "some faces")
    assert f"http://127.0.0.1:{up.port}/video" in up.said()
    children = up.children()
    assert set(children) == {"kafka", "store", "consumer", "producer"}
    assert up.end() == 0
    assert not any(psutil.pid_exists(pid) for pid in children.values())
    assert up.children() == {}
    assert is_free(up.port)


@pytest.mark.alone
def test_a_second_start_shows_its_first_picture_within_eight_seconds_and_keeps_what_was_stored(up: Up) -> None:
    for attempt in range(3):  # other programs may hold the machine up
        up.start(SAMPLE, "--loop", "--run", "second")
        took_s = up.seconds_to_picture()
        if took_s < 8 or attempt == 2:
            break
        assert up.end() == 0
    assert took_s < 8
    noted = Home(up.home).recorded()
    assert noted is not None
    with connect(noted.mongodb) as client:
        events = client["framewatch"]["events"]
        wait_for(lambda: events.find_one({"run": "second"}) is not None, "some faces", 120)
        assert len(set(events.distinct("run"))) == 2
    assert up.end(signal.SIGTERM) == 0


ALL = ("hall/video.avi", "door/video.avi", "broken.mp4", "sample.avi", "long.avi")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shared run is started: its sources, and files that would be run instead of ours if found first."""
    folder = tmp_path_factory.mktemp("folder")
    for name in ("hall", "door"):
        (folder / name).mkdir()
        write_video(folder / name / "video.avi", "MJPG", 30)
    (folder / "broken.mp4").write_bytes(b"no video")
    write_video(folder / "sample.avi", "MJPG", 90)
    write_faces(folder / "long.avi")
    trap = "import pathlib; pathlib.Path(__file__ + '.was-run').touch()\n"
    for name in ("producer", "consumer", "settings", "nx_27017", "click", "cv2", "json", "psutil"):
        (folder / f"{name}.py").write_text(trap)
    (folder / "framewatch").mkdir()
    for name in ("__init__", "producer", "consumer", "cli", "settings"):
        (folder / "framewatch" / f"{name}.py").write_text(trap)
    return folder


@pytest.fixture(scope="module")
def shared(home: Path, folder: Path) -> Iterator[Up]:
    """A run that goes on from test to test, each of which starts it where the one before has ended it."""
    with ended_at_last(Up(home)) as up:
        up.folder = folder
        yield up


@pytest.fixture
def running(shared: Up) -> Up:
    """The shared run, with pictures of the video that takes long."""
    if shared.process is None or shared.process.poll() is not None:
        begin(shared, *ALL)
    wait_for(lambda: shared.frame("long") is not None, "a picture", 150)
    return shared


def begin(up: Up, *sources: str) -> None:
    up.start(*sources, "--host", "127.0.0.1")
    wait_for(lambda: "live " in up.said(), "the start", 150)


def write_faces(path: Path) -> None:
    """Ten minutes of frames with a face, small and few: what runs beside it needs the machine more."""
    whole = cv2.VideoCapture(str(SAMPLE))
    for _ in range(100):
        whole.grab()
    faces = [cv2.resize(whole.read()[1], (240, 135), interpolation=cv2.INTER_AREA) for _ in range(10)]
    whole.release()
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 4, (240, 135))
    assert video.isOpened()
    for number in range(2400):
        video.write(faces[number % len(faces)])
    video.release()


def test_sources_that_fail_or_end_are_told_while_the_others_go_on(running: Up) -> None:
    wait_for(lambda: "producer-4 came to its end" in running.said(), "the end of the video", 150)
    wait_for(lambda: "producer-3 ended with code 1" in running.said(), "the failure")
    assert "broken.mp4: cannot be opened as a video" in running.said()
    wait_for(lambda: running.frame() == 89, "the last frame")
    shown = {running.frame("long"), None}
    wait_for(lambda: running.frame("long") not in shown, "new pictures of the others")


def test_two_sources_of_one_name_are_two_streams_and_told(running: Up) -> None:
    names = ("hall-video", "door-video")
    assert all(f"stream    {name} " in running.said() for name in names)
    wait_for(lambda: {"hall-video", "door-video"} <= running.streams(), "both streams", 60)
    assert "video" not in running.streams()


def test_a_second_run_in_the_same_home_is_one_line(running: Up) -> None:
    other = Up(running.home)
    other.log = running.home.parent / "other.log"
    other.start()
    assert other.process is not None and running.process is not None
    assert other.process.wait(60) == 1
    pid = running.process.pid
    assert other.said() == (
        f"framewatch: the services of {running.home} are running already (process {pid}): "
        f"end it by Ctrl-C or `kill {pid}`, or name another home by --home\n"
    )
    assert running.process.poll() is None


def test_a_taken_port_is_one_line_and_nothing_is_started(running: Up) -> None:
    other = Up(running.home.parent / "other")
    other.log = running.home.parent / "taken.log"
    other.port = running.port
    other.start(SAMPLE)
    assert other.process is not None and running.process is not None
    assert other.process.wait(60) == 1
    assert re.fullmatch(rf"framewatch: port {running.port} is taken by .*; choose another by --port\n", other.said())
    assert other.children() == {}
    assert running.process.poll() is None


def test_files_in_the_current_folder_are_not_run_instead_of_ours(running: Up, folder: Path) -> None:
    assert running.folder == folder and (folder / "framewatch" / "producer.py").exists()
    assert [*folder.rglob("*.was-run")] == []


def test_when_it_is_killed_all_of_it_ends_and_the_store_is_sound(running: Up) -> None:
    wait_for(lambda: (running.frame("long") or 0) > 20, "some faces")
    children = running.children()
    assert {"kafka", "store", "consumer", "producer-5"} <= set(children)
    pids = {**children, "guard": running.guard()}
    assert running.end(signal.SIGKILL) == -signal.SIGKILL
    wait_for(lambda: not any(map(alive, pids.values())), "the end of all", 60)
    # Asked to end, not killed: the databases are whole, and the consumer has committed what it stored.
    for database in Home(running.home).store.glob("*.db"):
        with closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert "ended: " in (Home(running.home).logs / "consumer.log").read_text().splitlines()[-1]


def test_what_a_run_killed_with_its_guard_left_behind_is_ended_by_the_next(shared: Up) -> None:
    if shared.process is None or shared.process.poll() is not None:
        begin(shared, "long.avi")
    wait_for(lambda: shared.frame("long") is not None, "a picture")
    left = {name: pid for name, pid in shared.children().items() if alive(pid)}
    assert {name.partition("-")[0] for name in left} == {"kafka", "store", "consumer", "producer"}
    assert shared.process is not None
    shared.process.send_signal(signal.SIGSTOP)  # else it would start another guard
    os.kill(shared.guard(), signal.SIGKILL)
    assert shared.end(signal.SIGKILL) == -signal.SIGKILL
    assert all(alive(pid) for pid in left.values())
    # The consumer left behind holds the port: the first start that finds it so must end it, not complain of it.
    begin(shared, "long.avi")
    assert not any(alive(pid) for pid in left.values())
    wait_for(lambda: shared.frame("long") is not None, "a picture")


def test_a_start_right_after_a_kill_is_left_alone_by_the_first_ones_guard(running: Up) -> None:
    guard = running.guard()
    assert running.end(signal.SIGKILL) == -signal.SIGKILL
    begin(running, "long.avi")
    wait_for(lambda: not alive(guard), "the end of the first guard", 60)
    wait_for(lambda: running.frame("long") is not None, "a picture")
    assert "starting it again" not in running.said()


def test_a_killed_child_is_told_and_started_again(running: Up, folder: Path) -> None:
    for name in ("store", "kafka", "consumer"):
        os.kill(running.children()[name], signal.SIGKILL)
        line = f"{name} was killed by SIGKILL"
        wait_for(lambda line=line: line in running.said(), line)  # type: ignore[misc]
        wait_for(lambda: healthy(running.port), f"health after the death of {name}", 120)
        shown = {running.frame("long"), None}
        wait_for(lambda shown=shown: running.frame("long") not in shown, "new pictures", 120)  # type: ignore[misc]
    assert len(re.findall("starting it again", running.said())) == 3
    assert running.end() == 0
    assert running.children() == {}
    assert [*folder.rglob("*.was-run")] == []  # nor by what was started again


def test_services_that_are_killed_leave_nothing_running(home: Path) -> None:
    with ended_at_last(Up(home)) as services:
        services.start_command("services", "--home", home)
        wait_for(lambda: "state " in services.said(), "the services", 150)
        pids = {**services.children(), "guard": services.guard()}
        assert set(pids) == {"kafka", "store", "guard"}
        services.end(signal.SIGKILL)
        wait_for(lambda: not any(map(alive, pids.values())), "the end of all", 60)


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
