"""The live feed: what listeners are told, how often, and that none costs the writer or the others anything."""

from __future__ import annotations

import dataclasses
import http.client
import json
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from typing import Any

import pytest
from flask_openapi3.openapi import OpenAPI

from conftest import wait_for
from framewatch.errors import CapacityExceeded
from framewatch.live.feed import MAX_LISTENERS, Feed, Listener, Wanted
from framewatch.live.hub import LiveHub
from framewatch.model.alert import Alert
from framewatch.model.event import Event
from framewatch.model.health import Health
from framewatch.web.api import feed as room
from framewatch.web.app import Backend, create_app
from framewatch.web.server import WebServer
from shared import free_port
from test_web import below, measured

T0 = 1_795_000_000_000_000
HEALTHY = Health("healthy", "up", "up", 2, 0, 30.0, 20.0, 40.0, 0, {})


class Clock:
    """Seconds that pass when told."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def event(
    stream: str = "door", label: str = "face", frame: int = 0, confidence: float = 0.5, index: int = 0
) -> Event:
    return Event(
        stream, "r1", frame, T0 + frame * 33_333, index, label, confidence, "faces@1f3a", 0, frame, b"\xff\xd8 crop"
    )


def alert(stream: str = "door", label: str = "smoking", until_us: int | None = None) -> Alert:
    return Alert("no smoking", stream, label, T0, T0, 1.0, f"{label} at {stream}", until_us)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def feed(clock: Clock) -> Feed:
    """Its time stands, so that nothing is told twice a second and nobody rests between two looks."""
    return Feed(clock=clock)


def told(listener: Listener) -> list[tuple[str, str, int]]:
    """Stream, label and frame of what the listener is told next; nothing where there is nothing."""
    listener._taken_s = -1e9  # no rest
    batch = listener.next(0)
    return [(e.stream, e.label, e.frame) for e in batch.events] if batch else []


def test_a_listener_is_told_of_what_comes_after_it_came(feed: Feed) -> None:
    feed.publish([event(frame=1)])
    with feed.listener(Wanted()) as listener:
        assert told(listener) == []
        feed.publish([event(frame=2), event("window", frame=7)])
        assert told(listener) == [("door", "face", 2), ("window", "face", 7)]
        assert told(listener) == []


def test_one_event_a_second_of_each_stream_and_label(feed: Feed, clock: Clock) -> None:
    with feed.listener(Wanted()) as listener:
        seen = []
        for frame in range(300):  # ten seconds of thirty frames, two streams, two labels on one of them
            feed.publish([event("door", "face", frame), event("door", "hat", frame), event("window", "face", frame)])
            if frame % 10 == 9:
                seen += told(listener)
            clock.now_s += 1 / 30
        for stream, label in (("door", "face"), ("door", "hat"), ("window", "face")):
            frames = [f for s, la, f in seen if (s, la) == (stream, label)]
            assert len(frames) == 10
            assert all(later - earlier >= 30 for earlier, later in pairwise(frames))


def test_what_is_left_out_is_counted(feed: Feed, clock: Clock) -> None:
    with feed.listener(Wanted(stream="door")) as listener:
        for frame in range(30):
            feed.publish([event(frame=frame, index=index) for index in range(2)] + [event("window", frame=frame)])
        first = listener.next(0)
        assert first is not None and len(first.events) == 1 and first.left_out == 59
        feed.publish([event(frame=30)])
        assert told(listener) == []  # within the second
        clock.now_s += 1
        feed.publish([event(frame=31)])
        listener._taken_s = -1e9
        second = listener.next(0)
        assert second is not None and [e.frame for e in second.events] == [31] and second.left_out == 1


def test_each_listener_is_told_of_what_it_wants(feed: Feed) -> None:
    wanted = {
        Wanted(): 4,
        Wanted(stream="door"): 2,
        Wanted(label="face"): 2,
        Wanted(min_confidence=0.8): 2,
        Wanted("window", "hat", 0.9): 1,
        Wanted("nobody"): 0,
    }
    with ExitStack() as all_of_them:
        listeners = {one: all_of_them.enter_context(feed.listener(one)) for one in wanted}
        feed.publish([event("door", "face", 1, 0.2), event("door", "hat", 1, 0.8)])
        feed.publish([event("window", "face", 1, 0.5), event("window", "hat", 1, 0.9)])
        assert {one: len(told(listener)) for one, listener in listeners.items()} == wanted


def test_an_event_that_is_not_wanted_takes_no_other_ones_place(feed: Feed) -> None:
    with feed.listener(Wanted(min_confidence=0.8)) as listener:
        feed.publish([event(frame=1, confidence=0.3)])
        feed.publish([event(frame=2, confidence=0.9)])
        assert told(listener) == [("door", "face", 2)]


def test_events_are_told_without_their_crops(feed: Feed) -> None:
    with feed.listener(Wanted()) as listener:
        feed.publish([event(frame=3)])
        batch = listener.next(1)
        assert batch is not None and list(batch.events) == [dataclasses.replace(event(frame=3), crop=b"")]


def test_every_alert_is_told_and_again_when_it_is_over(feed: Feed) -> None:
    with feed.listener(Wanted("door")) as listener:
        for _ in range(5):
            feed.publish([event()])
        feed.publish_alert(alert())
        feed.publish_alert(alert("window"))
        feed.publish_alert(alert(until_us=T0 + 5))
        batch = listener.next(1)
        assert batch is not None and list(batch.alerts) == [alert(), alert(until_us=T0 + 5)]
        feed.publish_alert(alert(label="sleeping"))
        assert told(listener) == []  # it was a batch without events
    with feed.listener(Wanted(label="smoking", min_confidence=1)) as listener:
        feed.publish_alert(alert(label="sleeping"))
        feed.publish_alert(alert())
        batch = listener.next(1)
        assert batch is not None and list(batch.alerts) == [alert()]


def test_a_slow_listener_misses_what_is_old_and_memory_stays_bounded(feed: Feed, clock: Clock) -> None:
    with feed.listener(Wanted()) as slow, feed.listener(Wanted()) as quick:
        tracemalloc.start()
        try:
            frame = 0
            for _ in range(40):
                for _ in range(500):
                    feed.publish([dataclasses.replace(event(frame=frame), crop=bytes(20_000))])
                    frame += 1
                assert [f for _, _, f in told(quick)] == [frame - 500]
                clock.now_s += 1
            held = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert held < 8e6
        batch = slow.next(1)
        assert batch is not None and batch.events[0].frame == frame - 4096
        assert len(batch.events) + batch.left_out == frame


def test_many_streams_and_labels_are_not_remembered_for_ever(feed: Feed, clock: Clock) -> None:
    with feed.listener(Wanted()) as listener:
        for k in range(50):
            feed.publish([event(f"cam-{k}-{j}", frame=k) for j in range(100)])
            assert len(told(listener)) == 100
            clock.now_s += 2
        assert len(listener._last_s) <= 1200


@pytest.mark.speed
def test_telling_takes_microseconds_whoever_listens(capsys: pytest.CaptureFixture[str]) -> None:
    feed = Feed()
    frame = [event(frame=1, index=index) for index in range(3)]
    lines = ["", "  publishing a frame of three events (µs, median and 99th of a hundred)"]
    taken: dict[int, list[float]] = {}
    with ExitStack() as listening:
        for listeners in (0, 1, MAX_LISTENERS):
            while feed.listeners < listeners:
                start_listening(feed, listening)
            taken[listeners] = []
            for _ in range(1000):
                started = time.perf_counter()
                feed.publish(frame)
                taken[listeners].append(1e6 * (time.perf_counter() - started))
                time.sleep(0.0003)
            ordered = sorted(taken[listeners])
            lines.append(f"  {listeners:>3} listeners {ordered[500]:>8.1f} {ordered[990]:>8.1f}")
        listening.callback(feed.close)
    with capsys.disabled():
        print("\n".join(lines))
    assert sorted(taken[MAX_LISTENERS])[500] < 1000


def start_listening(feed: Feed, until: ExitStack) -> None:
    listener = until.enter_context(feed.listener(Wanted()))

    def run() -> None:
        while not feed.closed:
            listener.next(1)

    thread = threading.Thread(target=run)
    until.callback(thread.join)
    thread.start()


def test_a_listener_looks_four_times_a_second_at_most_and_at_once_after_silence() -> None:
    rounds = [looks_after_silence()]
    while min(after_s for after_s, _ in rounds) >= 0.1 and len(rounds) < 10:  # the machine may be busy
        rounds.append(looks_after_silence())
    assert min(after_s for after_s, _ in rounds) < 0.1
    for _, looks in rounds:
        assert len(looks) > 1
        assert all(later - earlier > 0.2 for earlier, later in pairwise(looks))


def looks_after_silence() -> tuple[float, list[float]]:
    """How long after the first event of many a listener looked, and when it did."""
    feed = Feed()
    looks: list[float] = []
    with ExitStack() as listening:
        listener = listening.enter_context(feed.listener(Wanted()))
        take = listener._take

        def counted() -> Any:
            if not feed.closed:
                looks.append(time.monotonic())
            return take()

        listener._take = counted  # type: ignore[method-assign]
        thread = threading.Thread(target=lambda: [listener.next(20) for _ in range(2)])
        thread.start()
        listening.callback(thread.join)
        listening.callback(feed.close)
        time.sleep(0.4)
        started = time.monotonic()
        while thread.is_alive():
            feed.publish([event()])
            time.sleep(0.01)
    return looks[0] - started, looks


def test_closing_ends_every_wait_at_once() -> None:
    measured(until_all_have_ended_s, below(1))  # of the sixty seconds that they would wait


def until_all_have_ended_s() -> float:
    """Seconds from the closing of a feed until the last of twenty listeners is at its end."""
    feed = Feed()
    ended: list[float] = []

    def listen(wanted: Wanted) -> None:
        with feed.listener(wanted) as listener:
            while listener.next(60) is not None:
                pass
        ended.append(time.monotonic())

    threads = [threading.Thread(target=listen, args=(Wanted(),)) for _ in range(20)]
    for thread in threads:
        thread.start()
    wait_for(lambda: feed.listeners == 20, "twenty listeners")
    feed.publish([event()])
    started = time.monotonic()
    feed.close()
    for thread in threads:
        thread.join(20)
    assert len(ended) == 20
    assert feed.listeners == 0
    feed.publish([event()])
    feed.publish_alert(alert())
    return max(ended) - started


def test_one_more_than_there_are_places_for_is_told_so() -> None:
    feed = Feed(max_listeners=2)
    with feed.listener(Wanted()), feed.listener(Wanted()):
        with pytest.raises(CapacityExceeded, match="2 are listening"), feed.listener(Wanted()):
            pass
        assert feed.listeners == 2
    with feed.listener(Wanted()):
        assert feed.listeners == 1


# Over the wire.


def app_of(feed: Feed) -> OpenAPI:
    return create_app(Backend(LiveHub(4), lambda: HEALTHY, feed=feed))


@contextmanager
def serving(app: OpenAPI) -> Iterator[int]:
    port = free_port()
    with WebServer(app, "127.0.0.1", port, MAX_LISTENERS + 4):
        yield port


class Told:
    """A client of the live feed."""

    def __init__(self, port: int, query: str = "", method: str = "GET") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        self.connection.request(method, f"/events/live{query}", headers={"Accept": "text/event-stream"})
        self.answer = self.connection.getresponse()

    def next(self) -> tuple[str, Any]:
        """Kind and data of the next message; a comment's kind is empty."""
        kind, data = "", ""
        while (line := self.answer.readline().decode().rstrip("\n")) != "":
            name, _, value = line.partition(": ")
            kind, data = (value, data) if name == "event" else (kind, value) if name == "data" else (kind, data)
        return kind, json.loads(data) if data else None

    def close(self) -> None:
        self.connection.close()


def test_pages_are_told_by_server_sent_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_PING_S", 60)
    feed = Feed()
    with serving(app_of(feed)) as port, closing(Told(port, "?stream=door&min_confidence=0.4")) as client:
        headers = client.answer.headers
        assert (client.answer.status, headers["Content-Type"]) == (200, "text/event-stream")
        assert "no-store" in headers["Cache-Control"] and headers["X-Accel-Buffering"] == "no"
        assert client.answer.readline() == b"retry: 1000\n" and client.answer.readline() == b"\n"
        feed.publish([event("window"), event(frame=1, confidence=0.1), event(frame=2, label="=a\nb 😀")])
        kind, data = client.next()
        assert kind == "events" and data["left_out"] == 0
        (out,) = data["events"]
        assert (out["id"], out["label"]) == ("door/r1/2/faces@1f3a/0", "=a\nb 😀")
        assert out["crop_url"] == out["url"] + "/crop.jpg"
        feed.publish_alert(alert())
        kind, data = client.next()
        assert kind == "alert" and (data["rule"], data["until"], data["webhook"]) == ("no smoking", None, "none")
        feed.publish_alert(alert(until_us=T0 + 1_500_000))
        assert client.next()[1]["until"] == "2026-11-18T11:06:41.500000Z"
        feed.close()
        assert client.answer.read() in (b"", b": ping\n\n")


def test_a_quiet_feed_says_every_five_seconds_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_PING_S", 0.2)
    feed = Feed()
    with serving(app_of(feed)) as port, closing(Told(port)) as client:
        assert [client.next() for _ in range(3)] == [("", None)] * 3
        feed.close()


def test_an_answer_ends_after_its_time_and_gives_its_place_back() -> None:
    feed = Feed()
    app = OpenAPI(__name__, doc_ui=False)
    app.register_api(room.blueprint(feed, lasts_s=0.5))
    with serving(app) as port:
        started = time.monotonic()
        with closing(Told(port)) as client:
            client.answer.read()
            assert 0.4 < time.monotonic() - started < 10
        wait_for(lambda: feed.listeners == 0, "the place given back")


def test_the_sixty_fifth_is_refused_until_one_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_PING_S", 0.2)
    feed = Feed()
    with serving(app_of(feed)) as port, ExitStack() as clients:
        many = [clients.enter_context(closing(Told(port))) for _ in range(MAX_LISTENERS)]
        assert all(client.answer.status == 200 for client in many)
        with closing(Told(port)) as refused:
            assert refused.answer.status == 503 and int(refused.answer.headers["Retry-After"]) > 0
            assert json.loads(refused.answer.read())["status"] == 503
        with closing(Told(port, method="HEAD")) as asked:
            assert asked.answer.status == 200 and feed.listeners == MAX_LISTENERS
        many[0].close()
        wait_for(lambda: feed.listeners < MAX_LISTENERS, "one less")
        feed.publish([event(frame=5)])
        for client in many[1:]:
            messages = iter(client.next, None)
            assert next(data for kind, data in messages if kind == "events")["events"][0]["frame"] == 5
        with closing(Told(port)) as last:
            assert last.answer.status == 200
        feed.close()


@pytest.mark.parametrize(
    "query", ["?stream[$ne]=a", "?label=", "?since=1h", "?min_confidence=2", "?stream=a&stream=b"]
)
def test_wishes_that_cannot_be_understood_are_refused(query: str) -> None:
    answer = app_of(Feed()).test_client().get(f"/events/live{query}")
    assert answer.status_code == 422 and answer.headers["Content-Type"] == "application/problem+json"
