"""The worker under pressure: a store that does not answer for long, and partitions that change hands."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import requests
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from pymongo.database import Database

from conftest import wait_for
from framewatch.consumer.classifier_pool import ClassifierPool
from framewatch.consumer.frame_consumer import FrameConsumer
from framewatch.consumer.processing import ClassifiedFrame
from framewatch.consumer.sinks.base import Sink
from framewatch.consumer.sinks.console import ConsoleSink
from framewatch.consumer.sinks.events import EventSink
from framewatch.consumer.stats import Stats
from framewatch.consumer.worker import Worker
from framewatch.consumer.writer import Writer
from framewatch.embedded.home import Endpoints
from framewatch.errors import BrokerUnavailable
from framewatch.kafka.broker_health import BrokerHealth
from framewatch.kafka.clients import make_admin, make_consumer, make_producer
from framewatch.kafka.record import to_record
from framewatch.kafka.retention import frames_days
from framewatch.live.hub import LiveHub
from framewatch.model.detection import Detection
from framewatch.model.event import Event
from framewatch.model.filters import EventFilter
from framewatch.model.frame import Frame, TopicPartition
from framewatch.ports import accepts
from framewatch.settings import Settings, load_settings
from framewatch.storage.interface import Stored
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.events import EventStore
from framewatch.storage.mongo.store import MongoStore
from framewatch.vision.annotate import annotated
from framewatch.vision.classifier import Image
from framewatch.vision.jpeg import decode_img, encode_jpeg
from framewatch.wiring.worker import run_worker
from shared import free_port
from test_consume import small_face


class GatedStore(EventStore):
    """A store that answers only while its gate is open."""

    def __init__(self, database: Database[Document]) -> None:
        super().__init__(database)
        self.gate = threading.Event()
        self.calls = 0

    def add(self, events: Sequence[Event]) -> Stored:
        self.calls += 1
        self.gate.wait()
        return super().add(events)


@dataclass
class Running(Sink):
    """A worker in a thread of the test, and the frames that its sinks have taken."""

    settings: Settings
    taken: list[tuple[str, int]] = field(default_factory=list)

    def add(self, frames: Sequence[ClassifiedFrame]) -> None:
        self.taken += [(frame.frame.stream, frame.frame.number) for frame in frames]

    def classified(self) -> int:
        return int(self.ask("GET", "/health").json()["counts"]["classified"])

    def ask(self, method: str, target: str) -> requests.Response:
        return requests.request(method, f"http://127.0.0.1:{self.settings.port}{target}", timeout=30)

    def streams(self) -> set[str]:
        return {told["stream"] for told in self.ask("GET", "/streams").json()["streams"]}


@contextmanager
def worker(
    endpoints: Endpoints,
    store: EventStore,
    topic: str,
    options: dict[str, str] | None = None,
    instance: str | None = None,
) -> Iterator[Running]:
    settings = load_settings(
        topic=topic, group=topic, port=free_port(), kafka_options=options or {}, instance=instance
    )
    running = Running(settings)
    stop = threading.Event()
    whole = MongoStore(store._database)
    whole.events = store

    def run() -> None:
        run_worker(
            settings,
            endpoints,
            whole,
            stop,
            [running],
        )

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield running
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def face() -> Image:
    return small_face()


@pytest.fixture
def send(endpoints: Endpoints, topic: str, face: Image) -> Iterator[Callable[[str, int], None]]:
    """Sends one frame with a face."""
    producer = Producer({"bootstrap.servers": endpoints.kafka})
    jpeg, start_us = encode_jpeg(face), time.time_ns() // 1000

    def frame(stream: str, number: int) -> None:
        record = to_record(
            Frame(stream, "r", number, start_us + number, face.shape[1], face.shape[0], jpeg),
        )
        producer.produce(
            topic, value=record.value, key=record.key, headers=list(record.headers), timestamp=record.timestamp_ms
        )
        producer.poll(0)

    yield frame
    assert producer.flush(20) == 0


def test_a_store_that_is_silent_for_longer_than_kafkas_patience_costs_nothing(
    endpoints: Endpoints, database: Database[Document], topic: str, send: Callable[[str, int], None]
) -> None:
    # A worker that did not poll for seven seconds would be thrown out of its group.
    impatient = {"max.poll.interval.ms": "7000", "session.timeout.ms": "6000"}
    store = GatedStore(database)
    frames = 500  # more than lanes and writer hold: partitions must be paused
    for number in range(frames):
        send("s", number)
    with worker(endpoints, store, topic, impatient) as running:
        wait_for(lambda: accepts(running.settings.port) and running.classified() >= 256, "all that is held")
        time.sleep(10)
        assert running.classified() < frames  # bounded, however long it lasts
        health = running.ask("GET", "/health")
        assert (health.status_code, health.json()["problem"]) == (200, None)  # it is slow, and refuses nothing
        store.gate.set()
        wait_for(lambda: database["events"].estimated_document_count() >= frames, "all events")
        wait_for(lambda: len(running.taken) >= frames, "all that was taken, noted a moment after the store")
        # Nothing was read twice and nothing out of order: the worker never lost its partitions.
        assert running.taken == [("s", number) for number in range(frames)]


def test_partitions_change_hands_without_a_frame_lost_doubled_or_done_twice(
    endpoints: Endpoints, database: Database[Document], topic: str, send: Callable[[str, int], None]
) -> None:
    stop = threading.Event()
    sent = {"a": 0, "b": 0, "c": 0, "d": 0}

    def camera() -> None:
        while not stop.is_set():
            for stream, number in sent.items():
                send(stream, number)
                sent[stream] = number + 1
            time.sleep(0.1)

    cameras = threading.Thread(target=camera)
    store = EventStore(database)
    with worker(endpoints, store, topic) as second:
        try:
            with worker(endpoints, store, topic) as first:
                cameras.start()
                wait_for(lambda: len(first.taken) > 20 and len(second.taken) > 20, "both at work")
            # The first has left; the second goes on with all.
            before = len(second.taken)
            wait_for(
                lambda: {stream for stream, _ in second.taken[before:]} == set(sent), "all streams at the second"
            )
        finally:  # else a failure here would leave a camera that runs for ever
            stop.set()
            cameras.join()
        wait_for(lambda: len(first.taken) + len(second.taken) >= sum(sent.values()), "all frames")
    shown = sorted(first.taken + second.taken)
    assert shown == sorted((stream, number) for stream, n in sent.items() for number in range(n))
    frames = {(e["stream"], e["frame"]) for e in database["events"].find({}, {"stream": 1, "frame": 1})}
    assert frames == set(shown)


def test_a_stream_is_shown_by_the_worker_that_has_it_and_by_no_other(
    endpoints: Endpoints, database: Database[Document], topic: str, send: Callable[[str, int], None]
) -> None:
    names = {"a", "b", "c", "d"}
    store = EventStore(database)
    with ExitStack() as ending:
        workers: list[Running] = []
        for number in range(3):  # one more than there are partitions: one has none in the end
            workers.append(ending.enter_context(worker(endpoints, store, topic)))
            wait_for(lambda: is_taken_part_in(workers), f"{len(workers)} workers in the group")
            for stream in names:
                send(stream, number)
            wait_for(lambda: sorted(s for w in workers for s in w.streams()) == sorted(names), "each shown once")
        assert sorted(len(w.streams()) > 0 for w in workers) == [False, True, True]
        assert sorted(w.ask("GET", "/health").json()["partitions"] for w in workers) == [0, 1, 1]


def is_taken_part_in(workers: Sequence[Running]) -> bool:
    """Whether the topic's two partitions are shared by as many of them as can have one."""
    with suppress(requests.ConnectionError):
        parts: list[int] = [w.ask("GET", "/health").json()["partitions"] for w in workers]
        return sum(parts) == 2 and sum(part > 0 for part in parts) == min(2, len(workers))
    return False


def test_what_is_deleted_is_not_shown_any_more_whoever_deletes_it(
    endpoints: Endpoints, database: Database[Document], topic: str, send: Callable[[str, int], None]
) -> None:
    with worker(endpoints, EventStore(database), topic) as running:
        for number in range(2):
            send("door", number)
            send("yard", number)
            wait_for(lambda: len(running.taken) == 2 + 2 * number, "the frames")  # noqa: B023
            wait_for(lambda: database["events"].estimated_document_count() == 2, "their events")
            assert running.ask("GET", "/snapshot/door.jpg").status_code == 200
            if number == 0:
                assert running.ask("DELETE", "/events?stream=door").json()["events"] == 1
            else:
                assert MongoStore(database).erase(EventFilter("door")).events == 1  # as another worker
                wait_for(lambda: running.streams() == {"yard"}, "the look at what was erased")
            assert running.ask("GET", "/snapshot/door.jpg").status_code == 404
            assert running.streams() == {"yard"}
            assert "door" not in running.ask("GET", "/metrics").text
            database["events"].delete_many({})


def test_what_is_kept_of_frames_and_what_leaves_is_told(
    endpoints: Endpoints, database: Database[Document], topic: str
) -> None:
    admin = make_admin(endpoints.kafka, {})
    assert frames_days(admin, topic) == 7.0  # as the embedded broker has it
    for kept_ms, days in (("3600000", 1 / 24), ("-1", None), ("259200000", 3.0)):
        entry = ConfigEntry("retention.ms", kept_ms, incremental_operation=AlterConfigOpType.SET)
        change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        admin.incremental_alter_configs([change])[change].result(20)
        wait_for(lambda: frames_days(admin, topic) == days, "the topic as it was set")  # noqa: B023
    assert frames_days(admin, "no-such-topic") is None
    with worker(endpoints, EventStore(database), topic) as running:
        wait_for(lambda: is_taken_part_in([running]), "the worker")
        about = running.ask("GET", "/about").json()
    assert (about["frame_retention_days"], about["webhook"], about["output"]) == (3.0, False, False)


def test_a_worker_locked_out_of_its_group_takes_part_again(
    endpoints: Endpoints, database: Database[Document], topic: str, send: Callable[[str, int], None]
) -> None:
    # Who was away for longer than its session is taken for another with its name; so is this one, by another.
    with worker(endpoints, EventStore(database), topic, instance="w") as running:
        for number in range(5):
            send("s", number)
        wait_for(lambda: len(running.taken) == 5, "the first frames")
        other = make_consumer(endpoints.kafka, topic, "w", {})
        other.subscribe([topic])
        wait_for(lambda: other.poll(0.1) is not None or bool(other.assignment()), "the other in its place")
        other.close()
        for number in range(5, 10):
            send("s", number)
        wait_for(lambda: set(running.taken) == {("s", number) for number in range(10)}, "the frames after it")
        wait_for(lambda: database["events"].estimated_document_count() == 10, "their events")


class FailedClient:
    """A consumer that says, whenever it is asked, that it has failed for good."""

    def __init__(self) -> None:
        self.closed = False

    def subscribe(self, topics: Sequence[str], **callbacks: object) -> None:
        pass

    def poll(self, timeout: float) -> FailedClient:  # noqa: ARG002
        return self

    def error(self) -> KafkaError:
        return KafkaError(KafkaError._FATAL, "fenced")

    def close(self) -> None:
        self.closed = True


def test_a_client_that_fails_soon_again_ends_the_worker_with_the_likely_cause() -> None:
    made: list[FailedClient] = []
    now_s = 0.0

    def make(contact: BrokerHealth) -> Consumer:  # noqa: ARG001
        made.append(FailedClient())
        return made[-1]  # type: ignore[return-value]  # a stand-in

    intake = FrameConsumer(make, "t", False, lambda: None, clock=lambda: now_s)
    for now_s in (0.0, 61.0, 122.0):  # noqa: B007
        assert intake.next(lambda timeout_s: True, lambda: False) is None
    now_s = 150.0
    with pytest.raises(BrokerUnavailable, match=r"fenced.*--instance"):
        intake.next(lambda timeout_s: True, lambda: False)
    assert [client.closed for client in made] == [True, True, True, False]


class Torn:
    """Says of each picture by itself, dark or light, what it is."""

    model = "torn@1"
    labels = ("Happy", "Sad")
    batch_size = 8
    stateful = False

    def classify(self, images: Sequence[Image], streams: Sequence[str | None] = ()) -> list[list[Detection]]:  # noqa: ARG002
        return [[self._of(float(image.mean()))] for image in images]

    def _of(self, shade: float) -> Detection:
        first, second = self.labels if shade > 127 else reversed(self.labels)
        return Detection(first, 0.6, scores=((first, 0.6), (second, 0.4)))


class Watched(LiveHub):
    """A hub that keeps the labels of every frame shown."""

    def __init__(self) -> None:
        super().__init__(1)
        self.labels: list[tuple[str, ...]] = []

    def publish(
        self,
        stream: str,
        number: int,
        time_us: int,
        labels: tuple[str, ...],
        render: Callable[[], bytes],
        place: TopicPartition | None = None,
    ) -> None:
        self.labels.append(labels)
        super().publish(stream, number, time_us, labels, render, place)


def test_labels_shown_are_steadied_while_those_printed_and_stored_are_raw(
    endpoints: Endpoints, database: Database[Document], store: EventStore, topic: str
) -> None:
    frames = 300
    jpegs = [encode_jpeg(np.full((224, 224, 3), shade, np.uint8)) for shade in (60, 200)]
    producer, start_us = make_producer(endpoints.kafka, {}), time.time_ns() // 1000
    for number in range(frames):
        record = to_record(Frame("s", "r", number, start_us + number * 33_333, 224, 224, jpegs[number % 2]))
        producer.produce(topic, value=record.value, key=record.key, headers=list(record.headers))
    assert producer.flush(20) == 0
    hub, stats, stop = Watched(), Stats(), threading.Event()
    console = io.StringIO()
    worker = Worker(
        partial(make_consumer, endpoints.kafka, topic, None, {}),
        topic,
        ClassifierPool(Torn, 2),
        lambda on_done, on_failure: Writer(
            [EventSink(store, stats), ConsoleSink(console)], stats, on_done, on_failure
        ),
        hub,
        stats,
    )
    thread = threading.Thread(target=worker.run, args=(stop.is_set,))
    thread.start()
    try:
        wait_for(lambda: stats.counts()["done"] >= frames, "all frames")
        newest = hub.newest("s")
    finally:
        stop.set()
        thread.join(60)
    raw = [("Sad", "Happy")[number % 2] for number in range(frames)]
    assert console.getvalue().splitlines() == [
        f"s #{number}: {raw[number]} detected! (confidence 0.60)" for number in range(frames)
    ]
    stored = {e["frame"]: (e["label"], base64.b64decode(e["crop"])) for e in database["events"].find({})}
    assert stored == {number: (raw[number], jpegs[number % 2]) for number in range(frames)}
    assert set(hub.labels) == {("Sad",)}
    # The last frame is a light one: its picture has the steadied label all the same.
    assert newest is not None and newest.jpeg is not None
    drawn, expected = decode_img(newest.jpeg), annotated(decode_img(jpegs[1]), [Detection("Sad", 0.5)])
    assert np.abs(drawn[:, :80].astype(int) - expected[:, :80]).mean() < 6
