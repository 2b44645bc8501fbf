"""Clients that lost every broker's address are replaced, and nothing is lost with them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from conftest import OwnServices, Services, wait_for
from forgetful import Forgetful, forgetful
from framewatch.embedded.home import Endpoints
from framewatch.kafka.broker_health import BrokerHealth
from framewatch.kafka.clients import make_consumer
from framewatch.kafka.config import producer_config
from framewatch.kafka.resilient_producer import ResilientProducer
from framewatch.kafka.topics import ensure_topic
from test_nothing_lost import FRAMES, Bench, delivered, is_well, undisturbed_ids

# So often that each client asks which brokers there are while none is named.
ASKS_OFTEN = {"topic.metadata.refresh.interval.ms": "200"}
TRIES = 30  # a client gets over it, when its questions happen to come at other times
LOST = "it knows no broker any more"
NOBODY = "127.0.0.1:1"  # a port that no program is ever given


class Way:
    """A broker that is reached on a forgetful way only."""

    def __init__(self, services: OwnServices, way: Forgetful) -> None:
        self.services = services
        self._way = way
        self.address = way.address

    def names_no_broker_for(self, seconds: float) -> None:
        self._way.forgets = True
        time.sleep(seconds)
        self._way.forgets = False


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    services = OwnServices(tmp_path_factory.mktemp("way"))
    with forgetful(services.endpoints.kafka) as made:
        config = services.home.kafka / "server.properties"
        told = f"advertised.listeners=PLAINTEXT://{services.endpoints.kafka}"
        assert told in config.read_text()
        config.write_text(config.read_text().replace(told, f"advertised.listeners=PLAINTEXT://{made.address}"))
        try:
            yield Way(services.start(), made)
        finally:
            services.stop()


def statistics(seconds: float, *brokers: tuple[str, str, float], waiting: int | None = None) -> str:
    """As librdkafka tells them; brokers by source, state, and seconds in that state."""
    names = ("source", "state", "stateage")
    told = {f"{n}": dict(zip(names, (*broker[:2], broker[2] * 1e6), strict=True)) for n, broker in enumerate(brokers)}
    kind = {"type": "consumer"} if waiting is None else {"type": "producer", "msg_cnt": waiting}
    return json.dumps({"ts": round(seconds * 1e6), "brokers": told, **kind})


GROUP = ("logical", "TRY_CONNECT", 0.1)
DROPPED = ("learned", "INIT", 9.0)


def test_a_client_is_lost_when_it_has_had_nobody_to_turn_to_for_three_seconds_by_its_own_clock() -> None:
    health = BrokerHealth()
    for seconds, brokers, lost in (
        (1.0, [("configured", "INIT", 0.5), GROUP], False),
        (2.0, [("learned", "DOWN", 60.0), GROUP], False),  # that it is down is no matter
        (3.0, [GROUP], False),
        (5.0, [], False),
        (5.5, [("configured", "TRY_CONNECT", 0.0)], False),
        (6.0, [GROUP], False),
        (8.9, [DROPPED], False),
        (9.0, [DROPPED, GROUP], True),
        (10.0, [DROPPED, ("learned", "UP", 20.0)], False),  # others of a cluster need not be turned to
    ):
        health.update(statistics(seconds, *brokers))
        assert health.is_stuck == lost, seconds


def test_a_producer_with_nothing_to_send_is_not_lost() -> None:
    health = BrokerHealth()
    for seconds, waiting, lost in ((1.0, 0, False), (60.0, 0, False), (61.0, 1, False), (64.0, 1, True)):
        health.update(statistics(seconds, DROPPED, waiting=waiting))
        assert health.is_stuck == lost, seconds


def test_without_being_replaced_a_client_would_stay_lost(way: Way) -> None:
    """The client's own fault: when this fails, what is tested here has been mended there, and can go."""
    ensure_topic(way.address, "lost", 1, 1, {})
    health = BrokerHealth()
    consumer = make_consumer(way.address, "lost", None, ASKS_OFTEN, health)
    try:
        consumer.subscribe(["lost"])
        poll_until(consumer, lambda: bool(consumer.assignment()), 60)
        for _ in range(TRIES):
            way.names_no_broker_for(1.5)
            poll_until(consumer, lambda: health.is_stuck, 5)
            if health.is_stuck:
                break
        assert health.is_stuck
        poll_until(consumer, lambda: not health.is_stuck, 5)
        assert health.is_stuck
    finally:
        consumer.close()


def poll_until(consumer: Consumer, there: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not there() and time.monotonic() < until:
        consumer.poll(0.1)


def test_a_producer_goes_on_with_what_its_lost_client_had(endpoints: Endpoints, topic: str) -> None:
    addresses = iter((NOBODY, endpoints.kafka))
    healths: list[BrokerHealth] = []

    def make(health: BrokerHealth) -> Producer:
        healths.append(health)
        return Producer(producer_config(next(addresses), {}, lambda error: None))

    producer = ResilientProducer(make)
    answers: list[KafkaError | None] = []
    records = [(b"k", b"%d" % n, [("number", b"%d" % n)], 1_000_000 + n) for n in range(200)]
    for key, value, headers, timestamp in records:
        producer.produce(
            topic,
            value,
            key=key,
            headers=headers,
            timestamp=timestamp,
            on_delivery=lambda error, message: answers.append(error),
        )
    assert producer.flush(1) == 200  # there is nobody at the first address
    healths[0].is_stuck = True
    assert producer.flush(60) == 0
    assert answers == [None] * 200
    consumer = make_consumer(endpoints.kafka, topic, None, {})
    try:
        consumer.subscribe([topic])
        found: list[tuple[object, ...]] = []

        def all_there() -> bool:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append((message.key(), message.value(), message.headers(), message.timestamp()[1]))
            return len(found) >= len(records)

        wait_for(all_there, "all records")
        assert found == records
    finally:
        consumer.close()


def test_a_worker_and_a_producer_whose_cluster_named_no_broker_lose_no_frame(
    way: Way, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = undisturbed_ids(services)
    monkeypatch.setenv("FRAMEWATCH_KAFKA_OPTIONS", json.dumps(ASKS_OFTEN))
    endpoints = Endpoints(way.address, way.services.endpoints.mongodb)
    with closing(Bench(way.services, "disturbed", endpoints=endpoints)) as disturbed:
        worker, video = disturbed.worker(), disturbed.video()
        disturbed.wait_until_stored(30)
        for _ in range(TRIES):
            way.names_no_broker_for(0.8)
            time.sleep(0.2)
            if LOST in worker.said():
                break
        assert LOST in worker.said()  # else nothing was tried
        assert delivered(video) == FRAMES
        disturbed.has_exactly(undisturbed)
        wait_for(lambda: is_well(disturbed.port), "good health")
        worker.terminate()
        assert worker.wait(60) == 0, worker.said()
