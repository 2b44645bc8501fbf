"""Clients that lost every broker's address are replaced, and nothing is lost with them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from conftest import Services, wait_for
from forgetful import Forgetful, forgetful
from stream.contact import Contact
from stream.kafka import ensure_topic, make_consumer, make_producer
from test_nothing_lost import Bench, delivered, health

# So often that each client asks which brokers there are while none is named.
ASKS_OFTEN = {"topic.metadata.refresh.interval.ms": "200"}


class Way:
    """A broker that is reached on a forgetful way only."""

    def __init__(self, services: Services, way: Forgetful) -> None:
        self.services = services
        self._way = way
        self.address = way.address

    def names_no_broker_for(self, seconds: float) -> None:
        self._way.forgets = True
        time.sleep(seconds)
        self._way.forgets = False


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    services = Services(tmp_path_factory.mktemp("way"))
    with forgetful(services.endpoints.kafka) as made:
        config = services.home.kafka / "server.properties"
        told = f"advertised.listeners=PLAINTEXT://{services.endpoints.kafka}"
        assert told in config.read_text()
        config.write_text(config.read_text().replace(told, f"advertised.listeners=PLAINTEXT://{made.address}"))
        try:
            yield Way(services.start(), made)
        finally:
            services.stop()


def statistics(seconds: float, *sources: str) -> str:
    brokers = {f"{source}/{n}": {"source": source, "state": "DOWN"} for n, source in enumerate(sources)}
    return json.dumps({"ts": round(seconds * 1e6), "brokers": brokers})


def test_a_client_is_lost_when_it_has_had_no_address_for_three_seconds_by_its_own_clock() -> None:
    contact = Contact()
    for seconds, sources, lost in (
        (1.0, ["configured", "internal"], False),
        (2.0, ["learned", "logical", "internal"], False),  # that it is down is no matter
        (3.0, ["logical", "internal"], False),
        (5.0, [], False),
        (5.5, ["configured"], False),
        (6.0, ["logical"], False),
        (9.0, ["logical"], True),
        (10.0, ["learned"], False),
    ):
        contact.note(statistics(seconds, *sources))
        assert contact.lost == lost, seconds


def test_without_being_replaced_a_client_would_stay_lost(way: Way) -> None:
    """The client's own fault: when this fails, what is tested here has been mended there, and can go."""
    ensure_topic(way.address, "lost", 1, 1, {})
    contact = Contact()
    consumer = make_consumer(way.address, "lost", None, ASKS_OFTEN, contact)
    try:
        consumer.subscribe(["lost"])
        wait_for(lambda: consumer.poll(0.1) is None and bool(consumer.assignment()), "the partition", 20)
        way.names_no_broker_for(1.5)
        wait_for(lambda: consumer.poll(0.1) is None and contact.lost, "the client to be lost", 10)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            consumer.poll(0.1)
            assert contact.lost
    finally:
        consumer.close()


def test_a_producer_goes_on_with_what_its_lost_client_had(way: Way) -> None:
    ensure_topic(way.address, "kept", 1, 1, {})
    producer = make_producer(way.address, ASKS_OFTEN)
    failed: list[object] = []

    def send(numbers: range) -> None:
        for number in numbers:
            producer.produce(
                "kept",
                key=b"k",
                value=b"%d" % number,
                headers=[("number", b"%d" % number)],
                timestamp=1_000_000 + number,
                on_delivery=lambda error, message: failed.append(error) if error else None,
            )
            producer.poll(0)

    send(range(10))
    assert producer.flush(10) == 0
    way.names_no_broker_for(1.5)
    send(range(10, 200))
    assert len(producer) == 190  # there is nobody to give them to
    assert producer.flush(30) == 0
    assert not failed
    consumer = make_consumer(way.address, "reader", None, {})
    try:
        consumer.subscribe(["kept"])
        found: list[tuple[object, ...]] = []

        def all_there() -> bool:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append((message.key(), message.value(), message.headers(), message.timestamp()[1]))
            return len(found) >= 200

        wait_for(all_there, "all records", 30)
        sent = [(b"k", b"%d" % n, [("number", b"%d" % n)], 1_000_000 + n) for n in range(200)]
        assert found == sent
    finally:
        consumer.close()


def test_a_worker_and_a_producer_whose_cluster_named_no_broker_lose_no_frame(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", way.address)
    monkeypatch.setenv("FRAMEWATCH_KAFKA_OPTIONS", json.dumps(ASKS_OFTEN))
    benches = [Bench(way.services, name) for name in ("undisturbed", "disturbed")]
    undisturbed, disturbed = benches
    try:
        undisturbed.worker()
        assert delivered(undisturbed.video()) == 420
        wait_for(lambda: health(undisturbed.port)[1]["counts"]["done"] == 420, "all frames", 30)
        worker, video = disturbed.worker(), disturbed.video()
        disturbed.wait_until_stored(30)
        way.names_no_broker_for(1.5)
        assert delivered(video) == 420
        disturbed.wait_for_ids(undisturbed.ids())
        wait_for(lambda: (said := health(disturbed.port))[0] == 200 and said[1]["partitions"] == 2, "good health", 30)
        worker.terminate()
        _, log = worker.communicate(timeout=30)
        assert "it knows no broker any more" in log  # else nothing was tried
    finally:
        for bench in benches:
            bench.close()
