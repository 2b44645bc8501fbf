"""How frames are handed to a Kafka client, counted and given up on: by a small client that does as the test says."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from framewatch.errors import BrokerUnavailable, SourceError
from framewatch.kafka.record import MAX_FRAME_BYTES, Record, from_record, to_record
from framewatch.kafka.resilient_producer import ResilientProducer
from framewatch.model.frame import Frame
from framewatch.producer.backpressure import Backpressure
from framewatch.producer.produce import Plan, produce
from framewatch.producer.publisher import Publisher, Summary
from framewatch.producer.sources.base import Source, unnamed
from framewatch.vision.classifier import Image

Delivered = Callable[[KafkaError | None, Any], None]
PLAN = Plan(topic="t", stream="s", run="r", fps="max")
TIMED_OUT = KafkaError(KafkaError._MSG_TIMED_OUT)
FATAL = KafkaError(KafkaError._FATAL, "fenced", fatal=True)


class Sent:
    """A record handed over."""

    def __init__(self, topic: str, record: Record, on_delivery: Delivered) -> None:
        self.topic = topic
        self.record = record
        self.on_delivery = on_delivery

    def value(self) -> bytes | None:
        return self.record.value

    def partition(self) -> int | None:
        return 0

    def offset(self) -> int | None:
        return self.record.timestamp_ms


class Client:
    """A Kafka client with little room. Each poll brings the broker's next answer, unless it is away."""

    def __init__(self, room: int = 1000, away: bool = False, answers: Sequence[KafkaError | None] = ()) -> None:
        self.room = room
        self.away = away
        self.answers = deque(answers)
        self.queue: deque[Sent] = deque()
        self.accepted: list[Sent] = []
        self.full = 0
        self.refusal: KafkaError | None = None

    def produce(self, topic: str, value: bytes, key: bytes, headers: Any, timestamp: int, on_delivery: Any) -> None:
        if self.refusal is not None:
            raise KafkaException(self.refusal)
        if len(self.queue) >= self.room:
            self.full += 1
            raise BufferError("Local: Queue full")
        self.queue.append(Sent(topic, Record(key, value, headers, timestamp), on_delivery))

    def poll(self, timeout: float) -> int:
        if self.away:
            time.sleep(min(timeout, 0.01))
        elif self.queue:
            self._answer(self.answers.popleft() if self.answers else None)
        return 0

    def flush(self, timeout: float) -> int:
        while self.queue and not self.away:
            self.poll(0)
        if self.queue:
            time.sleep(min(timeout, 0.01))
        return len(self.queue)

    def purge(self) -> None:
        while self.queue:
            self._answer(KafkaError(KafkaError._PURGE_QUEUE))

    def __len__(self) -> int:
        return len(self.queue)

    @property
    def frames(self) -> list[Frame]:
        """What the broker has."""
        return [from_record(sent.record) for sent in self.accepted]

    @property
    def producer(self) -> ResilientProducer:
        return ResilientProducer(lambda contact: cast(Producer, self))

    def _answer(self, error: KafkaError | None) -> None:
        sent = self.queue.popleft()
        if error is None:
            self.accepted.append(sent)
        sent.on_delivery(error, sent)


def frame(number: int, size: int = 100) -> Frame:
    return Frame("s", "r", number, 1_000_000 + number, 60, 40, bytes([number % 256]) * size)


def publisher(client: Client, stopped: Callable[[], bool] = lambda: False) -> tuple[Publisher, Summary]:
    summary = Summary("s", "r")
    return Publisher(client.producer, "t", summary, stopped), summary


def after(n: int) -> Callable[[], bool]:
    """Becomes true when asked more than n times."""
    asked = itertools.count()
    return lambda: next(asked) >= n


# Publisher


def test_a_frame_counts_as_delivered_only_when_the_broker_said_so() -> None:
    client = Client(away=True)
    sender, summary = publisher(client)
    assert all(sender.send(frame(number), wait=True) for number in range(5))
    assert (summary.delivered, summary.megabytes) == (0, 0.0)
    client.away = False
    sender.finish()
    assert (summary.delivered, summary.failed) == (5, 0)
    assert summary.megabytes == pytest.approx(500e-6)


def test_a_record_is_the_frame_on_its_topic() -> None:
    client = Client()
    sender, _ = publisher(client)
    sender.send(frame(3), wait=True)
    sender.finish()
    (sent,) = client.accepted
    assert (sent.topic, sent.record) == ("t", to_record(frame(3)))


def test_a_full_queue_is_waited_for_and_each_frame_goes_once_and_in_order() -> None:
    client = Client(room=2)
    sender, summary = publisher(client)
    client.away = True
    for number in range(2):
        sender.send(frame(number), wait=True)
    client.away = False
    assert all(sender.send(frame(number), wait=True) for number in range(2, 20))
    sender.finish()
    assert client.full > 0
    assert [one.number for one in client.frames] == list(range(20))
    assert (summary.delivered, summary.failed) == (20, 0)


def test_with_a_full_queue_a_live_frame_is_left_out_at_once() -> None:
    client = Client(room=2, away=True)
    sender, summary = publisher(client)
    assert [sender.send(frame(number), wait=False) for number in range(4)] == [True, True, False, False]
    client.away = False
    assert not sender.send(frame(4), wait=False), "the answer comes, and makes room for the next"
    assert sender.send(frame(5), wait=False)
    sender.finish()
    assert [one.number for one in client.frames] == [0, 1, 5]
    assert (summary.delivered, summary.failed) == (3, 0)


def test_the_wait_for_room_ends_when_stopped() -> None:
    client = Client(room=1, away=True)
    sender, _ = publisher(client, after(3))
    assert sender.send(frame(0), wait=True)
    assert not sender.send(frame(1), wait=True)


def test_frames_not_delivered_are_counted_and_each_reason_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(answers=[None, TIMED_OUT, TIMED_OUT, KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), None])
    sender, summary = publisher(client)
    for number in range(5):
        sender.send(frame(number), wait=True)
    sender.finish()
    assert (summary.delivered, summary.failed) == (2, 3)
    assert [record.getMessage() for record in caplog.records] == [
        "s: could not be delivered: Local: Message timed out",
        "s: could not be delivered: Broker: Message size too large",
    ]


def test_a_frame_too_large_never_reaches_the_client(caplog: pytest.LogCaptureFixture) -> None:
    client = Client()
    sender, summary = publisher(client)
    assert sender.send(frame(0, MAX_FRAME_BYTES), wait=True)
    assert sender.send(frame(1, MAX_FRAME_BYTES + 1), wait=True)
    sender.finish()
    assert (len(client.accepted), summary.delivered, summary.failed) == (1, 1, 1)
    assert f"s #1: could not be delivered: a frame of over {MAX_FRAME_BYTES} bytes" in caplog.text


def test_a_frame_too_large_for_the_client_as_it_is_set_costs_only_itself() -> None:
    client = Client()
    sender, summary = publisher(client)
    client.refusal = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    assert sender.send(frame(0), wait=True)
    client.refusal = None
    assert sender.send(frame(1), wait=True)
    sender.finish()
    assert (summary.delivered, summary.failed) == (1, 1)


def test_a_client_that_failed_for_good_is_not_used_any_more() -> None:
    client = Client(answers=[None, FATAL])
    sender, summary = publisher(client)
    sender.send(frame(0), wait=True)
    with pytest.raises(BrokerUnavailable, match="failed for good: fenced"):
        sender.send(frame(1), wait=True)
    with pytest.raises(BrokerUnavailable, match="failed for good: fenced"):
        sender.finish()
    assert (summary.delivered, summary.failed) == (1, 1)


def test_a_client_that_refuses_says_why() -> None:
    client = Client()
    client.refusal = KafkaError(KafkaError._UNKNOWN_PARTITION)
    sender, _ = publisher(client)
    with pytest.raises(BrokerUnavailable, match="Kafka refused a frame: Local: Unknown partition"):
        sender.send(frame(0), wait=True)


def test_frames_without_an_answer_count_as_failed_when_patience_ends(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(away=True)
    sender, summary = publisher(client)
    for number in range(7):
        sender.send(frame(number), wait=True)
    sender.finish(patience_s=0.1)
    assert (summary.delivered, summary.failed, len(client)) == (0, 7, 0)
    assert [record.getMessage() for record in caplog.records] == ["s: no answer from Kafka for the last 7 frames"]


def test_patience_is_shorter_from_when_it_is_stopped() -> None:
    client = Client(away=True)
    started = time.monotonic()
    sender, summary = publisher(client, lambda: time.monotonic() > started + 0.2)
    sender.send(frame(0), wait=True)
    sender.finish(patience_s=60, hurry_s=0.2)
    assert 0.4 <= time.monotonic() - started < 30  # and not a minute
    assert summary.failed == 1


def test_the_summary_knows_its_rate_and_all_its_figures() -> None:
    summary = Summary("s", "r", frames_read=3, delivered=2, failed=1, megabytes=0.2500004, seconds=0.5)
    assert summary.as_json() == {
        "stream": "s", "run": "r", "frames_read": 3, "delivered": 2, "failed": 1, "dropped": 0,
        "megabytes": 0.25, "seconds": 0.5, "megabytes_per_second": 0.5, "error": None,
        "partition": None, "first_offset": None, "last_offset": None,
    }  # fmt: skip
    assert Summary("s", "r").megabytes_per_second == 0.0


def test_the_summary_knows_where_the_frames_are_also_on_a_topic_made_anew() -> None:
    summary = Summary("s", "r")
    for partition, offset in ((1, 7), (1, 8), (1, 12)):
        summary.note(partition, offset)
    assert (summary.partition, summary.first_offset, summary.last_offset) == (1, 7, 12)
    summary.note(1, 0)  # the topic was deleted
    summary.note(1, 1)
    assert (summary.partition, summary.first_offset, summary.last_offset) == (1, 0, 1)
    summary.note(3, 5)  # it has more partitions now
    assert (summary.partition, summary.first_offset, summary.last_offset) == (3, 5, 5)


def test_how_far_ahead_a_source_is_counts_what_is_on_its_way_and_what_waits() -> None:
    committed: list[int | None] = [None]
    now_s = [0.0]
    ahead = Backpressure(10, lambda partition: committed[0], lambda: now_s[0])
    assert not ahead.is_too_far(Summary("s", "r", frames_read=9))
    assert ahead.is_too_far(Summary("s", "r", frames_read=10))
    there = Summary("s", "r", frames_read=12, delivered=12, partition=1, first_offset=100, last_offset=111)
    for offset, too_far in ((None, True), (50, True), (102, True), (103, False), (112, False), (500, False)):
        committed[0] = offset
        now_s[0] += 1
        assert ahead.is_too_far(there) is too_far


def test_a_source_that_is_ahead_waits_and_goes_on_or_is_stopped() -> None:
    client, held = Client(), [True] * 5
    summary = produce(source(), PLAN, client.producer, hold=lambda summary: bool(held and held.pop()))
    assert (summary.delivered, held) == (10, [])
    calls: list[int] = []
    stopped = produce(
        source(),
        PLAN,
        Client().producer,
        stopped=lambda: len(calls) > 3,
        on_frame=lambda summary: calls.append(summary.frames_read),
        hold=lambda summary: summary.frames_read == 2,
    )
    assert (stopped.delivered, calls, stopped.error) == (2, [1, 2, 2, 2], None)


# produce()


def images(n: int) -> Iterator[Image]:
    return (np.full((40, 60, 3), 10 * number, np.uint8) for number in range(n))


def source(
    read: Callable[[], Iterator[Image]] = lambda: images(10), live: bool = False, fps: float | None = None
) -> Source:
    return Source("a source", live, fps, None, lambda: unnamed(read()))


def breaks_after(n: int) -> Iterator[Image]:
    yield from images(n)
    raise SourceError("the film tore")


def test_a_source_that_breaks_has_sent_what_it_gave() -> None:
    client = Client()
    summary = produce(source(lambda: breaks_after(4)), PLAN, client.producer)
    assert [one.number for one in client.frames] == [0, 1, 2, 3]
    assert (summary.frames_read, summary.delivered, summary.error) == (4, 4, "the film tore")


def test_a_source_that_breaks_is_not_looped() -> None:
    summary = produce(source(lambda: breaks_after(4)), Plan("t", "s", "r", loop=True), Client().producer)
    assert (summary.delivered, summary.error) == (4, "the film tore")


def test_capture_times_grow_however_fast_the_frames_come() -> None:
    client = Client()
    before_us = time.time_ns() // 1000
    produce(source(lambda: images(25)), PLAN, client.producer)
    times = [one.time_us for one in client.frames]
    assert before_us <= times[0]
    assert all(a < b for a, b in itertools.pairwise(times))


def test_stopped_in_the_middle_it_delivers_what_it_has() -> None:
    client, shown = Client(), list[int]()
    looping = Plan("t", "s", "r", fps="max", loop=True)
    summary = produce(
        source(), looping, client.producer, lambda: len(shown) >= 25, lambda so_far: shown.append(so_far.frames_read)
    )
    assert [one.number for one in client.frames] == list(range(25))
    assert shown == list(range(1, 26))
    assert (summary.frames_read, summary.delivered, summary.error) == (25, 25, None)


def test_an_error_of_a_source_that_was_stopped_is_none() -> None:
    summary = produce(source(lambda: breaks_after(3)), PLAN, Client().producer, after(3))
    assert summary.error is None


def test_stopped_while_it_waits_for_a_frames_time_that_frame_does_not_go() -> None:
    client, waits = Client(), list[float]()
    summary = produce(source(fps=0.01), Plan("t", "s", "r"), client.producer, lambda: bool(waits), sleep=waits.append)
    assert len(waits) == 1 and 50 < waits[0] <= 100  # less by what the test itself took
    assert (summary.frames_read, summary.delivered, summary.dropped) == (1, 1, 0)


def test_a_stopped_files_frame_for_which_there_was_no_room_is_left_out_and_not_a_failure() -> None:
    client = Client(room=3, away=True)

    def stopped() -> bool:
        client.away = client.full < 5  # the broker comes back once we are stopped
        return client.full >= 5

    summary = produce(source(), PLAN, client.producer, stopped)
    assert (summary.frames_read, summary.delivered, summary.dropped, summary.failed) == (4, 3, 1, 0)


def test_of_a_live_source_what_finds_no_room_is_left_out_and_keeps_its_number() -> None:
    client = Client(room=4)

    def pictures() -> Iterator[Image]:
        for number, image in enumerate(images(20)):
            client.away = number in range(5, 15)
            yield image

    summary = produce(source(pictures, live=True), PLAN, client.producer)
    numbers = [one.number for one in client.frames]
    assert numbers[:9] == list(range(9))
    assert numbers[-4:] == [16, 17, 18, 19]
    assert summary.dropped == 20 - len(numbers) > 5
    assert (summary.frames_read, summary.delivered, summary.failed) == (20, len(numbers), 0)


def test_a_live_picture_has_the_time_at_which_it_came_not_the_one_at_which_it_went() -> None:
    came: list[int] = []

    def pictures() -> Iterator[Image]:
        for image in images(3):
            came.append(time.time_ns() // 1000)
            yield image

    client = Client()

    def hold(summary: Summary) -> bool:  # noqa: ARG001
        time.sleep(0.2)  # between the moment at which it came and the one at which it goes
        return False

    produce(source(pictures, live=True), Plan("t", "s", "r", fps=18), client.producer, hold=hold)
    assert [0 <= one.time_us - moment < 150_000 for one, moment in zip(client.frames, came, strict=True)] == [
        True
    ] * 3


def test_a_client_that_fails_for_good_ends_with_the_figures_and_the_reason() -> None:
    client = Client(answers=[None, None, FATAL])
    summary = produce(source(), PLAN, client.producer)
    assert (summary.delivered, summary.failed) == (2, 1)
    assert summary.error == "the Kafka client failed for good: fenced"


def test_a_source_without_pictures_is_an_empty_summary() -> None:
    summary = produce(source(lambda: images(0)), PLAN, Client().producer)
    assert (summary.frames_read, summary.delivered, summary.error) == (0, 0, None)


def test_an_interrupt_waits_for_nothing() -> None:
    def interrupted() -> Iterator[Image]:
        yield from images(3)
        raise KeyboardInterrupt

    client = Client(away=True)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        produce(source(interrupted), PLAN, client.producer)
    assert time.monotonic() - started < 9  # it would be ten seconds if it were only to end
    assert len(client) == 3
