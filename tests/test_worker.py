"""The worker under pressure: a store that does not answer for long, and partitions that change hands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from confluent_kafka import Producer
from pymongo.database import Database

from cli.consume import run_worker
from conftest import wait_for
from ports import choose_port
from services.home import Endpoints
from settings import Settings, load_settings
from storage.events import Document, Event
from storage.mongo import EventStore, Stored
from stream.message import Frame, to_record
from test_consume import sample_frames
from vision.jpeg import encode_jpeg
from vision.types import Image


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
class Running:
    """A worker in a thread of the test, and the frames it has shown."""

    settings: Settings
    shown: list[tuple[str, int]] = field(default_factory=list)


@contextmanager
def worker(
    endpoints: Endpoints, store: EventStore, topic: str, options: dict[str, str] | None = None
) -> Iterator[Running]:
    settings = load_settings(topic=topic, group=topic, port=choose_port(), kafka_options=options or {})
    running = Running(settings)
    stop = threading.Event()

    def run() -> None:
        run_worker(
            settings,
            endpoints,
            store,
            stop,
            lambda seen: running.shown.append((seen.frame.stream, seen.frame.number)),
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
    return sample_frames(111)[-1][60:300, 140:460].copy()


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
    # A worker that did not poll for ten seconds would be thrown out of its group.
    impatient = {"max.poll.interval.ms": "10000", "session.timeout.ms": "6000"}
    store = GatedStore(database)
    frames = 500  # more than lanes and writer hold: partitions must be paused
    for number in range(frames):
        send("s", number)
    with worker(endpoints, store, topic, impatient) as running:
        wait_for(lambda: store.calls > 0, "the first batch")
        time.sleep(14)
        held = len(running.shown)
        assert 256 <= held < frames  # bounded, however long it lasts
        store.gate.set()
        wait_for(lambda: database["events"].estimated_document_count() >= frames, "all events")
        # Nothing was read twice and nothing out of order: the worker never lost its partitions.
        assert running.shown == [("s", number) for number in range(frames)]


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
        with worker(endpoints, store, topic) as first:
            cameras.start()
            wait_for(lambda: len(first.shown) > 20 and len(second.shown) > 20, "both at work")
        # The first has left; the second goes on with all.
        before = len(second.shown)
        wait_for(lambda: {stream for stream, _ in second.shown[before:]} == set(sent), "all streams at the second")
        stop.set()
        cameras.join()
        wait_for(lambda: len(first.shown) + len(second.shown) >= sum(sent.values()), "all frames")
    shown = sorted(first.shown + second.shown)
    assert shown == sorted((stream, number) for stream, n in sent.items() for number in range(n))
    frames = {(e["stream"], e["frame"]) for e in database["events"].find({}, {"stream": 1, "frame": 1})}
    assert frames == set(shown)
