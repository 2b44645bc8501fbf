"""The writer and its sinks: each frame to each sink, offsets only behind them, and nothing that stops unseen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka import TopicPartition as KafkaPartition
from pymongo.database import Database

from conftest import wait_for
from framewatch.activity.rule import Rule
from framewatch.consumer.classifier_pool import ClassifierPool
from framewatch.consumer.health import HealthMonitor
from framewatch.consumer.offsets import Offsets
from framewatch.consumer.processing import ClassifiedFrame, ConsumedRecord, DeadLetter, Outcome
from framewatch.consumer.pruning import Pruner
from framewatch.consumer.sinks.activity import ActivitySink
from framewatch.consumer.sinks.base import Sink
from framewatch.consumer.sinks.events import EventSink
from framewatch.consumer.stats import Stats
from framewatch.consumer.worker import Worker
from framewatch.consumer.writer import Handover, Writer
from framewatch.embedded.home import Endpoints
from framewatch.errors import SettingError, StoreUnavailable
from framewatch.kafka.admin import ResilientAdmin
from framewatch.kafka.broker_health import BrokerHealth
from framewatch.kafka.clients import make_admin, make_consumer
from framewatch.kafka.record import Record, to_record
from framewatch.kafka.topics import ensure_topic
from framewatch.live.hub import LiveHub
from framewatch.model.alert import Alert
from framewatch.model.detection import Detection
from framewatch.model.frame import Frame, TopicPartition
from framewatch.storage.mongo.alerts import AlertStore
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.episodes import EpisodeStore
from framewatch.storage.mongo.events import EventStore
from framewatch.vision.classifier import Image
from framewatch.vision.jpeg import encode_jpeg
from framewatch.wiring.rules import load_rules

T = TopicPartition("t", 0)
JPEG = encode_jpeg(np.full((48, 64, 3), 90, np.uint8))


def frame(number: int, time_us: int | None = None) -> ClassifiedFrame:
    consumed = ConsumedRecord("t", 0, number, Record(b"s", JPEG, [], 0))
    at_us = number * 100_000 if time_us is None else time_us
    return ClassifiedFrame(consumed, Frame("s", "r", number, at_us, 64, 48, JPEG), (), (), "m@1", 0.0)


def seen(number: int, time_us: int) -> ClassifiedFrame:
    return replace(frame(number, time_us), smoothed=[Detection("face", 0.9)])


class Away(Sink):
    """Its server is away while ``down``; remembers what came of each call."""

    def __init__(self) -> None:
        self.down = False
        self.calls: list[str] = []

    def _call(self, what: str) -> None:
        if self.down:
            raise StoreUnavailable("the lake does not answer")
        self.calls.append(what)

    def setup(self) -> None:
        self._call("setup")

    def add(self, frames: Sequence[ClassifiedFrame]) -> None:
        self._call(f"add {[frame.frame.number for frame in frames]}")

    def add_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        self._call(f"dead {[letter.consumed.offset for letter in dead_letters]}")

    def flush(self) -> None:
        self._call("flush")

    def forget(self) -> None:
        self.calls.append("forget")

    def close(self) -> None:
        self.calls.append("close")


class Written:
    """A writer over some sinks, and what it said."""

    def __init__(self, *sinks: Sink) -> None:
        self.stats = Stats()
        self.done = 0
        self.offsets: list[dict[TopicPartition, int]] = []
        self.failures: list[BaseException] = []
        self.writer = Writer(sinks, self.stats, self._on_done, self.failures.append)

    def _on_done(self, n: int, offsets: Any) -> None:
        self.done += n
        if offsets:
            self.offsets.append(dict(offsets))

    def put(self, *items: Outcome | Handover) -> None:
        for item in items:
            self.writer.put(item)


def test_every_sink_takes_each_frame_and_offsets_follow_the_flush() -> None:
    first, second = Away(), Away()
    written = Written(first, second)
    written.put(frame(0), frame(1), DeadLetter(frame(2).consumed, "test", "of a test"), frame(3))
    wait_for(lambda: written.offsets == [{T: 4}], "the offsets", 10)
    assert written.writer.close(10)
    for sink in (first, second):
        assert [call for call in sink.calls if call != "flush"] == ["setup", "add [0, 1, 3]", "dead [2]", "close"]
        assert sink.calls.index("flush") > sink.calls.index("dead [2]")
    assert (written.done, written.stats.counts()["dead_letters"], written.failures) == (4, 1, [])


def test_no_offset_passes_a_sink_that_does_not_answer_and_the_writer_says_so() -> None:
    sink, away = Away(), Away()
    written = Written(sink, away)
    wait_for(lambda: away.calls == ["setup"], "the writer", 10)
    away.down = True
    written.put(frame(0))
    wait_for(lambda: written.writer.problem() == "the lake does not answer", "the problem", 10)
    assert written.offsets == []
    assert sink.calls.count("add [0]") == 1  # the one that has it is not asked again
    away.down = False
    wait_for(lambda: written.offsets == [{T: 1}], "the offsets", 20)
    assert written.writer.problem() is None
    assert written.writer.close(10)


def test_a_sink_that_fails_for_good_ends_the_writer_with_its_error() -> None:
    class Refused(Sink):
        def add(self, frames: Sequence[ClassifiedFrame]) -> None:  # noqa: ARG002
            raise SettingError("no rights")

    written = Written(Refused())
    written.put(frame(0))
    wait_for(lambda: [str(error) for error in written.failures] == ["no rights"], "the failure", 10)
    assert written.offsets == []


def test_at_a_handover_all_before_it_is_flushed_and_forgotten_before_what_follows() -> None:
    sink = Away()
    written = Written(sink)
    mark = Handover()
    written.put(frame(0), mark, frame(1))
    assert mark.done.wait(10)
    wait_for(lambda: "add [1]" in sink.calls, "the frame behind it", 10)
    at = sink.calls.index("forget")
    assert sink.calls.index("add [0]") < at < sink.calls.index("add [1]")
    assert sink.calls[at - 1] == "flush"
    assert written.offsets[0] == {T: 1}
    assert written.writer.close(10)


def test_pruning_that_lasts_keeps_no_frame_waiting() -> None:
    gate, began = threading.Event(), threading.Event()

    def slow(before_us: int) -> int:  # noqa: ARG001
        began.set()
        gate.wait(60)
        return 1

    sink = Away()
    written = Written(sink)
    with closing(Pruner([slow], 10**12)):
        assert began.wait(10)
        written.put(frame(0))
        wait_for(lambda: written.offsets == [{T: 1}], "the frame", 5)
        gate.set()
    assert written.writer.close(10)


def test_pruning_goes_on_where_one_store_does_not_answer_and_comes_again() -> None:
    deleted: list[int] = []

    def away(before_us: int) -> int:
        raise StoreUnavailable(f"no answer for {before_us}")

    def there(before_us: int) -> int:
        deleted.append(before_us)
        return 0

    with closing(Pruner([away, there], 5_000_000, every_s=0.05)):
        wait_for(lambda: len(deleted) >= 3, "three rounds", 10)
    assert all(abs(before_us - (time.time() - 5) * 1e6) < 30e6 for before_us in deleted)


# --- partitions that are lost


class Loses(Consumer):
    """A client that loses its partitions when it is told to, and gets them back where another worker has come to."""

    lost, gone, back = threading.Event(), threading.Event(), threading.Event()
    away = False
    at = 0

    def subscribe(self, topics: list[str], on_assign: Any = None, on_revoke: Any = None, on_lost: Any = None) -> None:
        self.on_lost = on_lost
        super().subscribe(topics, on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)

    def poll(self, timeout: float = -1) -> Any:
        if self.lost.is_set() and not self.away:
            self.away = True
            self.pause(self.assignment())
            self.on_lost(self, self.assignment())
            self.gone.set()
        if self.away and self.back.is_set():
            try:
                self.resume(self.assignment())  # before the seek, which it would undo
                for partition in self.assignment():
                    low, high = self.get_watermark_offsets(partition)
                    self.seek(KafkaPartition(partition.topic, partition.partition, max(low, min(high, self.at))))
            except KafkaException:  # not in a state for it: at the next poll
                return super().poll(timeout)
            self.lost.clear()
            self.back.clear()
            self.away = False
        return super().poll(timeout)


class Always:
    """Sees a face in every picture."""

    model = "always@1"
    labels = ("face",)
    batch_size = 8
    stateful = False

    def classify(self, images: Sequence[Image], streams: Sequence[str | None] = ()) -> list[list[Detection]]:  # noqa: ARG002
        return [[Detection("face", 0.9)] for _ in images]


@contextmanager
def working(
    endpoints: Endpoints,
    database: Database[Document],
    topic: str,
    rules: Sequence[Rule],
    on_alert: Callable[[Alert], None],
) -> Iterator[Stats]:
    stats, stop = Stats(), threading.Event()
    sinks = [
        EventSink(EventStore(database), stats),
        ActivitySink(EpisodeStore(database), AlertStore(database), rules, 2_000_000, on_alert),
    ]

    def client(health: BrokerHealth) -> Consumer:
        made = make_consumer(endpoints.kafka, topic, None, {"auto.commit.interval.ms": "600000"}, health, Loses)
        assert isinstance(made, Loses)
        return made

    worker = Worker(
        client,
        topic,
        ClassifierPool(Always, 1),
        lambda on_done, on_failure: Writer(sinks, stats, on_done, on_failure),
        LiveHub(1),
        stats,
    )
    thread = threading.Thread(target=worker.run, args=(stop.is_set,))
    thread.start()
    try:
        yield stats
    finally:
        stop.set()
        thread.join(60)


def test_after_lost_partitions_a_running_alert_goes_on_and_none_is_raised_twice(
    endpoints: Endpoints, database: Database[Document], topic: str, tmp_path: Path
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules: [{name: anybody, label: face, for at least: 1s}]")
    alerts: list[Alert] = []
    producer, start_us = Producer({"bootstrap.servers": endpoints.kafka}), time.time_ns() // 1000

    def send(first: int, last: int) -> None:
        for number in range(first, last):
            record = to_record(Frame("s", "r", number, start_us + number * 100_000, 64, 48, JPEG))
            producer.produce(topic, value=record.value, key=record.key, headers=list(record.headers))
        assert producer.flush(20) == 0

    rules = load_rules(file)
    with working(endpoints, database, topic, rules, alerts.append) as stats:
        send(0, 60)
        wait_for(lambda: stats.counts()["done"] == 60 and len(alerts) == 1, "the alert")
        wait_for(
            lambda: database["episodes"].find_one({"end_us": start_us + 59 * 100_000}) is not None, "the episode"
        )
        Loses.lost.set()
        assert Loses.gone.wait(30)
        send(60, 120)
        other = ActivitySink(EpisodeStore(database), AlertStore(database), rules, 2_000_000, alerts.append)
        other.add([seen(number, start_us + number * 100_000) for number in range(60, 120)])
        other.flush()
        Loses.at = 120
        Loses.back.set()
        send(120, 150)
        wait_for(lambda: stats.counts()["done"] == 90, "the frames behind those of the other worker")
        wait_for(lambda: database["episodes"].find_one({"end_us": start_us + 149 * 100_000}) is not None, "the rest")
    assert [(alert.rule, alert.until_us) for alert in alerts] == [("anybody", None)]
    assert [(document["open"], document["until_us"]) for document in database["alerts"].find()] == [(1, None)]
    assert [document["start_us"] for document in database["episodes"].find()] == [start_us]


# --- at an assignment


class Counted(Consumer):
    """Counts what is asked of the broker while partitions are assigned."""

    asked: list[str]

    def committed(self, *arguments: Any, **named: Any) -> Any:
        self.asked.append("committed")
        return super().committed(*arguments, **named)

    def get_watermark_offsets(self, *arguments: Any, **named: Any) -> Any:
        self.asked.append("watermarks")
        return super().get_watermark_offsets(*arguments, **named)


@pytest.mark.parametrize("from_beginning", [False, True])
def test_an_assignment_asks_the_broker_once_however_many_partitions_there_are(
    endpoints: Endpoints, topic: str, from_beginning: bool
) -> None:
    many = f"{topic}-many"
    ensure_topic(endpoints.kafka, many, 24, 1, {})
    producer = Producer({"bootstrap.servers": endpoints.kafka})
    for number in range(10):
        producer.produce(many, value=b"x", partition=number % 2)
    assert producer.flush(20) == 0
    consumer = make_consumer(endpoints.kafka, many, None, {}, None, Counted)
    assert isinstance(consumer, Counted)
    consumer.asked = []
    offsets = Offsets(from_beginning, lambda: None)
    offsets.subscribe(consumer, many)
    try:
        deadline = time.monotonic() + 60
        while len(offsets.positions()) < 24 and time.monotonic() < deadline:
            consumer.poll(0.1)
        assert len(offsets.positions()) == 24
        assert consumer.asked == ([] if from_beginning else ["committed"])
        monitor = HealthMonitor(
            ResilientAdmin(lambda: make_admin(endpoints.kafka, {})),
            lambda: None,
            offsets.positions,
            Stats(),
            lambda: 0,
        )
        with closing(monitor):
            wait_for(lambda: monitor.health().lag == 10, "the lag of what was never read", 20)
    finally:
        consumer.close()
