"""Dead letters never stop the streams: on a broker with Kafka's own defaults, whatever is wrong with them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import NewTopic
from pymongo.database import Database

from conftest import wait_for
from framewatch.consumer.processing import ConsumedRecord, DeadLetter
from framewatch.consumer.sinks.dead_letters import DeadLetterSink
from framewatch.consumer.stats import Stats
from framewatch.embedded.home import Endpoints
from framewatch.errors import BrokerUnavailable, TopicRefused
from framewatch.kafka.clients import make_admin, make_dead_letter_producer
from framewatch.kafka.record import Record, to_record
from framewatch.kafka.topics import ensure_dead_letter_topic
from framewatch.model.frame import Frame
from framewatch.model.names import dead_letter_topic
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.events import EventStore
from framewatch.vision.jpeg import encode_jpeg
from test_worker import worker

KAFKAS_LIMIT = 1_048_588  # bytes of a record, where nobody set another


@pytest.fixture
def noise() -> bytes:
    return np.random.default_rng(3).bytes(1_200_000)


@pytest.fixture
def letters(endpoints: Endpoints, topic: str) -> Iterator[Callable[[int], list[dict[str, bytes]]]]:
    """The first n dead letters: their headers, and the value as ``value``."""
    name = dead_letter_topic(topic)

    def read(n: int) -> list[dict[str, bytes]]:
        consumer = Consumer({"bootstrap.servers": endpoints.kafka, "group.id": secrets.token_hex(4)})
        partitions = consumer.list_topics(name, 30).topics[name].partitions
        consumer.assign([TopicPartition(name, number, OFFSET_BEGINNING) for number in partitions])
        found: list[dict[str, bytes]] = []
        deadline = time.monotonic() + 60
        while len(found) < n and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                headers = message.headers() or []
                assert isinstance(headers, list)
                value = message.value()
                assert isinstance(value, bytes)
                found.append({"value": value} | {k: v if isinstance(v, bytes) else b"" for k, v in headers})
        consumer.close()
        return found

    yield read


def dead(
    number: int, value: bytes, headers: Sequence[tuple[str, bytes | None]] = (), key: bytes = b"s"
) -> DeadLetter:
    return DeadLetter(ConsumedRecord("frames", 0, number, Record(key, value, headers, 1)), "test", "made by a test")


def make_topic(endpoints: Endpoints, topic: str, **config: str) -> None:
    new = NewTopic(topic, num_partitions=1, replication_factor=1, config=config)
    admin = make_admin(endpoints.kafka, {})
    admin.create_topics([new])[topic].result(20)


def sink_of(
    endpoints: Endpoints, topic: str, stats: Stats, ensure: Callable[[], int] | None = None
) -> DeadLetterSink:
    name = dead_letter_topic(topic)
    ensure = ensure or partial(ensure_dead_letter_topic, endpoints.kafka, name, 1, {})
    return DeadLetterSink(partial(make_dead_letter_producer, endpoints.kafka, {}), name, ensure, stats)


@pytest.mark.parametrize("made_before", [True, False])
def test_sixty_records_of_noise_at_kafkas_default_limit_stop_no_stream(
    endpoints: Endpoints,
    database: Database[Document],
    topic: str,
    noise: bytes,
    letters: Callable[[int], list[dict[str, bytes]]],
    made_before: bool,
) -> None:
    if made_before:
        make_topic(endpoints, dead_letter_topic(topic), **{"max.message.bytes": str(KAFKAS_LIMIT)})
    producer = Producer({"bootstrap.servers": endpoints.kafka, "message.max.bytes": 16 * 1024 * 1024})
    jpeg = encode_jpeg(np.full((48, 64, 3), 90, np.uint8))
    with worker(endpoints, EventStore(database), topic) as running:
        for number in range(60):
            producer.produce(topic, value=noise, key=b"s")
            good = to_record(Frame("s", "r", number, time.time_ns() // 1000, 64, 48, jpeg))
            producer.produce(topic, value=good.value, key=good.key, headers=list(good.headers))
        assert producer.flush(30) == 0
        wait_for(lambda: len(running.taken) == 60, "the frames between them")
        wait_for(lambda: running.ask("GET", "/health").json()["counts"]["done"] == 120, "all records")
        health = running.ask("GET", "/health")
        assert (health.status_code, health.json()["problem"]) == (200, None)
        counts = health.json()["counts"]
        assert (counts["dead_letters"], counts["dropped"], counts["received"]) == (60, 0, 120)
    found = letters(60)
    assert len({letter["source_offset"] for letter in found}) == 60
    for letter in found:
        assert letter["original_bytes"] == b"1200000"
        assert noise.startswith(letter["value"]) and len(letter["value"]) > 1_000_000


def test_a_batch_of_dead_letters_beyond_the_clients_queue_is_taken(
    endpoints: Endpoints, topic: str, letters: Callable[[int], list[dict[str, bytes]]]
) -> None:
    stats = Stats()
    sink = sink_of(endpoints, topic, stats)
    sink.setup()
    big = bytes(1024 * 1024)
    sink.add_dead_letters([dead(number, big) for number in range(100)])  # twice what the client queues
    assert len(letters(100)) == 100
    assert stats.counts()["dropped"] == 0
    sink.close()


@pytest.mark.parametrize("limit", [100_000, 4096, 1024])
def test_a_record_is_cut_to_whatever_the_topic_takes(
    endpoints: Endpoints, topic: str, noise: bytes, letters: Callable[[int], list[dict[str, bytes]]], limit: int
) -> None:
    make_topic(endpoints, dead_letter_topic(topic), **{"max.message.bytes": str(limit)})
    stats = Stats()
    sink = sink_of(endpoints, topic, stats)
    sink.setup()
    headers = [("x" * 400, b"y" * 4000) for _ in range(100)]
    sink.add_dead_letters(
        [dead(0, noise), dead(1, noise, headers), dead(2, b"small"), dead(3, b"", key=b"k" * 10**6)]
    )
    found = letters(4 - stats.counts()["dropped"])
    assert sorted(letter["source_offset"] for letter in found) == [b"0", b"1", b"2", b"3"][: len(found)]
    assert len(found) + stats.counts()["dropped"] == 4
    assert len(found) == 4 or limit == 1024  # its key of a megabyte is cut to one kilobyte, which is no less
    sink.close()


def test_the_limit_may_shrink_while_the_worker_runs(
    endpoints: Endpoints, topic: str, noise: bytes, letters: Callable[[int], list[dict[str, bytes]]]
) -> None:
    name = dead_letter_topic(topic)
    make_topic(endpoints, name, **{"max.message.bytes": "100000"})
    stats = Stats()
    sink = sink_of(endpoints, topic, stats, lambda: 1_000_000)  # as it was when the worker began
    sink.setup()
    sink.add_dead_letters([dead(0, noise)])
    (letter,) = letters(1)
    assert 30_000 < len(letter["value"]) < 100_000
    sink.close()


def test_a_topic_that_is_deleted_is_made_again(
    endpoints: Endpoints, topic: str, letters: Callable[[int], list[dict[str, bytes]]]
) -> None:
    name, stats = dead_letter_topic(topic), Stats()
    sink = sink_of(endpoints, topic, stats)
    sink.setup()
    sink.add_dead_letters([dead(0, b"a")])
    admin = make_admin(endpoints.kafka, {})
    admin.delete_topics([name])[name].result(20)
    wait_for(lambda: name not in admin.list_topics(timeout=5).topics, "the deletion")

    def taken() -> bool:  # as the writer does it: the client may lose the deleted topic's broker for a moment
        with suppress(BrokerUnavailable):
            sink.add_dead_letters([dead(1, b"b")])
            return True
        return False

    wait_for(taken, "the dead letter")
    assert [letter["value"] for letter in letters(1)] == [b"b"]
    assert stats.counts()["dropped"] == 0
    sink.close()


def test_where_the_topic_may_not_be_made_records_are_dropped_counted_and_named(
    endpoints: Endpoints, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    def refused() -> int:
        raise TopicRefused(f"topic {topic!r} could not be made: Topic authorization failed")

    stats = Stats()
    sink = sink_of(endpoints, topic, stats, refused)
    sink.setup()
    started = time.monotonic()
    sink.add_dead_letters([dead(7, b"a"), dead(8, b"b")])
    assert time.monotonic() - started < 20
    assert stats.counts()["dropped"] == 2
    assert "frames partition 0 offset 7 (test)" in caplog.text and "frames partition 0 offset 8" in caplog.text
    sink.close()
