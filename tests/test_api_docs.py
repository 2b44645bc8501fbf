"""Each example of docs/api.md, run by curl against a real server over real stores; and each address stands there."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask_openapi3.openapi import OpenAPI
from flask_openapi3.utils import parse_rule
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from conftest import REPOSITORY, SAMPLE
from framewatch.activity.kinds.seen import SeenRule
from framewatch.consumer.stats import Stats
from framewatch.embedded.home import Endpoints
from framewatch.kafka.clients import make_frame_reader
from framewatch.kafka.frame_reader import FrameReader
from framewatch.kafka.topics import ensure_topic
from framewatch.live.feed import Feed
from framewatch.live.hub import LiveHub
from framewatch.model.alert import Alert
from framewatch.model.detection import Box, Detection
from framewatch.model.episode import Episode
from framewatch.model.event import Event
from framewatch.model.frame import Frame, TopicPartition
from framewatch.model.health import Health
from framewatch.model.upload import Upload
from framewatch.storage.mongo.alerts import AlertStore
from framewatch.storage.mongo.client import connect
from framewatch.storage.mongo.episodes import EpisodeStore
from framewatch.storage.mongo.events import EventStore
from framewatch.storage.mongo.queries import EventQueries
from framewatch.storage.mongo.store import MongoStore
from framewatch.storage.mongo.uploads import UploadStore
from framewatch.uploads.folder import UploadFolder
from framewatch.uploads.jobs import Sent
from framewatch.uploads.service import Uploads
from framewatch.vision.classifier import Image
from framewatch.vision.jpeg import encode_jpeg
from framewatch.web.app import Backend, create_app
from framewatch.web.predictor import Predictor
from framewatch.web.records import Records
from framewatch.web.schemas import AboutOut
from framewatch.web.server import WebServer
from shared import free_port
from test_frames import send

PAGE = (REPOSITORY / "docs" / "api.md").read_text()
HOME = "http://127.0.0.1:5000"

SECOND, MINUTE = 1_000_000, 60_000_000
T0 = 1_795_255_200 * SECOND  # 2026-11-21T10:00:00Z
RUN = "20261121T100000-3f9a1c"
PICTURE = encode_jpeg(np.full((375, 500, 3), 128, np.uint8))
HEALTHY = Health("healthy", "up", "up", 8, 3, 29.9, 21.4, 96.0, 2, {
    "received": 5123, "classified": 5121, "dead_letters": 1, "dropped": 0,
    "stored": 4870, "duplicates": 0, "refused": 0, "done": 5120,
})  # fmt: skip
ABOUT = AboutOut(
    version="0.1.0",
    preset="emotions",
    model="emotions@1f3a9c02",
    labels=["angry", "happy", "neutral"],
    retention_days=30,
    frame_retention_days=7,
    webhook=False,
    output=False,
    max_upload_mb=10,
    max_video_mb=500,
    password=False,
    rules=1,
    started=datetime(2026, 11, 21, 9, 58, tzinfo=UTC),
)
RULE = SeenRule.model_validate({"name": "sits-too-long", "label": "sitting", "for_at_least": 1800, "within": 3600})

# What is another one each time: compared by its kind only.
VARIES = {"age_s", "latency_ms", "frames_per_second", "offset", "left_out"}
VARIES_IN_UPLOADS = {"time_us", "state", "total", "sent", "classified"}


class Moods:
    """Sees the same face in every picture."""

    labels = ("angry", "happy", "neutral")
    batch_size = 4
    stateful = False
    model = "emotions@1f3a9c02"

    def classify(self, images: Sequence[Image], streams: Sequence[str | None] = ()) -> list[list[Detection]]:  # noqa: ARG002
        scores = (("happy", 0.93), ("neutral", 0.04), ("angry", 0.03))
        return [[Detection("happy", 0.93, Box(100, 147, 91, 91), (), scores)] for _ in images]


@dataclass
class Example:
    """A command of the page, and what it says the answer is."""

    heading: str
    command: str
    kind: str
    answer: str


def examples(page: str) -> list[Example]:
    """All of the page, in its order."""
    found: list[Example] = []
    heading, command = "", ""
    for match in re.finditer(r"^#+ (?P<heading>[^\n]+)$|^```(?P<kind>\w+)\n(?P<text>.*?)^```$", page, re.M | re.S):
        if match["heading"]:
            heading = match["heading"]
        elif match["kind"] == "sh":
            assert not command, f"{command!r} has no answer"
            command = match["text"] if match["text"].startswith("curl ") else ""
        elif command:
            found.append(Example(heading, command, match["kind"], match["text"]))
            command = ""
    return found


@dataclass
class Running:
    """A server with all its rooms, and a folder for curl."""

    app: OpenAPI
    port: int
    folder: Path
    events: list[Event]
    renamed: dict[str, str] = field(default_factory=dict)  # ids that the server made, by those of the page

    def as_here(self, text: str) -> str:
        for name, here in {HOME: f"http://127.0.0.1:{self.port}", **self.renamed}.items():
            text = text.replace(name, here)
        return text

    def curl(self, command: str, enough: Callable[[str], bool]) -> str:
        """The answer; of one without an end, what has come when it is enough."""
        words = shlex.split(self.as_here(command).replace("\\\n", " "))
        whole = [*words[:1], "--silent", "--show-error", "--max-time", "60", *words[1:]]
        if "-N" not in words:
            done = subprocess.run(whole, cwd=self.folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout.replace("\r\n", "\n")
        with subprocess.Popen(whole, cwd=self.folder, stdout=subprocess.PIPE) as endless:
            assert endless.stdout is not None
            came = ""
            for line in endless.stdout:
                came += line.decode().replace("\r\n", "\n")
                if enough(came):
                    break
            assert endless.poll() is None, f"it has an end: {came}"
            endless.kill()
        return came


@pytest.fixture(scope="module")
def server(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if not shutil.which("curl"):
        pytest.skip("no curl")
    folder = tmp_path_factory.mktemp("api")
    (folder / "me.jpg").write_bytes(PICTURE)
    shutil.copy(SAMPLE, folder / "clip.mp4")
    topic = f"frames-{secrets.token_hex(4)}"
    ensure_topic(endpoints.kafka, topic, 1, 1, {})
    with ExitStack() as ending:
        mongo = ending.enter_context(connect(endpoints.mongodb))
        database = mongo["test_api_docs"]
        ending.callback(mongo.drop_database, "test_api_docs")
        events = stored_events(endpoints, topic)
        for store in (EventStore(database), EpisodeStore(database), AlertStore(database), UploadStore(database)):
            store.setup()
        EventStore(database).add(events)
        EpisodeStore(database).save(EPISODES)
        assert AlertStore(database).add(ALERT)
        frames = FrameReader(partial(make_frame_reader, endpoints.kafka, {}), topic)
        ending.enter_context(closing(frames))
        erase_here = MongoStore(database).erase
        records = Records(
            EventQueries(database), EpisodeStore(database), AlertStore(database), erase_here, frames.read
        )
        feed, hub, predictor = (
            Feed(),
            LiveHub(8, lags=lambda: {TopicPartition(topic, 0): 3}),
            Predictor(Moods, Moods.labels),
        )
        ending.enter_context(closing(predictor))
        uploads = Uploads(UploadFolder(folder / "uploads"), UploadStore(database), sent, lambda _: None, erase_here)
        ending.enter_context(closing(uploads.start()))
        hub.publish("door", 3, T0 + 15 * MINUTE, ("face",), lambda: PICTURE, TopicPartition(topic, 0))
        backend = Backend(
            hub, lambda: HEALTHY, predictor=predictor, records=records, feed=feed, uploads=uploads, rules=[RULE],
            about=lambda: ABOUT, stats=Stats(),
        )  # fmt: skip
        app = create_app(backend)
        port = free_port()
        ending.enter_context(WebServer(app, "127.0.0.1", port, 16))
        ending.enter_context(closing(hub))
        ending.enter_context(closing(feed))
        ending.enter_context(telling(feed, events[0]))
        yield Running(app, port, folder, events)


EPISODES = [
    Episode("door", "face", T0 + 15 * MINUTE, T0 + 16 * MINUTE, 1640, 0.97),
    Episode("ward-2", "sitting", T0 + 5 * MINUTE, T0 + 45 * MINUTE, 36_000, 0.99),
]
ALERT = Alert(
    rule="sits-too-long",
    stream="ward-2",
    label="sitting",
    start_us=T0 + 35 * MINUTE,
    since_us=T0 + 5 * MINUTE,
    seconds=1800,
    text="sitting for 30 min within 1 h on ward-2 (rule sits-too-long)",
)


def stored_events(endpoints: Endpoints, topic: str) -> list[Event]:
    """What is stored of frames that are in Kafka."""
    sent_frames = [
        Frame("door", RUN, 1, T0 + 15 * MINUTE, 500, 375, PICTURE),
        Frame("door", RUN, 2, T0 + 15 * MINUTE + 33_333, 500, 375, PICTURE),
        Frame("ward-2", RUN, 7, T0 + 5 * MINUTE, 500, 375, PICTURE),
    ]
    places = [(event.partition, event.offset) for event in send(endpoints.kafka, topic, sent_frames)]

    def event(k: int, label: str, confidence: float, **others: Any) -> Event:
        of, (partition, offset) = sent_frames[k], places[k]
        return Event(
            of.stream, of.run, of.number, of.time_us, 0, label, confidence,
            partition=partition, offset=offset, crop=PICTURE, **others,
        )  # fmt: skip

    face = {"model": "faces@1f3a9c02", "boundingbox": (100, 147, 91, 91)}
    return [
        event(0, "face", 0.93, scores=(("face", 0.93),), **face),
        event(1, "face", 0.88, scores=(("face", 0.88),), **face),
        event(2, "sitting", 0.97, model="activities@77b0e1d4", scores=(("sitting", 0.97), ("sleeping", 0.02))),
    ]


def sent(
    file: Path, upload: Upload, run: str, on_progress: Callable[[Sent], None], stopped: Callable[[], bool]
) -> Sent:
    """Says that a file is on the topic, as the process that sends it does."""
    del upload, run, stopped
    assert file.exists()
    on_progress(Sent(total=1))
    return Sent(total=1, delivered=1, partition=0, first_offset=0, last_offset=0)


class telling:  # noqa: N801  # a context
    """An event told a few times a second meanwhile."""

    def __init__(self, feed: Feed, event: Event) -> None:
        self._feed, self._event = feed, event
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(0.3):
            self._feed.publish([self._event])

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


EXAMPLES = examples(PAGE)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.heading.replace('`', '')}-{e.command.split()[-1]}")
def test_the_example_gives_the_answer_that_stands_there(server: Running, example: Example) -> None:
    pattern = ".*?".join(map(re.escape, server.as_here(example.answer.strip()).split("…")))
    answer = server.curl(example.command, lambda came: bool(re.fullmatch(pattern, came.strip(), re.S)))
    if example.kind == "json":
        check(server, json.loads(example.answer), json.loads(answer))
    elif example.kind == "jsonl":
        for wanted, got in zip(example.answer.splitlines(), answer.splitlines(), strict=True):
            check(server, json.loads(wanted), json.loads(got))
    else:
        assert re.fullmatch(pattern, answer.strip(), re.S), answer
    for written in re.findall(r"(?:-o|--output) (\S+)", example.command):
        data = (server.folder / written).read_bytes()
        assert data, written
        assert not written.endswith(".jpg") or data.startswith(b"\xff\xd8\xff"), written


def check(server: Running, wanted: Any, got: Any) -> None:
    """Hold an answer against the page's."""
    if isinstance(wanted, dict) and isinstance(got, dict) and "title" in wanted and "id" in wanted:
        server.renamed[wanted["id"]] = got["id"]
    wanted = json.loads(server.as_here(json.dumps(wanted, ensure_ascii=False)))
    assert differences(wanted, got) == []


def differences(wanted: Any, got: Any, where: str = "answer", varies: bool = False) -> list[str]:
    """What is not as it should be; ``"…"`` in a list or among names stands for more."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        told = {key: value for key, value in wanted.items() if key != "…"}
        if not (told.keys() <= got.keys() and (len(told) < len(wanted) or told.keys() == got.keys())):
            return [f"{where} has {sorted(got)}, not {sorted(wanted)}"]
        free = VARIES | (VARIES_IN_UPLOADS if "title" in got and "sent" in got else set())
        return [d for key in told for d in differences(told[key], got[key], f"{where}.{key}", key in free)]
    if isinstance(wanted, list) and isinstance(got, list):
        more = wanted[-1:] == ["…"]
        first = wanted[:-1] if more else wanted
        if len(got) < len(first) or (len(got) > len(first) and not more):
            return [f"{where} has {len(got)} items: {got}"]
        return [d for k, one in enumerate(first) for d in differences(one, got[k], f"{where}[{k}]")]
    if varies:
        both = (wanted, got)
        fits = None in both or type(wanted) is type(got) or all(isinstance(one, int | float) for one in both)
        return [] if fits else [f"{where} is {got!r}, not such as {wanted!r}"]
    return [] if wanted == got else [f"{where} is {got!r}, not {wanted!r}"]


def test_every_operation_has_a_heading_and_an_example(server: Running) -> None:
    there = {
        f"{method} {parse_rule(rule.rule)}"
        for rule in server.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint != "static" and not rule.rule.startswith("/docs/") and rule.rule != "/favicon.ico"
    }
    told = {
        name for line in re.findall(r"^#+ (.*`.*)$", PAGE, re.M) for name in re.findall(r"`([A-Z]+ /[^`]*)`", line)
    }
    assert told == there
    shown = {name for example in EXAMPLES for name in re.findall(r"`([A-Z]+ /[^`]*)`", example.heading)}
    assert shown == there


def test_every_operation_is_described(server: Running) -> None:
    document = server.app.test_client().get("/openapi.json").get_json()
    told = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    for line in re.findall(r"^#+ (.*`.*)$", PAGE, re.M):
        assert set(re.findall(r"`([A-Z]+ /[^`]*)`", line)) <= told
    assert len(told) > 25
    validate(document)


def test_answers_are_as_the_description_says(server: Running) -> None:
    document = server.app.test_client().get("/openapi.json").get_json()
    client = server.app.test_client()
    since = "since=2026-11-21T10:00:00Z&until=2026-11-21T11:00:00Z"
    one = "/events/{stream}/{run}/{frame}/{model}/{index}"
    addresses = {path: path for path in ("/about", "/classes", "/health", "/rules", "/streams", "/uploads")}
    addresses |= {path: f"{path}?{since}" for path in ("/events", "/episodes", "/stats", "/alerts")}
    addresses[one] = "/events/" + server.events[2].id
    for path, address in addresses.items():
        answers = document["paths"][path]["get"]["responses"]
        for target, status in ((address, "200"), (f"{address}{'&' if '?' in address else '?'}no=1", "422")):
            answer = client.get(target)
            if str(answer.status_code) != status:
                assert status == "422" and answer.status_code == 200  # an address that takes no parameters
                continue
            (content,) = answers[status]["content"].values()
            schema = {**content["schema"], "components": document["components"]}
            assert list(OAS31Validator(schema).iter_errors(answer.get_json())) == [], target
