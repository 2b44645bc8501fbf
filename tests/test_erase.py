"""Erasing a period: events, episodes and alerts of it, nothing beside it."""

from __future__ import annotations

import random
from itertools import product

import pytest
from pymongo.database import Database

from storage.alerts import Alert, AlertStore
from storage.episode import Episode, remains
from storage.episodes import EpisodeStore
from storage.erase import Erased, erasable, erase
from storage.events import Document, Event
from storage.filters import EventFilter
from storage.mongo import EventStore
from storage.queries import MAX_PAGE, EventQueries

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
    assert erasable(database, where) == expected
    assert erase(database, where) == expected
    assert erasable(database, where) == erase(database, where) == Erased(0, 0, 0)
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
    assert erasable(database, where) == erase(database, where) == Erased(len(gone), 0, 0)
    assert len(list(EpisodeStore(database).within(EventFilter()))) == len(episodes)
    assert AlertStore(database).count(EventFilter()) == len(alerts)
