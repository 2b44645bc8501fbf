"""The emotion model that comes with Framewatch, on real faces: its figure, and labels that do not flicker."""

from __future__ import annotations

import itertools
import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner
from pymongo.database import Database

from conftest import REPOSITORY, Command, wait_for
from framewatch.cli import cli
from framewatch.storage.mongo.documents import Document
from shared import free_port

MODEL = REPOSITORY / "models" / "emotions"
CLIPS_S = 379 / 30  # six clips, one after another
MOST_CHANGES_A_MINUTE = 12


@pytest.mark.timeout(900)
def test_the_model_is_as_good_as_its_card_says(data: Path, tmp_path: Path) -> None:
    """On validation, the part it was chosen by; processors that count otherwise may differ in a few pictures."""
    arguments = [
        "evaluate",
        "--model",
        str(MODEL),
        "--data",
        str(data / "fer2013.npz"),
        "--json",
        "--work",
        str(tmp_path),
    ]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    said = json.loads((MODEL / "metrics.json").read_text())
    assert report["samples"] == said["samples"] == 3589
    assert report["accuracy"] >= 0.66
    assert report["accuracy"] == pytest.approx(said["accuracy"], abs=0.005)
    card = (MODEL / "card.md").read_text()
    assert f"| {100 * said['accuracy']:.1f} %" in card
    assert "research use" in card


def test_the_model_is_small_enough_for_the_repository() -> None:
    assert sum(path.stat().st_size for path in MODEL.iterdir()) <= 10_000_000


def test_emotions_of_real_faces_are_shown_steadily_while_the_raw_ones_are_stored(
    framewatch: Command, topic: str, database: Database[Document], data: Path
) -> None:
    port = free_port()
    worker = framewatch(
        "consume",
        "--preset",
        "emotions",
        "--topic",
        topic,
        "--group",
        topic,
        "--database",
        database.name,
        "--port",
        port,
    )
    wait_for(lambda: streams(port) is not None, "a consumer", 200)
    producer = framewatch("produce", data / "asl_gestures", "--topic", topic, "--stream", "person")
    shown: list[str] = []

    def look() -> None:
        shown.extend(stream["labels"][0] for stream in streams(port) or () if stream["labels"])
        time.sleep(0.02)

    while producer.poll() is None:
        look()
    out, err = producer.communicate()
    assert producer.returncode == 0, err
    (sent,) = map(int, re.findall(r"(\d+) delivered", out + err))
    while health(port)["counts"]["done"] < sent:  # stored, and shown before that
        assert worker.poll() is None
        look()
    look()
    assert psutil.Process(worker.pid).memory_info().rss < 600e6

    raw = [
        event["label"]
        for event in database["events"].find({"stream": {"$eq": "person"}}).sort([("time_us", 1), ("_id", 1)])
    ]
    assert len(raw) > 300
    assert set(raw) <= set(json.loads((MODEL / "label_map.json").read_text()).values())
    assert changes(shown) * 60 / CLIPS_S < MOST_CHANGES_A_MINUTE
    assert changes(raw) > 2 * changes(shown)


def changes(labels: list[str]) -> int:
    return sum(one != other for one, other in itertools.pairwise(labels))


def streams(port: int) -> list[dict[str, Any]] | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/streams", timeout=60) as answer:
            found: list[dict[str, Any]] = json.load(answer)["streams"]
            return found
    except OSError:
        return None


def health(port: int) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        with error:
            return dict(json.load(error))
