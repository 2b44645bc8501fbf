"""Documents of other programs in our collections: whatever they hold, ours are found and counted as if alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId
from pymongo.database import Database
from pymongo.errors import WriteError

from framewatch.model.alert import Alert
from framewatch.model.episode import Episode
from framewatch.model.event import Event
from framewatch.model.filters import EventFilter
from framewatch.model.upload import Upload
from framewatch.storage.interface import Document, Erased
from framewatch.storage.mongo.store import MongoStore
from many import MINUTE, T0, event
from second_store import database_on_both

database = database_on_both

EVENTS = [event(frame=k, time_us=T0 + k * 20_000_000, confidence=0.5 + k / 100) for k in range(12)]
EPISODES = [Episode("door", "face", T0 + k * MINUTE, T0 + k * MINUTE + 30_000_000, 9, 0.5) for k in range(4)]
ALERTS = [Alert("rule", "door", "face", T0 + k * MINUTE, T0, 1.0, "text", webhook="waiting") for k in range(4)]
UPLOADS = [Upload(f"upload-{k}", f"upload-{k}", "cat.mp4", "video", T0 + k * MINUTE) for k in range(4)]

IN_THE_MIDDLE = T0 + MINUTE + 7
NO_TIMES: dict[str, Any] = {
    "array": [T0, T0 + MINUTE],
    "array around all": [0, 2**62],
    "array of one": [IN_THE_MIDDLE],
    "empty array": [],
    "array of arrays": [[IN_THE_MIDDLE]],
    "text": str(IN_THE_MIDDLE),
    "NaN": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "decimal NaN": Decimal128("NaN"),
    "decimal infinity": Decimal128("-Infinity"),
    "null": None,
    "document": {"$date": 5, "0": IN_THE_MIDDLE},
    "date": datetime.fromtimestamp(IN_THE_MIDDLE / 1e6, UTC),
    "bytes": b"\x00",
    "id": ObjectId(),
}
ODD_NUMBERS: dict[str, Any] = {
    "double": IN_THE_MIDDLE + 0.5,
    "decimal": Decimal128(f"{IN_THE_MIDDLE}.5"),
    "huge": 1e300,
}

TAKEN_FOR_0 = {"NaN", "decimal NaN"}  # by mongo-java-server; to MongoDB they are in no range


def insert(database: Database[Document], collection: str, documents: Sequence[Document]) -> set[Any]:
    """Those that the server takes: the embedded store has no NaN and no decimals. Their ids."""
    taken = set()
    for document in documents:
        try:
            database[collection].insert_one(document)
            taken.add(document["_id"])
        except WriteError:
            continue
    return taken


@pytest.fixture
def store(database: Database[Document]) -> MongoStore:
    """Ours of all kinds."""
    made = MongoStore(database)
    made.setup()
    made.events.add(EVENTS)
    made.episodes.save(EPISODES)
    for alert in ALERTS:
        made.alerts.add(alert)
    for upload in UPLOADS:
        made.uploads.save(upload)
    return made


def odd_everywhere(database: Database[Document], values: dict[str, Any]) -> dict[str, set[Any]]:
    """Each of the values as each field that is asked for, of documents that are otherwise ours; their ids."""
    ours = {
        name: next(iter(database[name].find({}, {"crop": 0}))) for name in ("events", "episodes", "alerts", "uploads")
    }
    fields = {
        "events": ("time_us", "stream", "label", "confidence"),
        "episodes": ("start_us", "end_us", "stream", "label", "peak", "frames"),
        "alerts": ("start_us", "until_us", "stream", "rule", "open", "webhook"),
        "uploads": ("time_us", "state", "total"),
    }
    return {
        name: insert(
            database,
            name,
            [
                ours[name] | {"_id": f"{field} {kind}", field: value}
                for field in fields[name]
                for kind, value in values.items()
            ],
        )
        for name in ours
    }


def all_pages(store: MongoStore, where: EventFilter, limit: int) -> list[Event]:
    found: list[Event] = []
    cursor: int | None = None
    while True:
        page = store.events.page(where, limit, cursor)
        found += page.events
        cursor = page.cursor
        if cursor is None:
            return found


FILTERS = [
    EventFilter(),
    EventFilter("door"),
    EventFilter(None, "face"),
    EventFilter("door", "face", T0, T0 + 2 * MINUTE),
    EventFilter(since_us=T0 + 30_000_000, until_us=T0 + 2 * MINUTE + 7),
    EventFilter(min_confidence=0.55),
]


def of_ours(where: EventFilter) -> list[str]:
    return [
        e.id
        for e in sorted(EVENTS, key=lambda e: -e.time_us)
        if (where.since_us is None or e.time_us >= where.since_us)
        and (where.until_us is None or e.time_us < where.until_us)
        and (where.min_confidence is None or e.confidence >= where.min_confidence)
    ]


def test_pages_and_lists_are_as_if_ours_were_alone(store: MongoStore, database: Database[Document]) -> None:
    odd_everywhere(database, NO_TIMES | ODD_NUMBERS)
    for where in FILTERS:
        for limit in (1, 2, 50):
            assert [e.id for e in all_pages(store, where, limit)] == of_ours(where), (where, limit)
    assert [e.id for e in store.episodes.page(EventFilter("door"), 2).episodes] == [e.id for e in EPISODES[:1:-1]]
    assert list(store.episodes.within(EventFilter())) == EPISODES[::-1]
    assert store.episodes.latest("door", T0) == EPISODES
    assert [a.id for a in store.alerts.page(EventFilter("door"), "rule").alerts] == [a.id for a in ALERTS[::-1]]
    assert store.alerts.open() == ALERTS[::-1]
    assert store.alerts.waiting() == ALERTS
    assert store.alerts.waiting(1) == ALERTS[:1]
    assert store.uploads.newest() == UPLOADS[::-1]


def test_a_raw_list_gives_every_document_that_has_a_time_and_names_some_that_have_none(
    store: MongoStore, database: Database[Document]
) -> None:
    base = database["events"].find_one({}, {"crop": 0})
    assert base
    odd = NO_TIMES | ODD_NUMBERS
    taken = insert(database, "events", [base | {"_id": kind, "time_us": value} for kind, value in odd.items()])
    listed = [d["_id"] for d in store.events.documents(EventFilter(), 500)]
    assert set(listed) == {e.id for e in EVENTS} | taken - set(NO_TIMES) - {"huge"}
    assert set(store.events.untimed(50)) <= set(NO_TIMES)
    assert {"text", "null"} <= set(store.events.untimed(50))


def test_counts_are_as_if_no_document_had_no_time(store: MongoStore, database: Database[Document]) -> None:
    base = database["events"].find_one({}, {"crop": 0})
    assert base
    for collection, field in (("events", "time_us"), ("episodes", "start_us"), ("alerts", "start_us")):
        odd = [base | {"_id": kind, field: value} for kind, value in NO_TIMES.items() if kind not in TAKEN_FOR_0]
        insert(database, collection, odd)
    arrays = {"_id": "all arrays", "time_us": T0, "stream": ["door"], "label": ["face"], "confidence": [0.1, 0.9]}
    database["events"].insert_one(arrays)
    for where in FILTERS:
        assert store.events.counts(where) == {"face": len(of_ours(where))}, where
    assert store.episodes.count(EventFilter()) == store.alerts.count(EventFilter()) == 4
    assert store.erasable(EventFilter("door")) == Erased(12, 4, 4)


def test_counts_of_another_program_do_not_break_ours(store: MongoStore, database: Database[Document]) -> None:
    minute = T0 // MINUTE
    odd = {kind: value for kind, value in NO_TIMES.items() if kind not in TAKEN_FOR_0}
    for field in ("n", "minute", "hour", "stream"):
        made = [
            {"_id": f"{field} {kind}", "stream": "door", "label": "face", "minute": minute, "n": 0} | {field: value}
            for kind, value in odd.items()
        ]
        insert(database, "counts", made)
    insert(database, "counts", [{"_id": "bare", "minute": minute}, {"_id": "bare hour", "hour": minute // 60}])
    part = EventFilter("door", None, T0, T0 + 2 * MINUTE)
    assert store.events.counts(part) == {"face": 6}
    store.setup()
    assert store.events.add(EVENTS).duplicates == 12
    assert store.events.delete(part) == 6
    assert store.events.counts(EventFilter("door", None, T0, T0 + 4 * MINUTE)) == {"face": 6}


@pytest.mark.parametrize("everything", [False, True])
def test_a_deletion_takes_ours_and_leaves_what_has_no_time(
    store: MongoStore, database: Database[Document], everything: bool
) -> None:
    left = odd_everywhere(database, NO_TIMES)
    erased = store.erase(EventFilter() if everything else EventFilter("door", until_us=T0 + 10 * MINUTE))
    assert erased.events >= 12
    assert erased.episodes >= 4
    assert erased.alerts >= 4
    assert all_pages(store, EventFilter(), 50) == []
    assert list(store.episodes.within(EventFilter())) == []
    assert store.alerts.open() == []
    for name in ("events", "episodes", "alerts"):
        assert untimed(database, name) == of_time(left[name]), name


def test_pruning_takes_ours_and_leaves_what_has_no_time(store: MongoStore, database: Database[Document]) -> None:
    left = odd_everywhere(database, NO_TIMES)
    for part in (store.events, store.episodes, store.alerts, store.uploads):
        assert part.prune(T0 + 10 * MINUTE) >= 4
        assert part.prune(T0 + 10 * MINUTE) == 0
    assert all_pages(store, EventFilter(), 50) == []
    assert list(store.episodes.within(EventFilter())) == []
    assert store.uploads.newest() == []
    for name, ids in left.items():
        assert untimed(database, name) == of_time(ids), name


def of_time(ids: set[Any]) -> set[Any]:
    """Those whose time is odd."""
    times = {id_ for id_ in ids if id_.startswith(("time_us", "start_us"))}
    return {id_ for id_ in times if id_.partition(" ")[2] not in TAKEN_FOR_0}


def untimed(database: Database[Document], collection: str) -> set[Any]:
    return of_time({document["_id"] for document in database[collection].find({}, {"_id": 1})})


def test_erasures_of_another_program_cut_no_episode(store: MongoStore, database: Database[Document]) -> None:
    base: Document = {"stream": None, "label": None, "since_us": 0, "until_us": T0 + 9 * MINUTE, "erased_us": T0}
    odd = {kind: value for kind, value in NO_TIMES.items() if kind not in ("text", "null")}
    for field in ("stream", "label", "since_us", "until_us"):
        insert(database, "erasures", [base | {"_id": f"{field} {kind}", field: odd[kind]} for kind in odd])
    store.episodes.save(EPISODES)
    assert list(store.episodes.within(EventFilter())) == EPISODES[::-1]
    assert store.episodes.erased_after(0) == []
