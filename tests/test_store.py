"""The store over the wire: each query against plain Python over the same events, and every way it can go wrong."""

from __future__ import annotations

import dataclasses
import logging
import os
import random
import secrets
import signal
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice, pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymongo.database import Database

from framewatch.embedded.home import Home
from framewatch.embedded.process import Child
from framewatch.embedded.store import EmbeddedStore
from framewatch.errors import SettingError, StoreUnavailable
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode
from framewatch.model.event import Event
from framewatch.model.filters import EventFilter
from framewatch.model.upload import Upload
from framewatch.storage.interface import MAX_PAGE, Stored
from framewatch.storage.mongo.alerts import AlertStore
from framewatch.storage.mongo.client import connect
from framewatch.storage.mongo.documents import Document, from_document, to_document
from framewatch.storage.mongo.episodes import EpisodeStore
from framewatch.storage.mongo.events import EventStore
from framewatch.storage.mongo.queries import EventQueries
from framewatch.storage.mongo.store import MongoStore
from framewatch.storage.mongo.uploads import UploadStore
from many import MANY, MINUTE, T0, event
from second_store import SERVERS, address, database_on_both
from shared import free_port

database = database_on_both

HOUR = 60 * MINUTE
STREAMS = ("door", "front door", "камера-2", "cam@3")
LABELS = ("face", "not smoking", "$time_us", "a.b$c", 'it\'s "so" 😀', "e\u0301\n\t\x1b[31m", '{"$gt": ""}', "7")


def events(n: int, **changes: Any) -> list[Event]:
    return [event(frame=k, **changes) for k in range(n)]


def matches(e: Event, where: EventFilter) -> bool:
    return (
        where.stream in (None, e.stream)
        and where.label in (None, e.label)
        and (where.since_us is None or e.time_us >= where.since_us)
        and (where.until_us is None or e.time_us < where.until_us)
        and (where.min_confidence is None or e.confidence >= where.min_confidence)
    )


def newest_first(some: Sequence[Event]) -> list[str]:
    return [e.id for e in sorted(some, key=lambda e: (-e.time_us, e.id))]


def truth(some: Sequence[Event], where: EventFilter | None = None) -> dict[str, int]:
    return dict(Counter(e.label for e in some if where is None or matches(e, where)))


# A store with many kinds of events, and plain Python beside it.


@dataclasses.dataclass
class Both:
    events: list[Event]
    queries: EventQueries
    step: int  # of the filters that are tried: the second server reads all documents for each


@pytest.fixture(scope="module", params=SERVERS)
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    dice = random.Random(27017)
    times = [T0 + dice.randrange(5 * MINUTE) for _ in range(60)] + [
        T0 + k * MINUTE + d for k in range(6) for d in (-1, 0, 1)
    ]
    times += [T0 + dice.randrange(-5 * HOUR, 5 * HOUR) for _ in range(40)]
    times += [T0 - T0 % HOUR + k * HOUR + d for k in range(-2, 3) for d in (-1, 0, 1)]
    some = [
        event(
            stream=dice.choice(STREAMS),
            label=dice.choice(LABELS),
            time_us=dice.choice(times),
            frame=frame,
            index=dice.randrange(3),
            confidence=round(dice.random(), 6),
            scores=tuple((label, dice.random()) for label in dice.sample(LABELS, 2)),
            boundingbox=dice.choice([None, (1, 2, 30, 40), (-5, 0, 10, 10)]),
            landmarks=dice.choice([(), ((1.5, 2.25), (3.0, 4.0))]),
            crop=dice.randbytes(dice.randrange(40)),
        )
        for frame in range(900 if request.param == "embedded" else 250)
    ]
    with connect(address(request.param, request)) as client:
        database = client[f"test_both_{secrets.token_hex(4)}"]
        store = EventStore(database)
        store.setup()
        assert store.add(some) == Stored(len(some), 0)
        yield Both(some, EventQueries(database), 1 if request.param == "embedded" else 7)
        client.drop_database(database.name)


PERIODS: dict[str, tuple[int | None, int | None]] = {
    "open": (None, None),
    "whole minutes": (T0 + MINUTE, T0 + 3 * MINUTE),
    "cut minutes": (T0 + MINUTE // 3, T0 + 4 * MINUTE + 7),
    "inside a minute": (T0 + 5_000_000, T0 + 55_000_000),
    "since": (T0 + 2 * MINUTE + 1, None),
    "until": (None, T0 + 2 * MINUTE - 1),
    "one microsecond": (T0 + MINUTE, T0 + MINUTE + 1),
    "across one edge": (T0 + MINUTE - 20_000_000, T0 + MINUTE + 20_000_000),
    "a microsecond more than whole": (T0 + MINUTE - 1, T0 + 3 * MINUTE + 1),
    "a microsecond less than whole": (T0 + MINUTE + 1, T0 + 3 * MINUTE - 1),
    "nothing": (T0 + MINUTE, T0 + MINUTE),
    "turned round": (T0 + 4 * MINUTE, T0 + MINUTE),
    "before all": (0, T0),
    "cut hours": (T0 - HOUR - MINUTE // 3, T0 + 3 * HOUR + 7),
    "whole hours": (T0 - T0 % HOUR - HOUR, T0 - T0 % HOUR + HOUR),
    "since hours ago": (T0 - 3 * HOUR - 7, None),
    "until in hours": (None, T0 + 2 * HOUR + MINUTE // 2),
    "inside an hour": (T0 - T0 % HOUR + MINUTE, T0 - T0 % HOUR + 50 * MINUTE + 1),
    "beyond what BSON holds": (-(2**70), 2**70),
}


def filters() -> Iterator[EventFilter]:
    for stream, label, period in product((None, *STREAMS[:3], "absent"), (None, *LABELS, "absent"), PERIODS.values()):
        yield EventFilter(stream, label, *period)
    for stream, label, period in product((None, "door"), (None, "face", "7"), PERIODS.values()):
        for least in (0, 0.25, 0.9, 1):
            yield EventFilter(stream, label, *period, min_confidence=least)


def test_every_filter_finds_what_plain_python_finds_newest_first(both: Both) -> None:
    found = 0
    for where in islice(filters(), 0, None, both.step):
        expected = newest_first([e for e in both.events if matches(e, where)])
        page = both.queries.page(where, MAX_PAGE)
        assert [e.id for e in page.events] == expected[: len(page.events)], where
        assert len(page.events) == len(expected) or page.cursor is not None, where
        found += len(page.events)
    assert found > 10 * len(both.events) / both.step  # the filters are not all empty


def test_counts_of_every_filter_are_those_of_plain_python(both: Both) -> None:
    for where in islice(filters(), 0, None, both.step):
        counts = both.queries.counts(where)
        assert counts == truth(both.events, where), where
        assert list(counts.values()) == sorted(counts.values(), reverse=True)


@pytest.mark.parametrize("limit", [1, 7, 50, 449, 450, MAX_PAGE])
def test_paging_to_the_end_gives_each_event_once_in_order(both: Both, limit: int) -> None:
    for where in (
        EventFilter(),
        EventFilter("front door"),
        EventFilter(None, "$time_us"),
        EventFilter(min_confidence=0.7),
    ):
        seen: list[str] = []
        cursor: int | None = None
        while True:
            page = both.queries.page(where, limit, cursor)
            seen += [e.id for e in page.events]
            cursor = page.cursor
            if cursor is None:
                break
            assert len(page.events) >= limit
        assert seen == newest_first([e for e in both.events if matches(e, where)])


def test_a_page_is_the_last_when_the_limit_is_just_reached(both: Both) -> None:
    where = EventFilter("door", "face")
    exactly = len([e for e in both.events if matches(e, where)])
    assert both.queries.page(where, exactly).cursor is None
    assert both.queries.page(where, exactly + 1).cursor is None
    assert both.queries.page(where, exactly - 1).cursor is not None


@pytest.mark.parametrize("limit", [-3, 0, 10**9])
def test_a_limit_outside_the_possible_counts_as_the_nearest(both: Both, limit: int) -> None:
    assert 1 <= len(both.queries.page(EventFilter(), limit).events) <= MAX_PAGE + 50


def test_an_event_comes_back_as_it_was_stored_and_lists_leave_the_crop(both: Both) -> None:
    for e in both.events[::7]:
        assert both.queries.get(e.id) == e
    assert both.queries.get("door/r1/1/other/0") is None
    listed = {e.id: e for e in both.queries.page(EventFilter(), MAX_PAGE).events}
    assert all(dataclasses.replace(e, crop=b"") == listed[e.id] for e in both.events if e.id in listed)


@pytest.mark.parametrize("limit", [None, 1, 200, 201, 899, 900, 5000])
def test_documents_are_all_there_whole_and_in_order(both: Both, limit: int | None) -> None:
    documents = list(both.queries.documents(EventFilter(), limit))
    assert [d["_id"] for d in documents] == newest_first(both.events)[:limit]
    stored = {e.id: e for e in both.events}
    assert all(from_document(d) == stored[d["_id"]] for d in documents)
    assert all(abs(d["timestamp"].timestamp() - d["time_us"] / 1e6) < 0.001 for d in documents[:50])
    assert not any("crop" in d for d in both.queries.documents(EventFilter(), limit, crops=False))


def test_more_events_of_one_capture_time_than_a_page_holds_are_on_one_page(database: Database[Document]) -> None:
    store, queries = EventStore(database), EventQueries(database)
    store.setup()
    crowd = events(MAX_PAGE + 300, time_us=T0 + 5)
    others = [event(stream="b", frame=k, time_us=T0 + k) for k in range(10)]
    store.add(crowd + others)
    everything = newest_first(crowd + others)
    first = queries.page(EventFilter(), 10)
    assert first.cursor == T0 + 5
    assert len(first.events) == 4 + len(crowd) + 1  # those after, and all of that time, whatever their stream
    rest = queries.page(EventFilter(), 10, first.cursor)
    assert [e.id for e in (*first.events, *rest.events)] == everything
    assert rest.cursor is None
    assert [d["_id"] for d in queries.documents(EventFilter())] == everything
    assert [d["_id"] for d in queries.documents(EventFilter(), 333)] == everything[:333]


# Once, and counted once.


@pytest.fixture
def queries(database: Database[Document]) -> EventQueries:
    return EventQueries(database)


def test_adding_twice_stores_once_and_counts_once(store: EventStore, queries: EventQueries) -> None:
    some = events(20) + events(5, label="smile", index=1)
    assert store.add(some) == Stored(25, 0)
    assert store.add(some) == Stored(0, 25)
    assert store.add([]) == Stored(0, 0)
    assert queries.counts(EventFilter()) == {"face": 20, "smile": 5}
    assert len(list(queries.documents(EventFilter()))) == 25


def test_a_batch_that_is_partly_known_adds_the_rest(store: EventStore, queries: EventQueries) -> None:
    some = [event(frame=k, time_us=T0 + k * 10_000_000) for k in range(20)]
    store.add(some[:7])
    assert store.add(some[3:15]) == Stored(8, 4)
    assert store.add(list(reversed(some))) == Stored(5, 15)
    assert queries.counts(EventFilter()) == {"face": 20}
    assert queries.counts(EventFilter(since_us=T0, until_us=T0 + MINUTE)) == {"face": 6}


def test_one_id_twice_in_a_batch_is_one_event(store: EventStore, queries: EventQueries) -> None:
    assert store.add([event(), event(frame=1), event()]) == Stored(2, 1)
    assert queries.counts(EventFilter()) == {"face": 2}


def test_numbers_of_a_classifier_are_stored_whatever_their_type(store: EventStore, queries: EventQueries) -> None:
    half, box = np.float32(0.5), np.array([1, 2, 3, 4], np.int32)
    made = event(confidence=half, scores=(("face", half),), landmarks=((half, half),), boundingbox=tuple(box))
    store.add([made])
    assert queries.get(made.id) == made


def test_setting_up_again_changes_nothing(store: EventStore, database: Database[Document]) -> None:
    before = database["events"].index_information()
    store.setup()
    assert database["events"].index_information() == before
    assert len(before) >= 4


def test_counts_are_made_good_after_a_death_between_insert_and_count(
    store: EventStore, queries: EventQueries, database: Database[Document]
) -> None:
    counted, lost, new = events(5), events(9, index=1), events(3, index=2)
    store.add(counted)
    database["events"].insert_many([to_document(e) for e in lost])  # and there the worker died
    assert queries.counts(EventFilter()) == {"face": 5}
    assert store.add(lost + new) == Stored(3, 9)
    assert queries.counts(EventFilter()) == truth(counted + lost + new)


@pytest.mark.usefixtures("store")
def test_counts_are_right_when_several_write_at_once(queries: EventQueries, database: Database[Document]) -> None:
    def write(index: int) -> None:
        for batch in range(10):
            EventStore(database).add([event(frame=batch * 10 + k, index=index) for k in range(10)])

    threads = [threading.Thread(target=write, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queries.counts(EventFilter()) == {"face": 400}


def test_counts_by_minute_of_an_older_store_are_summed_up_by_hour(
    store: EventStore, queries: EventQueries, database: Database[Document]
) -> None:
    some = [event(frame=k, time_us=T0 + k * 10 * MINUTE, label=LABELS[k % 2]) for k in range(60)]
    store.add(some)
    assert database["counts"].delete_many({"hour": {"$gte": 0}}).deleted_count == 20
    EventStore(database).setup()
    EventStore(database).setup()
    assert queries.counts(EventFilter()) == truth(some)


# Deletion.


def test_prune_deletes_whole_minutes_only_and_keeps_the_counts_right(
    store: EventStore, queries: EventQueries
) -> None:
    some = [event(frame=k, time_us=T0 + k * 80_000, label=LABELS[k % 3]) for k in range(3000)]  # four minutes
    some += events(1200, time_us=T0 + 7, index=1)  # more of one time than a batch
    store.add(some)
    assert store.prune(T0 + MINUTE - 1) == 0
    kept = [e for e in some if e.time_us >= T0 + 2 * MINUTE]
    assert store.prune(T0 + 2 * MINUTE + 30_000_000) == len(some) - len(kept)
    assert [d["_id"] for d in queries.documents(EventFilter(), crops=False)] == newest_first(kept)
    for where in (EventFilter(), EventFilter("door"), EventFilter(None, "face", T0, T0 + 3 * MINUTE - 5)):
        assert queries.counts(where) == truth(kept, where)
    assert store.prune(T0 + 2 * MINUTE + 30_000_000) == 0


@pytest.mark.parametrize("period", PERIODS, ids=str)
@pytest.mark.parametrize("stream", [None, "front door"])
def test_delete_takes_what_the_filter_says_and_its_counts(
    store: EventStore, queries: EventQueries, stream: str | None, period: str
) -> None:
    dice = random.Random(1)
    some = [
        event(
            stream=dice.choice(STREAMS[:2]),
            frame=k,
            label=dice.choice(LABELS),
            time_us=T0 + dice.choice([dice.randrange(5 * MINUTE), dice.randrange(-5 * HOUR, 5 * HOUR)]),
        )
        for k in range(160)
    ]
    store.add(some)
    where = EventFilter(stream, None, *PERIODS[period])
    kept = [e for e in some if not matches(e, where)]
    assert store.delete(where) == len(some) - len(kept)
    assert [e.id for e in queries.page(EventFilter(), MAX_PAGE).events] == newest_first(kept)
    for rest in (EventFilter(), *(EventFilter("door", None, *left) for left in PERIODS.values())):
        assert queries.counts(rest) == truth(kept, rest)


@pytest.mark.parametrize("names", [(None, None), ("front door", None), (None, "face")], ids=str)
def test_delete_by_confidence_keeps_the_rest_of_each_minute_and_its_counts(
    store: EventStore, queries: EventQueries, names: tuple[str | None, str | None]
) -> None:
    dice = random.Random(2)
    some = [
        event(
            stream=dice.choice(STREAMS[:2]),
            frame=k,
            label=dice.choice(LABELS),
            time_us=T0 + dice.randrange(3 * MINUTE),
            confidence=dice.choice([0.1, 0.5, 0.9]),
        )
        for k in range(200)
    ]
    store.add(some)
    where = EventFilter(*names, T0 + MINUTE // 2, T0 + 2 * MINUTE, min_confidence=0.5)
    kept = [e for e in some if not matches(e, where)]
    assert sum(queries.counts(where).values()) == store.delete(where) == len(some) - len(kept)
    assert [e.id for e in queries.page(EventFilter(), MAX_PAGE).events] == newest_first(kept)
    for rest in (EventFilter(), EventFilter("door"), EventFilter(None, "face", T0 + 9, T0 + 3 * MINUTE)):
        assert queries.counts(rest) == truth(kept, rest)


# What is no event.


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": ""},
        {"label": "a\0b"},
        {"label": "\ud800"},
        {"stream": ""},
        {"model": "\0"},
        {"scores": (("a\0", 0.5),)},
        {"confidence": float("nan")},
        {"confidence": 1.01},
        {"scores": (("a", float("inf")),)},
        {"landmarks": ((1.0, float("nan")),)},
        {"time_us": -1},
        {"time_us": 2**62},
    ],
    ids=str,
)
def test_an_event_that_no_store_could_keep_is_refused_when_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        event(**wrong)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"frame": None}, "int"),
        ({"frame": "twelve"}, "twelve"),
        ({"confidence": float("nan")}, "confidence nan"),
        ({"confidence": float("inf")}, "confidence inf"),
        ({"time_us": float("inf")}, "infinity"),
        ({"crop": "not base64!"}, "base64"),
        ({"crop": 5}, "int"),
        ({"boundingbox": [1, 2]}, "index"),
        ({"boundingbox": "wide"}, "'w'"),
        ({"landmarks": [1]}, "int"),
        ({"scores": [{"label": "a"}]}, "'score' is missing"),
        ({"_id": "nothing"}, "'nothing'"),
        ({"_id": 7}, "document 7"),
        ({"stream": "other"}, "its _id is not 'other/r1/0/faces@1f3a/0'"),
    ],
    ids=str,
)
def test_a_document_that_is_no_event_is_told_from_one_with_the_reason(changes: Document, said: str) -> None:
    with pytest.raises(ValueError, match="is no event") as caught:
        from_document(to_document(event()) | changes)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "field", ["_id", "stream", "run", "frame", "time_us", "label", "confidence", "model", "offset"]
)
def test_a_document_without_a_field_names_it(field: str) -> None:
    document = to_document(event())
    del document[field]
    with pytest.raises(ValueError, match=f"'{field}' is missing"):
        from_document(document)


def test_a_document_without_box_crop_landmarks_and_scores_is_an_event_without_them() -> None:
    document = to_document(event(boundingbox=(1, 2, 3, 4)))
    for field in ("boundingbox", "crop", "landmarks", "scores", "timestamp"):
        del document[field]
    assert from_document(document) == event(crop=b"")


def test_documents_of_other_programs_break_no_list_and_no_count(
    store: EventStore, queries: EventQueries, database: Database[Document], caplog: pytest.LogCaptureFixture
) -> None:
    store.add(events(3))
    foreign: list[Document] = [
        {"_id": "no time", "label": "x"},
        {"_id": "null time", "time_us": None},
        {"_id": "text time", "time_us": "2026-11-21"},
        {"_id": "a time and nothing else", "time_us": T0 + 1},
        {"_id": "part of a microsecond", "time_us": T0 + 0.5},
        {"_id": 17, "time_us": T0 + 2, "label": 5, "crop": "%%", "confidence": "high"},
    ]
    database["events"].insert_many(foreign)
    with caplog.at_level(logging.WARNING):
        assert [e.id for e in queries.page(EventFilter()).events] == newest_first(events(3))
    assert "'a time and nothing else' is no event" in caplog.text
    listed = [17, "a time and nothing else", "part of a microsecond", *newest_first(events(3))]
    assert [d["_id"] for d in queries.documents(EventFilter())] == listed
    assert sorted(queries.untimed(10)) == ["no time", "null time", "text time"]
    assert len(queries.untimed(2)) == 2
    assert queries.counts(EventFilter(since_us=T0 - 5, until_us=T0 + 5)) == {"face": 3}
    assert [d["_id"] for d in queries.documents(EventFilter(min_confidence=0.1))] == newest_first(events(3))
    paged: list[Any] = []
    cursor: int | None = None
    while True:
        rows, cursor = queries._page(EventFilter(), 1, cursor, None)
        paged += [row["_id"] for row in rows]
        if cursor is None:
            break
    assert paged == listed
    with pytest.raises(ValueError, match="is no event: field 'stream' is missing"):
        queries.get("no time")
    assert store.prune(T0 + MINUTE) == 6  # what no time has stays: nobody can say that it is old


# Away, and back.


@pytest.fixture
def private_store(tmp_path: Path) -> Iterator[tuple[str, Child]]:
    home = Home(tmp_path / "home")
    home.prepare()
    embedded = EmbeddedStore(home, free_port())
    child = embedded.prepare()
    child.start()
    try:
        child.wait_ready()
        yield embedded.uri, child
    finally:
        child.stop()


def kill(child: Child) -> None:
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    while child.poll() is None:
        time.sleep(0.01)


def refusals(database: Database[Document]) -> list[str]:
    """What everything that can be asked of the store says while it is away: at once, so that they wait together."""
    store, queries = EventStore(database), EventQueries(database)
    episodes, alerts, uploads = EpisodeStore(database), AlertStore(database), UploadStore(database)
    attempts: list[Callable[[], object]] = [
        store.setup,
        lambda: store.add(events(3)),
        lambda: store.prune(T0),
        lambda: store.delete(EventFilter("door")),
        lambda: queries.page(EventFilter()),
        lambda: queries.get("a/b/1/c/0"),
        lambda: list(queries.documents(EventFilter())),
        lambda: queries.untimed(3),
        lambda: queries.counts(EventFilter(since_us=T0 + 1)),
        lambda: MongoStore(database).erase(EventFilter("door")),
        lambda: MongoStore(database).erasable(EventFilter("door")),
        episodes.setup,
        lambda: episodes.save([Episode("door", "face", T0, T0, 1, 0.5)]),
        lambda: episodes.page(EventFilter()),
        lambda: episodes.latest("door", T0),
        lambda: episodes.delete(EventFilter()),
        lambda: episodes.prune(T0),
        alerts.setup,
        lambda: alerts.add(Alert("rule", "door", "face", T0, T0, 1.0, "text")),
        lambda: alerts.end("a", T0),
        alerts.open,
        alerts.waiting,
        lambda: alerts.get("a"),
        lambda: alerts.page(EventFilter()),
        lambda: alerts.delete(EventFilter()),
        uploads.setup,
        lambda: uploads.save(Upload("u", "u", "title", "image", T0)),
        lambda: uploads.get("u"),
        uploads.newest,
        lambda: uploads.delete("u"),
        lambda: uploads.prune(T0),
    ]
    with ThreadPoolExecutor(len(attempts)) as pool:
        return list(pool.map(refusal, attempts))


def refusal(attempt: Callable[[], object]) -> str:
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match="does not answer") as caught:
        attempt()
    assert time.monotonic() - started < 5
    return str(caught.value)


def test_a_store_that_is_away_is_told_in_one_line_within_five_seconds() -> None:
    port = free_port()
    with connect(f"mongodb://keeper:verysecret@127.0.0.1:{port}") as client:
        for line in refusals(client["test"]):
            assert f"127.0.0.1:{port}" in line
            assert len(line) < 160
            assert "\n" not in line
            assert "keeper" not in line
            assert "secret" not in line
        assert not EventStore(client["test"]).ping(0.3)


def test_a_killed_store_is_noticed_and_used_again_when_it_is_back(private_store: tuple[str, Child]) -> None:
    uri, child = private_store
    with connect(uri) as client:
        store, queries = EventStore(client["test"]), EventQueries(client["test"])
        store.setup()
        store.add(events(50))
        reading = queries.documents(EventFilter())
        assert store.ping()
        kill(child)
        assert len(refusals(client["test"])) > 30
        assert not store.ping()
        with pytest.raises(StoreUnavailable):
            next(reading)
        child.start()
        child.wait_ready()
        assert store.add(events(60)) == Stored(10, 50)
        assert store.ping()
        assert queries.counts(EventFilter()) == {"face": 60}
        assert len(queries.page(EventFilter(), 100).events) == 60


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "http://keeper:verysecret@host",
        "mongodb://keeper:very/secret@host:1",
        "mongodb://keeper:verysecret@host:99999",
        "mongodb://keeper:very@secret@host",
        "mongodb://keeper:verysecret@",
        "mongodb://keeper:verysecret@host/?tls=true&tlsCAFile=/no/such/file",
    ],
)
def test_an_address_that_cannot_be_used_is_told_without_its_password(uri: str) -> None:
    with pytest.raises(SettingError, match="MONGODB_URI") as caught:
        connect(uri)
    assert "secret" not in str(caught.value)
    assert "keeper" not in str(caught.value)


# Many.


def test_a_long_list_with_crops_takes_no_more_memory_than_a_page(
    store: EventStore, queries: EventQueries, capsys: pytest.CaptureFixture[str]
) -> None:
    crop = random.Random(3).randbytes(24_000)
    for batch in range(10):
        store.add([event(frame=batch * 200 + k, time_us=T0 + batch * 200 + k, crop=crop) for k in range(200)])
    tracemalloc.start()
    try:
        size = sum(len(document["crop"]) for document in queries.documents(EventFilter()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == 2000 * 32_000
    with capsys.disabled():
        print(f"\n  a list of {size / 1e6:.0f} MB of crops: {peak / 1e6:.0f} MB at most in the client")
    assert peak < 25e6


FASTEST_S = 0.150


@pytest.mark.speed
def test_pages_and_counts_of_a_hundred_thousand_events_come_at_once(
    many: Database[Document], capsys: pytest.CaptureFixture[str]
) -> None:
    queries = EventQueries(many)
    middle = T0 + MANY // 16 * 33_333
    lines = ["", f"  {MANY} events              page (ms)  counts (ms)"]
    slow = []
    for name, where in {
        "all": EventFilter(),
        "stream": EventFilter("cam-3"),
        "label": EventFilter(None, "label 2"),
        "stream, label": EventFilter("cam-3", "label 2"),
        "period": EventFilter(None, None, middle - 95_000_000, middle + 1),
        "stream, period": EventFilter("cam-3", None, middle - 95_000_000, middle + 1),
        "label, period": EventFilter(None, "label 2", middle - 95_000_000, middle + 1),
        "stream, label, period": EventFilter("cam-3", "label 2", middle - 95_000_000, middle + 1),
        "rare label": EventFilter(None, "rare"),
        "half the confidences": EventFilter(min_confidence=0.5),
        "rare confidence": EventFilter(min_confidence=0.999),
        "stream, rare confidence": EventFilter("cam-3", min_confidence=0.999),
        "absent stream": EventFilter("nobody"),
    }.items():
        page_s, counts_s = fastest_s(partial(queries.page, where)), fastest_s(partial(queries.counts, where))
        lines.append(f"  {name:<24} {page_s * 1000:>11.1f} {counts_s * 1000:>12.1f}")
        slow += [(name, s) for s in (page_s, counts_s) if s > FASTEST_S]
    with capsys.disabled():
        print("\n".join(lines))
    assert not slow


@pytest.mark.speed
def test_the_last_page_comes_as_fast_as_the_first(many: Database[Document]) -> None:
    queries = EventQueries(many)
    last = queries.page(EventFilter(), 50, T0 + 100_000)
    assert last.cursor is None
    assert len(last.events) == 32
    assert fastest_s(lambda: queries.page(EventFilter(), 50, T0 + 100_000)) < FASTEST_S


def fastest_s(do: Callable[[], object]) -> float:
    """Of five tries: what else the machine does only ever adds to it."""
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        do()
        taken.append(time.perf_counter() - started)
    return min(taken)


def test_pages_of_many_events_leave_no_gap(thousands: Database[Document]) -> None:
    where = EventFilter("cam-3", None, T0, T0 + 20_000_000)
    ids: list[str] = []
    cursor: int | None = None
    while True:
        page = EventQueries(thousands).page(where, 77, cursor)
        ids += [e.id for e in page.events]
        cursor = page.cursor
        if cursor is None:
            break
    frames = [int(event_id.split("/")[2]) for event_id in ids]
    assert len(frames) == 20_000_000 // 33_333 + 1
    assert all(newer == older + 1 for newer, older in pairwise(frames))
