"""Episodes in the store: found as plain Python finds them, growing only, and cut where a part is erased."""

from __future__ import annotations

import dataclasses
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from itertools import product

import psutil
import pytest
from pymongo.database import Database

from conftest import Services
from framewatch.embedded.home import Endpoints
from framewatch.model.episode import Episode, remains
from framewatch.model.filters import EventFilter
from framewatch.storage.interface import MAX_PAGE
from framewatch.storage.mongo.client import connect
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.episodes import EpisodeStore
from second_store import database_on_both

database = database_on_both

S = 1_000_000
T0 = 1_700_000_000 * S
STREAMS = ("door", "front door", "камера-2")
LABELS = ("face", "$end_us", "a/b", 'it\'s "so" 😀')


def episode(**changes: object) -> Episode:
    whole = Episode("door", "face", T0, T0 + 60 * S, 600, 0.9)
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]


def some_episodes(n: int, seed: int = 1) -> list[Episode]:
    """Episodes of all streams and labels that do not overlap their own kind, some long, some of one frame."""
    dice = random.Random(seed)
    ends: dict[tuple[str, str], int] = {}
    made = []
    for _ in range(n):
        kind = dice.choice(STREAMS), dice.choice(LABELS)
        start_us = ends.get(kind, T0) + dice.choice([1, 1, S, 20 * S, dice.randrange(300 * S)])
        end_us = start_us + dice.choice([0, 1, S, 60 * S, dice.randrange(900 * S)])
        ends[kind] = end_us + 1
        frames = dice.randrange(1, 5000)
        made.append(Episode(*kind, start_us, end_us, frames, round(dice.random(), 6)))
    return made


def reaches(e: Episode, where: EventFilter) -> bool:
    return (
        where.stream in (None, e.stream)
        and where.label in (None, e.label)
        and (where.since_us is None or e.end_us >= where.since_us)
        and (where.until_us is None or e.start_us < where.until_us)
        and (where.min_confidence is None or e.peak >= where.min_confidence)
    )


def newest_first(some: list[Episode]) -> list[Episode]:
    return sorted(some, key=lambda e: (-e.start_us, e.id))


@dataclasses.dataclass
class Both:
    episodes: list[Episode]
    store: EpisodeStore


@pytest.fixture(scope="module")
def both(endpoints: Endpoints) -> Iterator[Both]:
    with connect(endpoints.mongodb) as client:
        store = EpisodeStore(client["test_both_episodes"])
        store.setup()
        some = some_episodes(900)
        for batch in range(0, len(some), 100):
            store.save(some[batch : batch + 100])
        yield Both(some, store)
        client.drop_database("test_both_episodes")


@pytest.fixture
def episodes(database: Database[Document]) -> EpisodeStore:
    made = EpisodeStore(database)
    made.setup()
    return made


def kept(store: EpisodeStore) -> list[Episode]:
    return list(store.within(EventFilter()))


def filters(some: list[Episode]) -> Iterator[EventFilter]:
    dice = random.Random(2)
    last = max(e.end_us for e in some)
    periods: list[tuple[int | None, int | None]] = [
        (None, None), (T0 + 3600 * S, None), (None, T0 + 3600 * S), (last, None), (last + 1, None), (None, T0),
        (-(2**70), 2**70),
    ]  # fmt: skip
    for _ in range(6):
        e, at = dice.choice(some), dice.randrange(T0, last)
        periods += [
            (e.end_us, e.end_us + 1),
            (e.end_us + 1, e.end_us + 2),
            (e.start_us - 1, e.start_us),
            (at, at + 1),
        ]
        periods += [(e.start_us, e.start_us + 1), (at, at + dice.randrange(2000 * S)), (at, None), (None, at)]
    for stream, label, period in product((None, "door", "absent"), (None, *LABELS[:3]), periods):
        yield EventFilter(stream, label, *period, min_confidence=dice.choice([None, None, 0.0, 0.5, 0.999, 1.0]))


def test_every_filter_finds_the_episodes_that_reach_into_its_period_newest_first(both: Both) -> None:
    found = 0
    for where in filters(both.episodes):
        expected = newest_first([e for e in both.episodes if reaches(e, where)])
        assert list(both.store.within(where)) == expected, where
        assert both.store.count(where) == len(expected), where
        page = both.store.page(where, MAX_PAGE)
        assert list(page.episodes) == expected[: len(page.episodes)], where
        assert (page.cursor is None) == (len(page.episodes) == len(expected)), where
        found += len(expected)
    assert found > 10_000  # the filters are not all empty


@pytest.mark.parametrize("limit", [1, 7, 450, MAX_PAGE])
def test_paging_to_the_end_gives_each_episode_once_in_order(both: Both, limit: int) -> None:
    long_ago = T0 + 1800 * S
    for where in (EventFilter(), EventFilter("door", None, long_ago, T0 + 7200 * S), EventFilter(None, "face")):
        seen: list[Episode] = []
        cursor: int | None = None
        while True:
            page = both.store.page(where, limit, cursor)
            seen += page.episodes
            cursor = page.cursor
            if cursor is None:
                break
            assert len(page.episodes) >= limit
        assert seen == newest_first([e for e in both.episodes if reaches(e, where)])


def test_episodes_with_one_start_stand_on_one_page(episodes: EpisodeStore) -> None:
    crowd = [episode(stream=f"cam-{k:03}") for k in range(30)]
    later = [episode(stream="late", start_us=T0 + k + 1, end_us=T0 + 99) for k in range(3)]
    episodes.save(crowd + later)
    first = episodes.page(EventFilter(), 10)
    assert list(first.episodes) == newest_first(crowd + later)
    assert first.cursor == T0
    assert episodes.page(EventFilter(), 10, first.cursor).episodes == []


def test_the_latest_of_a_stream_are_those_that_had_not_ended_by_then_oldest_first(both: Both) -> None:
    for since_us in (T0, T0 + 5000 * S, max(e.end_us for e in both.episodes)):
        expected = [e for e in both.episodes if e.stream == "front door" and e.end_us >= since_us]
        assert both.store.latest("front door", since_us) == newest_first(expected)[::-1]


# Growing only.


def test_saving_grows_an_episode_and_saving_again_or_an_older_state_changes_nothing(episodes: EpisodeStore) -> None:
    states = [episode(end_us=T0 + k * S, frames=1 + 10 * k, peak=min(0.5 + k / 10, 1)) for k in range(6)]
    order = [*states, *states]
    random.Random(3).shuffle(order)
    reached = 0
    for state in [states[0], *order]:
        episodes.save([state])
        reached = max(reached, states.index(state))
        assert kept(episodes) == [states[reached]]
    episodes.save([])
    assert kept(episodes) == [states[-1]]


def test_many_episodes_are_saved_at_once_new_and_known(episodes: EpisodeStore) -> None:
    some = some_episodes(150, seed=4)
    episodes.save(some[:100])
    longer = [dataclasses.replace(e, end_us=e.end_us + 7, frames=e.frames + 1) for e in some]
    episodes.save(longer)
    assert kept(episodes) == newest_first(longer)


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": ""},
        {"label": "a\0b"},
        {"stream": "\ud800"},
        {"start_us": -1},
        {"end_us": T0 - 1},
        {"end_us": 2**62},
        {"frames": 0},
        {"peak": 1.01},
        {"peak": float("nan")},
    ],
    ids=str,
)
def test_an_episode_that_no_store_could_keep_is_refused_when_it_is_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        episode(**wrong)


def test_documents_of_other_programs_are_left_out_and_named(
    episodes: EpisodeStore, database: Database[Document], caplog: pytest.LogCaptureFixture
) -> None:
    episodes.save([episode()])
    database["episodes"].insert_many(
        [{"_id": "bare", "start_us": T0 + 1}, {"_id": "text", "start_us": "x"}, {"_id": "none", "start_us": None}]
    )
    with caplog.at_level(logging.WARNING):
        assert kept(episodes) == [episode()]
    assert "'bare' is no episode" in caplog.text
    assert "text" not in caplog.text


# Erased.


def erased_by(where: EventFilter, some: list[Episode]) -> int:
    return sum(1 for e in some if reaches(e, where))


@pytest.mark.parametrize("names", [(None, None), ("door", None), (None, "a/b"), ("front door", "face")], ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_deleting_a_period_leaves_no_moment_of_it_and_every_moment_beside_it(
    episodes: EpisodeStore, names: tuple[str | None, str | None], seed: int
) -> None:
    some = some_episodes(120, seed=10 + seed)
    episodes.save(some)
    dice = random.Random(seed)
    first, last = T0, max(e.end_us for e in some)
    edges = [None, dice.choice(some).start_us, dice.choice(some).end_us, dice.randrange(first, last)]
    edges += [e.start_us + (e.end_us - e.start_us) // 2 for e in dice.sample(some, 2)]
    since_us, until_us = dice.choice(edges), dice.choice(edges)
    if since_us is not None and until_us is not None and since_us > until_us:
        since_us, until_us = until_us, since_us
    where = EventFilter(*names, since_us, until_us)
    expected = some if since_us is not None and since_us == until_us else remains(some, [where])
    touched = erased_by(where, some) if expected is not some else 0
    assert episodes.delete(where) == touched
    assert kept(episodes) == newest_first(expected)
    assert episodes.delete(where) == 0
    assert kept(episodes) == newest_first(expected)


def test_what_remains_is_each_moment_outside_the_period_once() -> None:
    dice = random.Random(5)
    for _ in range(300):
        e = episode(start_us=dice.randrange(12), end_us=dice.randrange(12, 30), frames=dice.randrange(1, 40))
        where = EventFilter("door", None, *sorted(dice.sample(range(32), 2)))
        left = remains([e, episode(stream="other")], [where])
        assert left.pop() == episode(stream="other")
        moments = [us for piece in left for us in range(piece.start_us, piece.end_us + 1)]
        inside = range(where.since_us or 0, where.until_us or 0)
        assert moments == [us for us in range(e.start_us, e.end_us + 1) if us not in inside]
        assert all(1 <= piece.frames <= e.frames and piece.peak == e.peak for piece in left)


def test_a_worker_that_goes_on_with_an_episode_does_not_bring_back_what_was_erased(
    database: Database[Document],
) -> None:
    now_s = T0 / 1e6 + 100
    episodes = EpisodeStore(database, clock=lambda: now_s)
    episodes.setup()
    running = episode(end_us=T0 + 100 * S, frames=1000)
    episodes.save([running, episode(stream="other")])
    assert episodes.delete(EventFilter("door")) == 1  # all of it, until now
    assert kept(episodes) == [episode(stream="other")]
    EpisodeStore(database).save([dataclasses.replace(running, end_us=T0 + 110 * S, frames=1100)])
    rest, other = kept(episodes)
    assert other.stream == "other"
    assert (rest.start_us, rest.end_us, rest.frames) == (T0 + 100 * S, T0 + 110 * S, 100)
    now_s += 100
    episodes.delete(EventFilter("door", "face", T0 + 103 * S, T0 + 105 * S))
    EpisodeStore(database).save([dataclasses.replace(running, end_us=T0 + 120 * S, frames=1200)])
    spans = [(e.start_us - T0, e.end_us - T0) for e in episodes.within(EventFilter("door"))]
    assert spans == [(105 * S, 120 * S), (100 * S, 103 * S - 1)]


def test_what_is_erased_while_a_worker_saves_stays_erased(
    episodes: EpisodeStore, database: Database[Document]
) -> None:
    started, ended = threading.Event(), threading.Event()

    def work() -> None:
        worker, frames = EpisodeStore(database), 100
        while not ended.is_set():
            frames += 1
            worker.save([episode(end_us=T0 + frames * S, frames=frames)])
            started.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert started.wait(60)
        erased = [EventFilter("door", None, T0 + k * S, T0 + (k + 1) * S) for k in range(0, 80, 2)]
        for where in erased:
            episodes.delete(where)
    finally:
        ended.set()
        thread.join()
    left = kept(episodes)
    assert len(left) == len(erased)
    assert not [e for e in left for where in erased if reaches(e, where)]


def test_an_empty_period_erases_nothing_and_confidence_is_no_reason(episodes: EpisodeStore) -> None:
    episodes.save([episode()])
    for period in ((T0 + 9, T0 + 9), (T0 + 9, T0 + 3)):
        assert episodes.delete(EventFilter(None, None, *period)) == 0
    with pytest.raises(ValueError, match="min_confidence"):
        episodes.delete(EventFilter(min_confidence=0.5))
    assert kept(episodes) == [episode()]


def test_prune_deletes_what_ended_before_and_keeps_what_lasted_longer(
    episodes: EpisodeStore, database: Database[Document]
) -> None:
    some = some_episodes(200, seed=6)
    episodes.save(some)
    before_us = sorted(e.end_us for e in some)[120]
    episodes.delete(EventFilter("nobody", until_us=before_us - 1))
    left = [e for e in some if e.end_us >= before_us]
    assert episodes.prune(before_us) == len(some) - len(left)
    assert kept(episodes) == newest_first(left)
    assert episodes.prune(before_us) == 0
    assert database["erasures"].find_one() is None


# Many.


SOON_S, ALL_S = 0.3, 2.0


def worked_s(services: Services) -> float:
    """Seconds for which this process and the store have worked: those of a busy machine for others are not in it."""
    store = psutil.Process(json.loads((services.home.pids / "store.json").read_text())["pid"]).cpu_times()
    return time.process_time() + store.user + store.system


@pytest.mark.speed
def test_twenty_thousand_episodes_are_read_and_saved_at_once(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(services.endpoints.mongodb) as client:
        store = EpisodeStore(client["test_many_episodes"])
        store.setup()
        made = [
            Episode(f"cam-{k % 10}", f"label {k // 10 % 7}", T0 + k * S, T0 + (k + 60) * S, 600, 0.9)
            for k in range(20_000)
        ]
        client["test_many_episodes"]["episodes"].insert_many(
            [{"_id": e.id, **dataclasses.asdict(e)} for e in made], ordered=False
        )
        hour = EventFilter("cam-3", None, T0 + 9000 * S, T0 + 12_600 * S)
        figures = {}
        asked: dict[str, Callable[[], object]] = {
            "all": lambda: len(list(store.within(EventFilter()))),
            "an hour of one stream": lambda: len(list(store.within(hour))),
            "the newest page": lambda: len(store.page(EventFilter()).episodes),
            "a moment long ago": lambda: len(list(store.within(EventFilter(since_us=T0, until_us=T0 + 1)))),
            "saving seventy": lambda: store.save(made[-70:]),
        }
        for name, do in asked.items():
            taken, found = [], None
            for _ in range(3):  # the least counts: what else these two do only ever adds to it
                started_s = worked_s(services)
                found = do()
                taken.append(worked_s(services) - started_s)
                if taken[-1] < SOON_S:
                    break
            figures[name] = min(taken), found
        client.drop_database("test_many_episodes")
    with capsys.disabled():
        print("\n  20000 episodes")
        for name, (s, found) in figures.items():
            print(f"  {name:<24} {s * 1000:>8.1f} ms  {'' if found is None else found}")
    assert [found for _, found in figures.values()] == [20_000, 366, 50, 1, None]
    assert max(s for s, _ in figures.values()) < ALL_S
    assert max(s for name, (s, _) in figures.items() if name != "all") < SOON_S
