"""Erasing a period: events, episodes and alerts of it, nothing beside it."""

from __future__ import annotations

import random
import time
from contextlib import closing
from itertools import product

import pytest
from pymongo.database import Database

from conftest import wait_for
from framewatch.errors import StoreUnavailable
from framewatch.live.erasure import ErasureWatcher
from framewatch.live.hub import LiveHub
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode, remains
from framewatch.model.event import Event
from framewatch.model.filters import EventFilter
from framewatch.storage.interface import MAX_PAGE, Erased
from framewatch.storage.mongo.alerts import AlertStore
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.episodes import EpisodeStore
from framewatch.storage.mongo.events import EventStore
from framewatch.storage.mongo.queries import EventQueries
from framewatch.storage.mongo.store import MongoStore
from second_store import database_on_both

database = database_on_both

S = 1_000_000
T0 = 1_700_000_040 * S  # a whole minute
STREAMS, LABELS = ("door", "yard"), ("sitting", "smoking")


@pytest.fixture
def seen(store: EventStore, database: Database[Document]) -> tuple[list[Event], list[Episode], list[Alert]]:
    """Two labels on two streams, an event a second, in stretches of a minute or two."""
    dice = random.Random(11)
    events: list[Event] = []
    episodes: list[Episode] = []
    alerts: list[Alert] = []
    for stream, label in product(STREAMS, LABELS):
        at = T0
        while at < T0 + 600 * S:
            frames = dice.randrange(2, 100)
            times = [at + k * S for k in range(frames)]
            events += [
                Event(stream, "r", len(events) + k, us, 0, label, round(dice.random(), 3), "m", 0, 0)
                for k, us in enumerate(times)
            ]
            episodes.append(Episode(stream, label, times[0], times[-1], frames, 1.0))
            alerts.append(Alert("rule", stream, label, times[0] + len(alerts), times[0], 1.0, "text"))
            at = times[-1] + dice.randrange(3, 60) * S
    store.add(events)
    for kept in (EpisodeStore(database), AlertStore(database)):
        kept.setup()
    EpisodeStore(database).save(episodes)
    for alert in alerts:
        assert AlertStore(database).add(alert)
    return events, episodes, alerts


def concerns(where: EventFilter, stream: str, label: str, first_us: int, last_us: int) -> bool:
    return (
        where.stream in (None, stream)
        and where.label in (None, label)
        and (where.since_us is None or last_us >= where.since_us)
        and (where.until_us is None or first_us < where.until_us)
    )


@pytest.mark.parametrize(
    "where",
    [
        EventFilter("door"),
        EventFilter(None, "smoking"),
        EventFilter("yard", "sitting", T0 + 61 * S, T0 + 400 * S + 7),
        EventFilter(None, None, T0 + 120 * S, T0 + 300 * S),
        EventFilter(None, None, T0 + 123 * S, T0 + 124 * S),
        EventFilter(since_us=T0 + 300 * S),
        EventFilter(until_us=T0 + 301 * S),
        EventFilter("nobody"),
        EventFilter(None, None, T0 + 9 * S, T0 + 9 * S),
        EventFilter(),
    ],
    ids=str,
)
def test_what_is_erased_is_what_was_told_and_what_is_left_is_all_beside_it(
    seen: tuple[list[Event], list[Episode], list[Alert]], database: Database[Document], where: EventFilter
) -> None:
    events, episodes, alerts = seen
    left = [e for e in events if where.is_empty or not concerns(where, e.stream, e.label, e.time_us, e.time_us)]
    untouched = [
        e for e in episodes if where.is_empty or not concerns(where, e.stream, e.label, e.start_us, e.end_us)
    ]
    stay = [a for a in alerts if where.is_empty or not concerns(where, a.stream, a.label, a.start_us, a.start_us)]
    expected = Erased(len(events) - len(left), len(episodes) - len(untouched), len(alerts) - len(stay))
    assert MongoStore(database).erasable(where) == expected
    assert MongoStore(database).erase(where) == expected
    assert MongoStore(database).erasable(where) == MongoStore(database).erase(where) == Erased(0, 0, 0)
    queries = EventQueries(database)
    assert {d["_id"] for d in queries.documents(EventFilter())} == {e.id for e in left}
    assert sum(queries.counts(EventFilter()).values()) == len(left)
    rest = {e.id: e for e in EpisodeStore(database).within(EventFilter())}
    assert rest == {e.id: e for e in remains(episodes, [where])}
    assert {a.id for a in AlertStore(database).page(EventFilter(), limit=MAX_PAGE).alerts} == {a.id for a in stay}


def test_by_confidence_only_events_are_erased(
    seen: tuple[list[Event], list[Episode], list[Alert]], database: Database[Document]
) -> None:
    events, episodes, alerts = seen
    where = EventFilter("door", since_us=T0 + 30 * S, min_confidence=0.5)
    gone = [e for e in events if e.stream == "door" and e.time_us >= T0 + 30 * S and e.confidence >= 0.5]
    assert MongoStore(database).erasable(where) == MongoStore(database).erase(where) == Erased(len(gone), 0, 0)
    assert len(list(EpisodeStore(database).within(EventFilter()))) == len(episodes)
    assert AlertStore(database).count(EventFilter()) == len(alerts)


class Shown:
    """A hub in which some streams stand still, and a clock that says so."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.hub = LiveHub(1, lambda: time.monotonic() + self.ahead_s)

    def publish(self, stream: str, time_us: int) -> None:
        self.hub.publish(stream, 1, time_us, ("face",), lambda: b"a picture")

    def streams(self) -> set[str]:
        return {status.stream for status in self.hub.streams()}


DAY_US = 24 * 3600 * S
UPLOAD = "upload-20261121T101500-3f9a1c"


def test_what_another_program_erases_is_soon_no_longer_shown_where_it_stands_still(
    database: Database[Document],
) -> None:
    episodes, shown = EpisodeStore(database), Shown()
    for store in (episodes, EventStore(database), AlertStore(database)):
        store.setup()
    now_us = time.time_ns() // 1000
    MongoStore(database).erase(EventFilter("hall", until_us=now_us - 9 * S))  # before it is shown
    for stream, age_s in {"door": 50, "yard": 50, "hall": 8, "old": 8 * 24 * 3600, UPLOAD: -50}.items():
        shown.publish(stream, now_us - age_s * S)
    shown.ahead_s = 6
    shown.publish("alive", now_us - 50 * S)
    with closing(ErasureWatcher(shown.hub, episodes.erased_after, 7 * DAY_US, every_s=0.05)):
        wait_for(lambda: shown.streams() == {"door", "yard", "hall", UPLOAD, "alive"}, "the oldest gone")
        assert MongoStore(database).erase(EventFilter("yard", until_us=now_us - 50 * S)) == Erased(0, 0, 0)
        MongoStore(database).erase(EventFilter(UPLOAD, until_us=now_us - 60 * S))  # not its newest
        MongoStore(database).erase(EventFilter("door", since_us=now_us - 60 * S, until_us=now_us - 40 * S))
        wait_for(lambda: shown.streams() == {"yard", "hall", UPLOAD, "alive"}, "what was erased gone")
        MongoStore(database).erase(EventFilter(UPLOAD))  # its frames lie ahead of the clock
        wait_for(lambda: shown.streams() == {"yard", "hall", "alive"}, "the upload gone")
        MongoStore(database).erase(EventFilter(label="face"))
        wait_for(lambda: shown.streams() == {"alive"}, "all that stands still gone")
        shown.ahead_s = 12
        wait_for(lambda: shown.streams() == set(), "what was alive at first gone")


def test_what_was_erased_while_the_store_was_away_is_looked_for_when_it_answers() -> None:
    shown, asked_us = Shown(), list[int]()
    shown.publish("door", T0)
    shown.ahead_s = 6
    now_s = T0 / S

    def erased_after(time_us: int) -> list[tuple[EventFilter, bool]]:
        nonlocal now_s
        asked_us.append(time_us)
        now_s += 1000
        if len(asked_us) < 3:
            raise StoreUnavailable("away")
        return [(EventFilter("door", None, 0, T0 + 1), False)] if time_us <= T0 else []

    with closing(ErasureWatcher(shown.hub, erased_after, 10 * DAY_US, every_s=0.01, wall=lambda: now_s)):
        wait_for(lambda: shown.streams() == set(), "what was erased gone")
        wait_for(lambda: len(asked_us) > 4, "more looks")
    first_us = T0 - 60 * S
    assert asked_us[:4] == [first_us, first_us, first_us, first_us + 2000 * S]
