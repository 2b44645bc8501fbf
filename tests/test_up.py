"""Everything by one command: it starts, shows, survives a death, is stopped, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from conftest import REPOSITORY, SAMPLE, wait_for
from ports import choose_port, is_free
from services.home import Home
from storage.mongo import connect
from vision.jpeg import decode_img


class Up:
    """``framewatch up`` in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = choose_port()
        self.process: subprocess.Popen[str] | None = None
        self.log = home.parent / "up.log"

    def start(self, *arguments: object) -> Up:
        options = ("up", *arguments, "--home", self.home, "--port", self.port)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from cli import main; main()", *map(str, options)],
                cwd=REPOSITORY,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        return self

    def end(self, number: int = signal.SIGINT, timeout_s: float = 60) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def said(self) -> str:
        return self.log.read_text()

    def children(self) -> dict[str, int]:
        return {record.stem: json.loads(record.read_text())["pid"] for record in Home(self.home).records()}

    def seconds_to_picture(self) -> float:
        started = time.monotonic()
        wait_for(lambda: self.frame() is not None, "a picture", 60)
        return time.monotonic() - started

    def frame(self) -> int | None:
        """Number of the newest frame shown."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/snapshot/sample.jpg", timeout=2) as answer:
                decode_img(answer.read())
                return int(answer.headers["X-Frame"])
        except OSError:
            return None


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up") / "home"


@pytest.fixture
def up(home: Path) -> Iterator[Up]:
    up = Up(home)
    yield up
    if up.process is not None and up.process.poll() is None:
        os.killpg(up.process.pid, signal.SIGKILL)
        up.process.wait()
    for pid in up.children().values():
        if psutil.pid_exists(pid):
            psutil.Process(pid).kill()


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


def test_a_second_start_shows_its_first_picture_within_eight_seconds_and_keeps_what_was_stored(up: Up) -> None:
    up.start(SAMPLE, "--loop", "--run", "second")
    assert up.seconds_to_picture() < 8
    wait_for(lambda: (up.frame() or 0) > 60, "some faces")
    noted = Home(up.home).recorded()
    assert noted is not None
    with connect(noted.mongodb) as client:
        runs = set(client["framewatch"]["events"].distinct("run"))
    assert "second" in runs and len(runs) == 2
    assert up.end(signal.SIGTERM) == 0


def test_a_killed_child_is_told_and_started_again(up: Up) -> None:
    up.start(SAMPLE, "--loop")
    up.seconds_to_picture()
    for name in ("store", "kafka", "consumer"):
        os.kill(up.children()[name], signal.SIGKILL)
        line = f"{name} was killed by SIGKILL"
        wait_for(lambda line=line: line in up.said(), line)  # type: ignore[misc]
        wait_for(lambda: healthy(up.port), f"health after the death of {name}")
        before = up.frame() or 0
        wait_for(lambda before=before: (up.frame() or 0) != before, "new pictures")  # type: ignore[misc]
    assert len(re.findall("starting it again", up.said())) == 3
    assert up.end() == 0


def test_what_a_killed_run_left_behind_is_ended_by_the_next(up: Up) -> None:
    up.start(SAMPLE, "--loop")
    up.seconds_to_picture()
    left = up.children()
    assert up.end(signal.SIGKILL) == -signal.SIGKILL
    assert all(psutil.pid_exists(pid) for pid in left.values())
    up.start(SAMPLE, "--loop")
    # The consumer left behind holds the port: the first start that finds it so must end it, not complain of it.
    wait_for(lambda: "live " in up.said(), "the second start")
    assert not any(alive(pid) for pid in left.values())
    up.seconds_to_picture()
    assert up.end() == 0


def test_a_second_run_in_the_same_home_is_one_line(up: Up) -> None:
    up.start()
    wait_for(lambda: "live " in up.said(), "the first run")
    other = Up(up.home)
    other.log = up.home.parent / "other.log"
    other.start()
    assert other.process is not None and up.process is not None
    assert other.process.wait(30) == 1
    assert other.said() == (
        f"framewatch: the services of {up.home} are running already (process {up.process.pid}); "
        "stop them or name another home by --home\n"
    )
    assert up.end() == 0


def test_a_taken_port_is_one_line_and_nothing_is_started(up: Up) -> None:
    up.start("--host", "127.0.0.1")
    wait_for(lambda: "live " in up.said(), "the first run")
    other = Up(up.home.parent / "other")
    other.log = up.home.parent / "taken.log"
    other.port = up.port
    other.start(SAMPLE)
    assert other.process is not None
    assert other.process.wait(30) == 1
    assert re.fullmatch(rf"framewatch: port {up.port} is taken by .*; choose another by --port\n", other.said())
    assert up.end() == 0


def test_sources_that_fail_or_end_are_told_while_the_others_go_on(up: Up, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    up.start(tmp_path / "broken.mp4", SAMPLE, "--fps", "max")
    wait_for(lambda: "producer-2 came to its end" in up.said(), "the end of the sample")
    wait_for(lambda: "producer-1 ended with code 1" in up.said(), "the failure")
    assert "broken.mp4: cannot be opened as a video" in up.said()
    wait_for(lambda: up.frame() == 419, "the last frame")
    assert up.end() == 0


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
