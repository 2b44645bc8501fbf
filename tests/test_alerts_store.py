"""Alerts and uploads in the store: found as plain Python finds them, changed by their id, gone when they are old."""

from __future__ import annotations

import dataclasses
import logging
import random
from itertools import product

import pytest
from pymongo.database import Database

from framewatch.model.alert import Alert
from framewatch.model.filters import EventFilter
from framewatch.model.upload import Upload
from framewatch.storage.mongo.alerts import AlertStore
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.uploads import UploadStore
from second_store import database_on_both

database = database_on_both

S = 1_000_000
T0 = 1_700_000_000 * S
RULES = ("sitting too long", "$rule", "smoking at all")
STREAMS = ("door", "front door", "камера-2")


def alert(**changes: object) -> Alert:
    whole = Alert("sitting too long", "door", "sitting", T0, T0 - 1800 * S, 1800.0, "sitting for 30 minutes on door")
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]


def some_alerts(n: int) -> list[Alert]:
    dice = random.Random(8)
    return [
        alert(
            rule=dice.choice(RULES),
            stream=dice.choice(STREAMS),
            label=dice.choice(["sitting", "smoking"]),
            start_us=T0 + dice.randrange(n) * S,
            seconds=dice.random(),
            until_us=dice.choice([None, T0 + n * S]),
            webhook=dice.choice(["none", "waiting", "sent", "failed"]),
            attempts=dice.randrange(4),
            error=dice.choice(["", "503 Service Unavailable"]),
        )
        for _ in range(n)
    ]


def matches(a: Alert, where: EventFilter) -> bool:
    return (
        where.stream in (None, a.stream)
        and where.label in (None, a.label)
        and (where.since_us is None or a.start_us >= where.since_us)
        and (where.until_us is None or a.start_us < where.until_us)
    )


def newest_first(some: list[Alert]) -> list[Alert]:
    return sorted(some, key=lambda a: (-a.start_us, a.id))


@pytest.fixture
def alerts(database: Database[Document]) -> AlertStore:
    made = AlertStore(database)
    made.setup()
    return made


@pytest.fixture
def uploads(database: Database[Document]) -> UploadStore:
    made = UploadStore(database)
    made.setup()
    return made


def stored(alerts: AlertStore, n: int) -> list[Alert]:
    """Random alerts in the store, each id once."""
    return [a for a in some_alerts(n) if alerts.add(a)]


PERIODS = [(None, None), (T0 + 20 * S, None), (None, T0 + 90 * S), (T0 + 10 * S, T0 + 60 * S), (T0 + 5, T0 + 5)]


def test_every_filter_finds_the_alerts_that_start_in_its_period_newest_first(alerts: AlertStore) -> None:
    some = stored(alerts, 150)
    found = 0
    for stream, label, rule, last, period in product(
        (None, "door", "nobody"), (None, "smoking"), (None, *RULES, "absent"), (False, True), PERIODS
    ):
        where = EventFilter(stream, label, *period, min_confidence=0.9)
        expected = newest_first([a for a in some if matches(a, where)])
        assert alerts.count(where) == len(expected)
        expected = [a for a in expected if rule in (None, a.rule) and not (last and a.until_us)]
        page = alerts.page(where, rule, last, 200)
        assert (page.alerts, page.cursor) == (expected, None)
        found += len(expected)
    assert found > 1000  # the filters are not all empty


@pytest.mark.parametrize("limit", [1, 7, 500])
def test_paging_to_the_end_gives_each_alert_once_in_order(alerts: AlertStore, limit: int) -> None:
    some = stored(alerts, 100)
    seen: list[Alert] = []
    cursor: int | None = None
    while True:
        page = alerts.page(EventFilter(), "$rule", limit=limit, cursor=cursor)
        seen += page.alerts
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == newest_first([a for a in some if a.rule == "$rule"])


def test_an_alert_is_stored_once_and_comes_back_as_it_was(alerts: AlertStore) -> None:
    assert alerts.add(alert())
    assert not alerts.add(alert(text="the same once more"))
    assert alerts.get(alert().id) == alert()
    assert alerts.get("nothing") is None


def test_open_alerts_are_those_that_have_not_ended(alerts: AlertStore) -> None:
    some = stored(alerts, 60)
    lasting = newest_first([a for a in some if a.until_us is None])
    assert alerts.open() == lasting
    alerts.end(lasting[3].id, T0 + 99 * S)
    alerts.end(lasting[3].id, T0 + 99 * S)
    alerts.end("nothing", T0)
    assert alerts.open() == [*lasting[:3], *lasting[4:]]
    assert alerts.get(lasting[3].id) == dataclasses.replace(lasting[3], until_us=T0 + 99 * S)
    assert alerts.get("nothing") is None


def test_waiting_alerts_come_oldest_first_until_they_are_marked(alerts: AlertStore) -> None:
    some = stored(alerts, 60)
    waiting = sorted((a for a in some if a.webhook == "waiting"), key=lambda a: a.start_us)
    assert sorted(a.id for a in alerts.waiting()) == sorted(a.id for a in waiting)
    assert [a.start_us for a in alerts.waiting(5)] == [a.start_us for a in waiting[:5]]
    for a in waiting[1:]:
        alerts.mark(a.id, "sent", 1, "")
    alerts.mark(waiting[0].id, "waiting", 2, "503")
    alerts.mark("nothing", "failed", 9, "x")
    assert alerts.waiting() == [dataclasses.replace(waiting[0], attempts=2, error="503")]
    assert alerts.get("nothing") is None


@pytest.mark.parametrize("period", PERIODS, ids=str)
def test_delete_takes_the_alerts_that_start_in_the_period(
    alerts: AlertStore, period: tuple[int | None, int | None]
) -> None:
    some = stored(alerts, 80)
    where = EventFilter("door", None, *period)
    left = [a for a in some if not matches(a, where)]
    assert alerts.delete(where) == len(some) - len(left)
    assert list(alerts.page(EventFilter(), limit=500).alerts) == newest_first(left)
    assert alerts.prune(T0 + 40 * S) == len([a for a in left if a.start_us < T0 + 40 * S])
    assert alerts.count(EventFilter()) == len([a for a in left if a.start_us >= T0 + 40 * S])


@pytest.mark.parametrize(
    "wrong",
    [
        {"rule": ""},
        {"text": "a\0b"},
        {"error": "\ud800"},
        {"since_us": T0 + 1},
        {"until_us": T0 - 1},
        {"webhook": "perhaps"},
        {"seconds": float("nan")},
        {"attempts": -1},
    ],
    ids=str,
)
def test_an_alert_that_no_store_could_keep_is_refused_when_it_is_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        alert(**wrong)


def upload(**changes: object) -> Upload:
    whole = Upload("upload-3f9a", "upload-3f9a", "my cat 😀.mp4", "video", T0, bytes=1234)
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]


def test_an_upload_is_stored_as_it_is_by_now(uploads: UploadStore) -> None:
    for state in (upload(), upload(state="sending", total=100, sent=7), upload(state="failed", error="no video")):
        uploads.save(state)
        uploads.save(state)
        assert uploads.get("upload-3f9a") == state
        assert uploads.newest() == [state]
    assert uploads.delete("upload-3f9a")
    assert not uploads.delete("upload-3f9a")
    assert uploads.get("upload-3f9a") is None


def test_the_newest_uploads_come_first_and_old_ones_are_pruned(uploads: UploadStore) -> None:
    some = [upload(id=f"u{k:02}", stream=f"u{k:02}", time_us=T0 + k * S) for k in range(30)]
    for each in random.Random(9).sample(some, len(some)):
        uploads.save(each)
    assert uploads.newest(7) == some[:-8:-1]
    assert uploads.newest() == some[::-1]
    assert uploads.prune(T0 + 10 * S) == 10
    assert uploads.newest() == some[:9:-1]


@pytest.mark.parametrize(
    "wrong",
    [{"id": "", "stream": ""}, {"stream": "other"}, {"title": "\0"}, {"kind": "song"}, {"state": "lost"},
     {"time_us": -1}, {"total": -1}, {"sent": -1}],
    ids=str,
)  # fmt: skip
def test_an_upload_that_no_store_could_keep_is_refused_when_it_is_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        upload(**wrong)


def test_documents_of_other_programs_are_left_out_and_named(
    alerts: AlertStore, uploads: UploadStore, database: Database[Document], caplog: pytest.LogCaptureFixture
) -> None:
    alerts.add(alert())
    uploads.save(upload())
    database["alerts"].insert_many([{"_id": "odd alert", "start_us": T0, "open": 1}, {"_id": "no alert"}])
    database["uploads"].insert_many([{"_id": "odd upload", "time_us": T0}, {"_id": "no upload", "time_us": "x"}])
    with caplog.at_level(logging.WARNING):
        assert alerts.open() == list(alerts.page(EventFilter()).alerts) == [alert()]
        assert uploads.newest() == [upload()]
    assert "'odd alert' is no alert" in caplog.text
    assert "'odd upload' is no upload" in caplog.text
    for read, name in ((alerts.get, "odd alert"), (uploads.get, "odd upload")):
        with pytest.raises(ValueError, match=name):
            read(name)
