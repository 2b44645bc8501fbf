"""What a worker makes of what it sees: episodes, and alerts that come once, whoever dies in between."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from pymongo.database import Database

from conftest import Command, Services, wait_for
from framewatch.cli import main
from framewatch.embedded.home import Endpoints
from framewatch.kafka.record import to_record
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode
from framewatch.model.filters import EventFilter
from framewatch.model.frame import Frame
from framewatch.ports import accepts
from framewatch.storage.mongo.alerts import AlertStore
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.episodes import EpisodeStore
from framewatch.vision.jpeg import encode_jpeg
from shared import free_port
from test_consume import small_face

RULES = """
rules:
  - name: long-look
    label: face
    for at least: 10s
  - name: elsewhere
    label: face
    on stream: another
"""
START_US = time.time_ns() // 1000 - 3600 * 1_000_000

Send = Callable[..., None]


@pytest.fixture
def send(endpoints: Endpoints, topic: str) -> Send:
    """Sends frames with a face of a stream, captured at these seconds after the start."""
    producer = Producer({"bootstrap.servers": endpoints.kafka})
    face = small_face()
    jpeg = encode_jpeg(face)
    sent: list[float] = []

    def frames(*seconds: float, stream: str = "desk") -> None:
        for at_s in seconds:
            time_us = START_US + round(at_s * 1e6)
            sent.append(at_s)
            record = to_record(Frame(stream, "r", len(sent), time_us, face.shape[1], face.shape[0], jpeg))
            producer.produce(
                topic, record.value, record.key, timestamp=record.timestamp_ms, headers=list(record.headers)
            )
        assert producer.flush(20) == 0

    return frames


class Worker:
    """A worker process that keeps to the rules, and its pages."""

    def __init__(self, start: Callable[[int], subprocess.Popen[str]]) -> None:
        self._start = start
        self.port = free_port()

    def start(self) -> subprocess.Popen[str]:
        process = self._start(self.port)
        wait_for(lambda: accepts(self.port, "127.0.0.1"), "the pages")
        return process

    def get(self, address: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{address}", timeout=10) as answer:
            return json.load(answer)

    def done(self) -> int:
        return int(self.get("/health")["counts"]["done"])


@pytest.fixture
def worker(framewatch: Command, topic: str, database_name: str, tmp_path: Path) -> Worker:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    return Worker(
        lambda port: framewatch(
            "consume", "--quiet", "--topic", topic, "--group", topic, "--database", database_name,
            "--port", port, "--rules", rules, "--instance", "w",
        )
    )  # fmt: skip


def halves(first: float, last: float) -> list[float]:
    return [first + k / 2 for k in range(round((last - first) * 2) + 1)]


def seconds_of(episodes: list[Episode]) -> list[tuple[float, float, int]]:
    return [((e.start_us - START_US) / 1e6, (e.end_us - START_US) / 1e6, e.frames) for e in episodes]


@pytest.mark.parametrize("death", [signal.SIGTERM, signal.SIGKILL])
def test_an_episode_goes_on_and_an_alert_comes_once_although_the_worker_is_another(
    worker: Worker, send: Send, database: Database[Document], death: signal.Signals
) -> None:
    alerts, episodes = AlertStore(database), EpisodeStore(database)

    def stored() -> list[Alert]:
        return list(alerts.page(EventFilter()).alerts)

    first = worker.start()
    send(*halves(0, 11))
    wait_for(lambda: bool(stored()), "the alert")
    wait_for(lambda: worker.done() == 23, "all frames")
    first.send_signal(death)
    first.wait(60)
    worker.start()
    send(*halves(11.5, 13), *halves(18, 19))
    wait_for(lambda: bool(stored()) and stored()[0].until_us is not None, "the end of the alert")
    wait_for(lambda: len(list(episodes.within(EventFilter()))) == 2, "both episodes")
    wait_for(lambda: seconds_of(list(episodes.within(EventFilter()))) == [(18, 19, 3), (0, 13, 27)], "their ends")
    (alert,) = stored()
    assert (alert.rule, alert.stream, alert.label) == ("long-look", "desk", "face")
    assert (alert.since_us, alert.start_us) == (START_US, START_US + 10_000_000)
    assert alert.until_us == START_US + 13_000_000
    (shown,) = worker.get("/alerts")["alerts"]
    assert shown["id"] == alert.id and "10" in shown["text"]
    shares = worker.get("/stats?since=1d&stream=desk")["shares"]
    assert [(s["label"], s["seconds"]) for s in shares] == [("face", pytest.approx(14, abs=0.1))]


@pytest.mark.usefixtures("database")
def test_streams_are_told_apart_and_a_rule_for_one_stream_leaves_the_others_alone(worker: Worker, send: Send) -> None:
    worker.start()
    send(0, 0.5, 1, stream="desk")
    send(0, 0.5, stream="another")
    wait_for(lambda: bool(worker.get("/alerts")["alerts"]), "the alert")
    wait_for(lambda: len(worker.get("/episodes")["episodes"]) == 2, "the episodes")
    assert [(a["rule"], a["stream"]) for a in worker.get("/alerts")["alerts"]] == [("elsewhere", "another")]
    assert [rule["name"] for rule in worker.get("/rules")["rules"]] == ["long-look", "elsewhere"]


@pytest.mark.usefixtures("database")
def test_the_webhook_hears_of_an_alert_once_it_answers(
    framewatch: Command, worker: Worker, send: Send, topic: str, database_name: str, tmp_path: Path
) -> None:
    heard: list[Any] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append(json.loads(body))
            self.send_response(500 if len(heard) == 1 else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        rules = tmp_path / "rules.yaml"
        address = f"http://user:secret@127.0.0.1:{server.server_port}/hook"
        process = framewatch(
            "consume", "--quiet", "--topic", topic, "--group", topic, "--database", database_name,
            "--port", worker.port, "--rules", rules,
            FRAMEWATCH_WEBHOOK=address,
        )  # fmt: skip
        wait_for(lambda: accepts(worker.port, "127.0.0.1"), "the pages")
        send(0, stream="another")
        wait_for(lambda: len(heard) == 2, "the second try")
        wait_for(lambda: worker.get("/alerts")["alerts"][0]["webhook"] == "sent", "the mark")
        server.shutdown()
    process.terminate()
    _, log = process.communicate(timeout=30)
    assert heard[0] == heard[1]
    assert (heard[0]["rule"], heard[0]["stream"]) == ("elsewhere", "another")
    assert "secret" not in log


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: [{name: a, label: sitting}]", "sitting"),
        ("rules: [{name: a, label: face, for: 3m}]", "for"),
        ("rules: 3", "rules"),
        ("rules: [", "rules.yaml"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_told_before_anything_starts(
    services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(text)
    for command in ("consume", "up"):
        port = free_port()
        with pytest.raises(SystemExit) as ended:
            main([command, "--rules", str(rules), "--port", str(port), "--home", str(services.home.folder)])
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line and "rules" in line
        assert not accepts(port)
