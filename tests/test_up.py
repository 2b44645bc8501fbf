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

    def frame(self) -> int | None:
        """Number of the newest frame shown."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/snapshot/sample.jpg", timeout=10) as answer:
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


def test_a_killed_child_is_told_and_started_again(up: Up) -> None:
    up.start(SAMPLE, "--loop")
    up.seconds_to_picture()
    for name in ("store", "kafka", "consumer"):
        os.kill(up.children()[name], signal.SIGKILL)
        line = f"{name} was killed by SIGKILL"
        wait_for(lambda line=line: line in up.said(), line)  # type: ignore[misc]
        wait_for(lambda: healthy(up.port), f"health after the death of {name}", 120)
        shown = {up.frame(), None}
        wait_for(lambda shown=shown: up.frame() not in shown, "new pictures", 120)  # type: ignore[misc]
    assert len(re.findall("starting it again", up.said())) == 3
    assert up.end() == 0


def test_when_it_is_killed_all_of_it_ends_and_the_store_is_sound(up: Up) -> None:
    up.start(SAMPLE, "--loop", "--run", "killed")
    up.seconds_to_picture()
    wait_for(lambda: (up.frame() or 0) > 60, "some faces")
    pids = {**up.children(), "guard": up.guard()}
    assert set(pids) == {"kafka", "store", "consumer", "producer", "guard"}
    assert up.end(signal.SIGKILL) == -signal.SIGKILL
    wait_for(lambda: not any(map(alive, pids.values())), "the end of all", 60)
    # Asked to end, not killed: the databases are whole, and the consumer has committed what it stored.
    for database in Home(up.home).store.glob("*.db"):
        with closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert "ended: " in (Home(up.home).logs / "consumer.log").read_text().splitlines()[-1]


def test_what_a_run_killed_with_its_guard_left_behind_is_ended_by_the_next(up: Up) -> None:
    up.start(SAMPLE, "--loop")
    up.seconds_to_picture()
    left = up.children()
    assert up.process is not None
    up.process.send_signal(signal.SIGSTOP)  # else it would start another guard
    os.kill(up.guard(), signal.SIGKILL)
    assert up.end(signal.SIGKILL) == -signal.SIGKILL
    assert all(psutil.pid_exists(pid) for pid in left.values())
    up.start(SAMPLE, "--loop")
    # The consumer left behind holds the port: the first start that finds it so must end it, not complain of it.
    wait_for(lambda: "live " in up.said(), "the second start", 150)
    assert not any(alive(pid) for pid in left.values())
    up.seconds_to_picture()
    assert up.end() == 0


def test_a_start_right_after_a_kill_is_left_alone_by_the_first_ones_guard(up: Up) -> None:
    up.start(SAMPLE, "--loop")
    up.seconds_to_picture()
    guard = up.guard()
    assert up.end(signal.SIGKILL) == -signal.SIGKILL
    up.start(SAMPLE, "--loop")
    wait_for(lambda: "live " in up.said(), "the second start", 150)
    wait_for(lambda: not alive(guard), "the end of the first guard", 60)
    up.seconds_to_picture()
    assert "starting it again" not in up.said()
    assert up.end() == 0


def test_services_that_are_killed_leave_nothing_running(home: Path) -> None:
    with ended_at_last(Up(home)) as services:
        services.start_command("services", "--home", home)
        wait_for(lambda: "state " in services.said(), "the services", 150)
        pids = {**services.children(), "guard": services.guard()}
        assert set(pids) == {"kafka", "store", "guard"}
        services.end(signal.SIGKILL)
        wait_for(lambda: not any(map(alive, pids.values())), "the end of all", 60)


def test_files_in_the_current_folder_are_not_run_instead_of_ours(up: Up, tmp_path: Path) -> None:
    trap = "import pathlib; pathlib.Path(__file__ + '.was-run').touch()\n"
    for name in ("producer", "consumer", "settings", "nx_27017", "click", "cv2", "json", "psutil"):
        (tmp_path / f"{name}.py").write_text(trap)
    (tmp_path / "framewatch").mkdir()
    for name in ("__init__", "producer", "consumer", "cli", "settings"):
        (tmp_path / "framewatch" / f"{name}.py").write_text(trap)
    up.folder = tmp_path
    up.start(SAMPLE, "--loop")
    up.seconds_to_picture()
    assert up.end() == 0
    assert [*tmp_path.rglob("*.was-run")] == []


def test_two_sources_of_one_name_are_two_streams_and_told(up: Up, tmp_path: Path) -> None:
    for folder in ("hall", "door"):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / "video.avi", "MJPG", 30)
    up.folder = tmp_path
    up.start("hall/video.avi", "door/video.avi", "--run", "same")
    names = ("hall-video", "door-video")
    wait_for(lambda: all(f"stream    {name} " in up.said() for name in names), "both names on the console", 150)
    wait_for(lambda: {"hall-video", "door-video"} <= up.streams(), "both streams", 60)
    assert "video" not in up.streams()
    assert up.end() == 0


def test_sources_that_fail_or_end_are_told_while_the_others_go_on(up: Up, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    video = write_video(tmp_path / "sample.avi", "MJPG", 90)
    up.start(tmp_path / "broken.mp4", video, "--fps", "max")
    wait_for(lambda: "producer-2 came to its end" in up.said(), "the end of the video", 150)
    wait_for(lambda: "producer-1 ended with code 1" in up.said(), "the failure")
    assert "broken.mp4: cannot be opened as a video" in up.said()
    wait_for(lambda: up.frame() == 89, "the last frame")
    assert up.end() == 0


@pytest.fixture(scope="class")
def running(home: Path) -> Iterator[Up]:
    with ended_at_last(Up(home)) as up:
        up.start("--host", "127.0.0.1")
        wait_for(lambda: "live " in up.said(), "the first run", 150)
        yield up
        assert up.end() == 0


class TestBesideOneThatRuns:
    def test_a_second_run_in_the_same_home_is_one_line(self, running: Up) -> None:
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

    def test_a_taken_port_is_one_line_and_nothing_is_started(self, running: Up) -> None:
        other = Up(running.home.parent / "other")
        other.log = running.home.parent / "taken.log"
        other.port = running.port
        other.start(SAMPLE)
        assert other.process is not None and running.process is not None
        assert other.process.wait(60) == 1
        assert re.fullmatch(
            rf"framewatch: port {running.port} is taken by .*; choose another by --port\n", other.said()
        )
        assert other.children() == {}
        assert running.process.poll() is None


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
