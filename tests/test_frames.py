"""Whole frames read back from a real Kafka, and every way in which one can be gone."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from conftest import OwnServices, wait_for
from framewatch.embedded.home import Endpoints
from framewatch.errors import BrokerUnavailable, FrameGone
from framewatch.kafka.clients import make_admin, make_frame_reader, make_producer
from framewatch.kafka.frame_reader import FrameReader
from framewatch.kafka.record import MAX_FRAME_BYTES, to_record
from framewatch.kafka.topics import ensure_topic
from framewatch.model.event import Event
from framewatch.model.frame import Frame
from test_web import measured

T0 = 1_795_000_000_000_000


def frame(number: int, stream: str = "door", run: str = "r1", size: int = 2000) -> Frame:
    jpeg = b"\xff\xd8" + f"{stream} {run} {number} ".encode() * (size // 20) + b"\xff\xd9"
    return Frame(stream, run, number, T0 + number * 33_333, 64, 48, jpeg)


def event(of: Frame, partition: int, offset: int) -> Event:
    return Event(of.stream, of.run, of.number, of.time_us, 0, "face", 0.9, "faces@1f3a", partition, offset)


def send(bootstrap: str, topic: str, frames: Sequence[Frame], partition: int = 0) -> list[Event]:
    """The frames into one partition, and an event of each."""
    producer = make_producer(bootstrap, {"linger.ms": "20"})
    events: dict[int, Event] = {}
    for at, one in enumerate(frames):
        record = to_record(one)

        def delivered(error: object, message: object, at: int = at, one: Frame = one) -> None:
            assert error is None, error
            events[at] = event(one, partition, message.offset())  # type: ignore[attr-defined]

        producer.produce(
            topic,
            value=record.value,
            key=record.key,
            partition=partition,
            headers=list(record.headers),
            on_delivery=delivered,
        )
    assert producer.flush(30) == 0
    return [events[at] for at in sorted(events)]


@pytest.fixture
def reader(endpoints: Endpoints, topic: str) -> Iterator[FrameReader]:
    made = FrameReader(lambda: make_frame_reader(endpoints.kafka, {}), topic)
    yield made
    made.close()


@pytest.fixture
def admin(endpoints: Endpoints) -> AdminClient:
    return make_admin(endpoints.kafka, {})


def test_frames_of_any_partition_come_back_byte_for_byte_and_soon(
    endpoints: Endpoints, topic: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = {p: [frame(k, f"cam-{p}", size=50_000) for k in range(40)] for p in (0, 1)}
    stored = {p: send(endpoints.kafka, topic, sent[p], p) for p in sent}

    def read() -> list[float]:
        """Seconds that each took, from the first contact on."""
        taken = []
        with closing(FrameReader(lambda: make_frame_reader(endpoints.kafka, {}), topic)) as reader:
            for k in (39, 0, 20, 21, 22, 5, 39):
                for p in sent:
                    started = time.perf_counter()
                    assert reader.read(stored[p][k]) == sent[p][k].jpeg
                    taken.append(time.perf_counter() - started)
        return taken

    taken = measured(read, lambda taken: max(taken) < 2)  # of the three seconds there are
    with capsys.disabled():
        print(f"\n  a frame back: first {taken[0] * 1000:.0f} ms, then up to {max(taken[2:]) * 1000:.0f} ms")


def test_the_largest_frame_comes_back(endpoints: Endpoints, topic: str, reader: FrameReader) -> None:
    large = Frame("door", "r1", 0, T0, 64, 48, secrets.token_bytes(MAX_FRAME_BYTES))
    one, after = send(endpoints.kafka, topic, [large, frame(1)])
    assert reader.read(one) == large.jpeg
    assert reader.read(after) == frame(1).jpeg


def test_many_ask_at_once_and_each_gets_its_own(endpoints: Endpoints, topic: str, reader: FrameReader) -> None:
    frames = [frame(k) for k in range(8)]
    stored = send(endpoints.kafka, topic, frames)
    got: dict[int, bytes] = {}
    threads = [threading.Thread(target=lambda k=k: got.update({k: reader.read(stored[k])})) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == {k: frames[k].jpeg for k in range(8)}


def gone(reader: FrameReader, one: Event) -> str:
    started = time.monotonic()
    with pytest.raises(FrameGone) as caught:
        reader.read(one)
    assert time.monotonic() - started < 5  # three, and the look whether it can be there
    return str(caught.value)


def test_a_deleted_record_is_gone_and_the_next_is_not(
    endpoints: Endpoints, topic: str, reader: FrameReader, admin: AdminClient
) -> None:
    frames = [frame(k) for k in range(4)]
    stored = send(endpoints.kafka, topic, frames)
    assert reader.read(stored[1]) == frames[1].jpeg
    admin.delete_records([TopicPartition(topic, 0, 2)])[TopicPartition(topic, 0, 2)].result(30)
    assert "does not keep it any more" in gone(reader, stored[1])
    assert reader.read(stored[2]) == frames[2].jpeg


def test_an_offset_that_was_never_there_is_gone(endpoints: Endpoints, topic: str, reader: FrameReader) -> None:
    (only,) = send(endpoints.kafka, topic, [frame(0)])
    assert "made anew" in gone(reader, event(frame(1), 0, only.offset + 1))
    assert "does not keep it" in gone(reader, event(frame(1), 0, 4711))
    assert "partition" in gone(reader, event(frame(0), 7, 0))
    assert reader.read(only) == frame(0).jpeg


def test_another_record_in_its_place_is_not_taken_for_it(
    endpoints: Endpoints, topic: str, reader: FrameReader
) -> None:
    (only,) = send(endpoints.kafka, topic, [frame(3, "window", "r2")])
    for other in (frame(3, "door", "r2"), frame(3, "window", "r1"), frame(2, "window", "r2")):
        assert "frame 3 of stream 'window'" in gone(reader, event(other, 0, only.offset))
    producer = make_producer(endpoints.kafka, {})
    producer.produce(topic, value=b"no frame", key=b"door", partition=1)
    producer.flush(10)
    assert "is no frame" in gone(reader, event(frame(0), 1, 0))


def test_a_topic_made_anew_has_none_of_the_old_frames(
    endpoints: Endpoints, topic: str, reader: FrameReader, admin: AdminClient
) -> None:
    stored = send(endpoints.kafka, topic, [frame(k) for k in range(3)])
    assert reader.read(stored[2]) == frame(2).jpeg
    admin.delete_topics([topic])[topic].result(20)
    wait_for(lambda: topic not in admin.list_topics(timeout=5).topics, "the topic's end")
    assert gone(reader, stored[0])
    ensure_topic(endpoints.kafka, topic, 2, 1, {})
    (new,) = send(endpoints.kafka, topic, [frame(0, run="r2")])

    def readable() -> bool:
        try:
            return reader.read(new) == frame(0, run="r2").jpeg
        except (FrameGone, BrokerUnavailable):
            return False

    wait_for(readable, "the new topic read")
    assert "run" in gone(reader, stored[0]) or "made anew" in gone(reader, stored[0])
    assert gone(reader, stored[2])


def test_without_a_broker_the_answer_comes_within_three_seconds() -> None:
    reader = FrameReader(lambda: make_frame_reader("127.0.0.1:1", {}), "frames")
    with closing(reader):
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="cannot be read from Kafka now"):
            reader.read(event(frame(0), 0, 0))
        assert time.monotonic() - started < 3.5
        started = time.monotonic()
    assert time.monotonic() - started < 3  # closing does not wait for it either


def test_who_asks_beyond_the_eighth_is_told_at_once_to_come_again() -> None:
    silent = socket.socket()  # takes connections, and answers nothing
    silent.bind(("127.0.0.1", 0))
    silent.listen(50)
    port = silent.getsockname()[1]
    reader = FrameReader(lambda: make_frame_reader(f"127.0.0.1:{port}", {}), "frames")
    said: list[tuple[str, float]] = []
    all_there = threading.Barrier(20)

    def ask() -> None:
        all_there.wait()
        started = time.monotonic()
        try:
            reader.read(event(frame(0), 0, 0))
        except BrokerUnavailable as error:
            said.append((str(error), time.monotonic() - started))

    with closing(silent), closing(reader):
        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    refused = [seconds for text, seconds in said if text == "8 frames are being read from Kafka: try again"]
    assert (len(refused), len(said)) == (12, 20)
    assert max(refused) < 1
    assert max(seconds for _, seconds in said) < 6


def test_callers_that_wait_for_their_turn_do_not_cost_the_others_their_client(
    endpoints: Endpoints, topic: str
) -> None:
    made: list[Consumer] = []

    def make_slowly() -> Consumer:
        time.sleep(2.95)  # nearly as long as a caller waits for its turn: hardly any time is left to the others
        made.append(make_frame_reader(endpoints.kafka, {}))
        return made[-1]

    reader = FrameReader(make_slowly, topic)
    frames = [frame(k) for k in range(7)]
    stored = send(endpoints.kafka, topic, frames)
    got: dict[int, bytes] = {}
    said: list[str] = []
    all_there = threading.Barrier(len(frames))

    def read(k: int) -> None:
        all_there.wait()
        try:
            got[k] = reader.read(stored[k])
        except BrokerUnavailable as error:
            said.append(str(error))

    with closing(reader):
        threads = [threading.Thread(target=read, args=(k,)) for k in range(len(frames))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert got and all(got[k] == frames[k].jpeg for k in got)
        assert len(got) + len(said) == len(frames)
        assert all(text.startswith("other frames were read") for text in said), said
        assert reader.read(stored[0]) == frames[0].jpeg
        assert len(made) == 1


def test_a_broker_that_comes_back_is_asked_again(own: OwnServices) -> None:
    topic = f"frames-{secrets.token_hex(4)}"
    ensure_topic(own.endpoints.kafka, topic, 1, 1, {})
    (only,) = send(own.endpoints.kafka, topic, [frame(0)])
    reader = FrameReader(lambda: make_frame_reader(own.endpoints.kafka, {}), topic)
    with closing(reader):
        assert reader.read(only) == frame(0).jpeg
        own.kafka.stop()
        with pytest.raises(BrokerUnavailable):
            reader.read(only)
        own.kafka.start()
        own.kafka.wait_ready()

        def readable() -> bool:
            try:
                return reader.read(only) == frame(0).jpeg
            except BrokerUnavailable:
                return False

        wait_for(readable, "the frame read")


def test_reading_joins_no_group_and_commits_nothing(
    endpoints: Endpoints, topic: str, reader: FrameReader, admin: AdminClient
) -> None:
    (only,) = send(endpoints.kafka, topic, [frame(0)])
    reader.read(only)
    groups = admin.list_consumer_groups().result(10).valid
    assert not [group for group in groups if group.group_id.startswith("framewatch-frames")]


def test_no_client_is_made_before_the_first_read_and_none_after_the_end(endpoints: Endpoints, topic: str) -> None:
    made: list[Consumer] = []

    def make() -> Consumer:
        made.append(make_frame_reader(endpoints.kafka, {}))
        return made[-1]

    reader = FrameReader(make, topic)
    (only,) = send(endpoints.kafka, topic, [frame(0)])
    assert made == []
    reader.read(only)
    reader.read(only)
    reader.close()
    with pytest.raises(BrokerUnavailable, match="ends"):
        reader.read(only)
    assert len(made) == 1


def test_scrolling_through_frames_keeps_memory_flat(endpoints: Endpoints, topic: str, reader: FrameReader) -> None:
    stored = send(endpoints.kafka, topic, [frame(k, size=400_000) for k in range(60)])
    for k in range(0, 60, 3):
        reader.read(stored[k])
    before = resident_bytes()
    for _ in range(3):
        for one in stored[::-1]:
            reader.read(one)
    assert resident_bytes() - before < 25e6


def resident_bytes() -> int:
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])
