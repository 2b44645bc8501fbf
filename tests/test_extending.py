"""docs/extending.md at its word: each example, taken out of the page and put into a copy of the sources, works."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import requests
from pymongo.database import Database

import test_browser
from conftest import REPOSITORY, SAMPLE, Command, Services, wait_for
from framewatch.embedded.home import Endpoints
from framewatch.kafka.topics import ensure_topic
from framewatch.storage.mongo.documents import Document
from framewatch.vision.jpeg import decode_img
from running import Stack
from shared import free_port
from test_browser import Browser

browser, chrome = test_browser.browser, test_browser.chrome  # fixtures

PAGE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = {section.partition("\n")[0]: section for section in PAGE.split("\n## ")[1:]}
_EDIT = re.compile(r"^`src/([\w/.]+)`[^\n]*:\n\n```(\w+)\n(.*?)^```", re.S | re.M)


class Edit(NamedTuple):
    """What an example does to one file of the sources."""

    path: str
    language: str
    text: str

    def apply(self, sources: Path) -> None:
        file = sources / self.path
        if self.language != "diff":
            assert not file.exists(), f"{self.path} is there already: the page calls it new"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.text, encoding="utf-8")
            return
        content = file.read_text(encoding="utf-8")
        for hunk in self.text.split("@@\n"):
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if not line.startswith("+"))
            after = "".join(line[1:] for line in lines if not line.startswith("-"))
            assert content.count(before) == 1, f"{self.path} has not, or not only once:\n{before}"
            content = content.replace(before, after)
        file.write_text(content, encoding="utf-8")


def edits(section: str) -> list[Edit]:
    return [Edit(*found) for found in _EDIT.findall(SECTIONS[section])]


@pytest.fixture
def extended(tmp_path: Path) -> Callable[[str], str]:
    """The folder to be on Python's path, with a copy of the sources to which a section's example was applied."""
    return lambda *sections: extend(tmp_path, *sections)


def extend(folder: Path, *sections: str) -> str:
    sources = Path(shutil.copytree(REPOSITORY / "src", folder / "extended" / "framewatch"))
    for section in sections:
        for edit in edits(section):
            edit.apply(sources)
    return str(sources.parent)


@pytest.fixture(scope="module")
def stack(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A worker of sources with three of the examples, of which none touches a file of another."""
    together = ("A source", "A rule kind", "A page")
    paths = [edit.path for section in together for edit in edits(section)]
    assert len(paths) == len(set(paths))
    (rules,) = re.findall(r"^```yaml\n(.*?)^```", SECTIONS["A rule kind"], re.S | re.M)
    for written, here in (("person", "face"), ("10m", "2s"), ("08:00-18:00", "00:00-24:00")):
        assert rules.count(written) == 1
        rules = rules.replace(written, here)
    folder = tmp_path_factory.mktemp("stack")
    (folder / "rules.yaml").write_text(rules, encoding="utf-8")
    environment = {"PYTHONPATH": extend(folder, *together)}
    stack = Stack(services, folder, ("--rules", folder / "rules.yaml"), environment)
    ensure_topic(services.endpoints.kafka, stack.name, 2, 1, {})
    try:
        stack.consume()
        wait_for(lambda: requests.get(f"{stack.address}/health", timeout=20).ok, "health")
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def send(framewatch: Command, stack: Stack) -> Command:
    """Starts a producer of the same sources to the same worker."""
    return lambda *arguments: framewatch("produce", *arguments, "--topic", stack.name, **stack.environment)


def classified(stack: Stack) -> int:
    return int(stack.ask("/health")["counts"]["done"])


class Worker:
    """A consumer of the extended sources on a topic and database of the test's own."""

    def __init__(self, framewatch: Command, topic: str, database: Database[Document], path: str) -> None:
        self.framewatch, self.topic, self.database = framewatch, topic, database
        self.environment = {"PYTHONPATH": path}
        self.port = free_port()

    def consume(self, *options: object) -> subprocess.Popen[str]:
        names = ("--topic", self.topic, "--group", self.topic, "--database", self.database.name)
        return self.framewatch("consume", *names, "--port", self.port, "--quiet", *options, **self.environment)

    def produce(self, source: object, *options: object) -> subprocess.Popen[str]:
        return self.framewatch("produce", source, "--topic", self.topic, *options, **self.environment)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, target: str) -> requests.Response:
        return requests.get(f"{self.address}{target}", timeout=20)

    def ask(self, target: str) -> Any:
        return self.get(target).json()

    def events(self) -> int:
        return self.database["events"].estimated_document_count()


@pytest.fixture
def worker(framewatch: Command, topic: str, database: Database[Document]) -> Callable[[str], Worker]:
    return lambda path: Worker(framewatch, topic, database, path)


def test_every_example_stands_in_the_table_and_has_its_section() -> None:
    table = re.findall(r"^\| \[a (\w[\w ]*)\]\(#([\w-]+)\)", PAGE, re.M)
    assert [f"A {name}" for name, _ in table] == [title for title in SECTIONS if edits(title)]
    assert [anchor for _, anchor in table] == [f"a-{name.replace(' ', '-')}" for name, _ in table]


def test_the_examples_keep_to_the_style_and_can_all_be_there_at_once(extended: Callable[..., str]) -> None:
    path = Path(extended(*(title for title in SECTIONS if edits(title))))
    shutil.copy(REPOSITORY / "pyproject.toml", path)
    named = [path / "framewatch" / edit.path for title in SECTIONS for edit in edits(title)]
    files = sorted({str(file) for file in named if file.suffix == ".py"})
    for check in (("check",), ("format", "--check")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--no-cache", *files], cwd=path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


def test_a_source_is_one_file_and_one_line(stack: Stack, send: Command) -> None:
    before = classified(stack)
    producer = send("testpattern:30", "--fps", "max", "--json")
    told, _ = producer.communicate(timeout=120)
    assert producer.returncode == 0
    assert {name: json.loads(told)[name] for name in ("stream", "frames_read", "delivered")} == {
        "stream": "testpattern-30",
        "frames_read": 30,
        "delivered": 30,
    }
    wait_for(lambda: classified(stack) == before + 30, "30 frames classified", 120)
    picture = requests.get(f"{stack.address}/snapshot/testpattern-30.jpg", timeout=20).content
    assert decode_img(picture).shape == (120, 160, 3)
    assert decode_img(picture).mean() == pytest.approx(29, abs=2)

    _, said = send("testpattern:many").communicate(timeout=120)
    assert (
        said.splitlines()[-1] == "framewatch: got 'testpattern:many': expected testpattern: and a number of pictures"
    )


def test_a_rule_kind_is_one_file_and_one_line(stack: Stack, send: Command, tmp_path: Path) -> None:
    empty = cv2.VideoWriter(str(tmp_path / "empty.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (160, 120))
    for _ in range(100):
        empty.write(np.full((120, 160, 3), 128, np.uint8))
    empty.release()

    (rule,) = stack.ask("/rules")["rules"]
    assert (rule["kind"], rule["not_seen_for"]) == ("absence", 2.0)

    def alerts() -> list[dict[str, Any]]:
        return list(stack.ask("/alerts", stream="gate")["alerts"])

    before = classified(stack)
    gate = ("--fps", "max", "--stream", "gate")
    assert send(tmp_path / "empty.avi", *gate, "--start-at", "2h").wait(120) == 0
    wait_for(lambda: alerts() != [], "the alert", 120)
    (alert,) = alerts()
    assert alert["text"].startswith("face not seen for 2 s ")
    assert alert["text"].endswith(" on gate (rule post-left)")
    assert alert["until_us"] is None
    assert alert["start_us"] - alert["since_us"] == 2_000_000

    assert send(SAMPLE, *gate, "--start-at", "1h", "--max-frames", 60).wait(120) == 1  # the rest is left out
    wait_for(lambda: alerts()[0]["until_us"] is not None, "its end", 120)
    wait_for(lambda: classified(stack) == before + 160, "all frames classified", 120)
    assert len(alerts()) == 1


def test_a_page_is_one_file_and_one_line(stack: Stack, send: Command, browser: Browser) -> None:
    before = classified(stack)
    assert send(SAMPLE, "--fps", "max", "--max-frames", 60).wait(120) == 1  # the rest is left out
    wait_for(lambda: classified(stack) == before + 60, "60 frames classified", 120)
    n = sum(stack.ask("/stats", since="1h")["events"].values())
    assert n > 20

    browser.open(f"{stack.address}/")
    wait_for(lambda: browser.text("nav").split().count("Hello") == 1, "the link to the page")
    browser.open(f"{stack.address}/#/hello")
    wait_for(lambda: f"{n} events in the last hour" in browser.text("[data-view=hello]"), "the page")
    assert browser.text("[data-view=hello] h2") == "Hello"
    assert browser.complaints() == []


def test_a_preset_is_one_file_and_one_line(
    extended: Callable[[str], str], worker: Callable[[str], Worker], database: Database[Document], tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(12):
        cv2.imwrite(str(pictures / f"{number:02}.png"), np.full((90, 160, 3), 20 * number, np.uint8))

    running = worker(extended("A preset"))
    consumer = running.consume("--preset", "brightness")
    assert running.produce(pictures, "--fps", "max").wait(120) == 0
    wait_for(lambda: running.events() == 12 or consumer.poll() is not None, "12 events", 120)
    assert consumer.poll() is None, consumer.communicate()[1]
    assert database["events"].distinct("model") == ["brightness@1"]
    labels = [document["label"] for document in database["events"].find().sort("frame", 1)]
    assert labels == ["dark"] * 7 + ["light"] * 5


def test_a_sink_is_one_file_and_one_line_and_loses_nothing_when_the_worker_is_killed(
    extended: Callable[[str], str],
    worker: Callable[[str], Worker],
    database: Database[Document],
    endpoints: Endpoints,
    tmp_path: Path,
) -> None:
    running = worker(extended("A sink"))
    home = tmp_path / "home"
    running.environment |= {
        "FRAMEWATCH_HOME": str(home),
        "KAFKA_BOOTSTRAP_SERVERS": endpoints.kafka,
        "MONGODB_URI": endpoints.mongodb,
    }
    consumer = running.consume()
    producer = running.produce(SAMPLE, "--fps", "max", "--max-frames", 150)
    wait_for(lambda: running.events() > 20 or consumer.poll() is not None, "the first events", 120)
    assert consumer.poll() is None, consumer.communicate()[1]
    consumer.kill()
    consumer.wait()
    assert producer.wait(120) == 1  # the rest is left out
    consumer = running.consume()

    def ids() -> set[str]:
        with sqlite3.connect(home / "events.db") as rows:
            return {row[0] for row in rows.execute("SELECT id FROM events")}

    def same() -> bool:
        assert consumer.poll() is None, consumer.communicate()[1]
        stored = {document["_id"] for document in database["events"].find({}, {"_id": 1})}
        return len(stored) > 90 and ids() == stored

    wait_for(same, "the same events in both", 120)
