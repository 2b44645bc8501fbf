"""Episodes, shares of time, alerts and rules by the API, over a real store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from pymongo.database import Database

from framewatch.activity.kinds.seen import SeenRule
from framewatch.activity.rule import Rule
from framewatch.live.hub import LiveHub
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode
from framewatch.model.event import Event
from framewatch.model.health import Health
from framewatch.storage.mongo.alerts import AlertStore
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.episodes import EpisodeStore
from framewatch.storage.mongo.events import EventStore
from framewatch.storage.mongo.queries import EventQueries
from framewatch.storage.mongo.store import MongoStore
from framewatch.web.app import Backend, create_app
from framewatch.web.records import Records

SECOND = 1_000_000
T0 = 1_795_000_000 * SECOND // (60 * SECOND) * (60 * SECOND)
DAY = 24 * 3600 * SECOND
HEALTHY = Health("healthy", "up", "up", 2, 0, 30.0, 20.0, 40.0, 0, {})
RULES = (
    SeenRule(name="sitting", label="sitting", for_at_least=1800, within=3600),
    SeenRule(name="no smoking", label="smoking", on_stream=("door",), between_hours=("22:00-06:00",), timezone="UTC"),
)


def client_of(
    database: Database[Document], rules: Sequence[Rule] = (), retention_us: int | None = None
) -> FlaskClient:
    records = Records(
        EventQueries(database),
        EpisodeStore(database),
        AlertStore(database),
        MongoStore(database).erase,
        lambda event: b"",
        retention_us,
    )
    return create_app(Backend(LiveHub(4), lambda: HEALTHY, records=records, rules=rules)).test_client()


@pytest.fixture
def client(database: Database[Document]) -> FlaskClient:
    for store in (EventStore(database), EpisodeStore(database), AlertStore(database)):
        store.setup()
    return client_of(database, RULES)


def got(client: FlaskClient, url: str, **query: object) -> Any:
    answer = client.get(url, query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.json


def iso(time_us: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)).isoformat()


def to_the_end(client: FlaskClient, url: str, what: str, **query: object) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        page = got(client, url, **query)
        rows += page[what]
        if page["next_cursor"] is None:
            return rows
        query["cursor"] = page["next_cursor"]


def episode(start_s: int, seconds: int, label: str = "sitting", stream: str = "door") -> Episode:
    start_us = T0 + start_s * SECOND
    return Episode(stream, label, start_us, start_us + seconds * SECOND, seconds * 30 + 1, 0.9)


def test_episodes_are_found_by_what_they_reach_into_newest_first(
    client: FlaskClient, database: Database[Document]
) -> None:
    all_of_them = [
        episode(100 * k, 150, ("sitting", "face")[k % 2], ("door", "front door")[k % 3 == 0]) for k in range(60)
    ]
    EpisodeStore(database).save(all_of_them)
    for query in ({}, {"stream": "front door"}, {"label": "face"}, {"stream": "door", "label": "sitting"}):
        found = to_the_end(client, "/episodes", "episodes", limit=7, **query)
        expected = [
            e
            for e in reversed(all_of_them)
            if query.get("stream") in (None, e.stream) and query.get("label") in (None, e.label)
        ]
        assert [one["id"] for one in found] == [e.id for e in expected]
    period = {"since": iso(T0 + 1000 * SECOND), "until": iso(T0 + 1200 * SECOND)}
    found = to_the_end(client, "/episodes", "episodes", **period)
    assert [(one["start_us"] - T0) // SECOND for one in found] == [1100, 1000, 900]
    assert found[0] == {
        "id": f"door/{T0 + 1100 * SECOND}/face",
        "stream": "door",
        "label": "face",
        "start": "2026-11-18T11:24:20.000000Z",
        "end": "2026-11-18T11:26:50.000000Z",
        "start_us": T0 + 1100 * SECOND,
        "end_us": T0 + 1250 * SECOND,
        "seconds": 150.0,
        "frames": 4501,
        "peak": 0.9,
    }


def test_shares_say_how_much_of_a_period_was_what(client: FlaskClient, database: Database[Document]) -> None:
    EpisodeStore(database).save(
        [
            episode(-100, 200),  # begun before the period
            episode(500, 300),
            episode(600, 100, "laptop"),
            episode(950, 500),  # goes on after it
            episode(0, 1000, stream="window"),
        ]
    )
    EventStore(database).add(
        [Event("door", "r1", k, T0 + k * 10 * SECOND, 0, "sitting", 0.9, "m@1", 0, k) for k in range(200)]
    )
    period = {"since": iso(T0), "until": iso(T0 + 1000 * SECOND)}
    stats = got(client, "/stats", **period)
    assert (stats["since_us"], stats["until_us"]) == (T0, T0 + 1000 * SECOND)
    assert stats["events"] == {"sitting": 100}
    by_name = {(share["stream"], share["label"]): share for share in stats["shares"]}
    sitting = by_name["door", "sitting"]
    assert sitting["seconds"] == 450 and sitting["share"] == 0.45 and sitting["of_seen"] == 1
    laptop = by_name["door", "laptop"]
    assert laptop["seconds"] == 100 and laptop["of_seen"] == pytest.approx(100 / 450)
    assert by_name["window", "sitting"]["share"] == 1
    assert {share["stream"] for share in got(client, "/stats", stream="window", **period)["shares"]} == {"window"}
    assert got(client, "/stats", stream="window", **period)["events"] == {}


def test_without_a_period_stats_are_of_the_last_day_and_never_of_the_future(client: FlaskClient) -> None:
    now_us = time.time_ns() // 1000
    stats = got(client, "/stats")
    assert now_us <= stats["until_us"] <= time.time_ns() // 1000
    assert stats["until_us"] - stats["since_us"] == DAY
    assert stats["events"] == {} and stats["shares"] == []
    stats = got(client, "/stats", since="1h", until=iso(now_us + DAY))
    assert now_us <= stats["until_us"] <= time.time_ns() // 1000
    stats = got(client, "/stats", until=iso(T0))
    assert (stats["since_us"], stats["until_us"]) == (T0 - DAY, T0)
    stats = got(client, "/stats", since=iso(now_us + DAY))
    assert stats["since_us"] == stats["until_us"] and stats["shares"] == []


def test_stats_begin_no_earlier_than_what_is_kept(client: FlaskClient, database: Database[Document]) -> None:
    assert got(client, "/stats", since="7d")["since_us"] < time.time_ns() // 1000 - 6 * DAY
    stats = got(client_of(database, retention_us=2 * DAY), "/stats", since="7d")
    assert stats["until_us"] - stats["since_us"] == 2 * DAY
    past = got(client_of(database, retention_us=DAY), "/stats", since="7d", until="5d")
    assert past["since_us"] == past["until_us"] and past["shares"] == []


def alert(k: int, **changes: Any) -> Alert:
    stream, rule = ("door", "front door")[k % 2], ("sitting", "no smoking")[k % 3 == 0]
    start_us = T0 + k * 60 * SECOND
    return Alert(rule, stream, "sitting", start_us, start_us - SECOND, 1.0, f"{rule} at {stream}", **changes)


def test_alerts_are_found_by_stream_rule_period_and_whether_they_last(
    client: FlaskClient, database: Database[Document]
) -> None:
    store = AlertStore(database)
    alerts = [alert(k, until_us=None if k % 5 == 0 else T0 + DAY, webhook="waiting") for k in range(40)]
    for one in alerts:
        store.add(one)
    for query in (
        {},
        {"stream": "front door"},
        {"rule": "no smoking"},
        {"open": "true"},
        {"open": "false"},
        {"rule": "sitting", "stream": "door", "open": "true"},
        {"since": iso(T0 + 600 * SECOND), "until": iso(T0 + 1200 * SECOND)},
    ):
        found = to_the_end(client, "/alerts", "alerts", limit=6, **query)
        expected = [
            one
            for one in reversed(alerts)
            if query.get("stream") in (None, one.stream)
            and query.get("rule") in (None, one.rule)
            and (query.get("open") != "true" or one.until_us is None)
            and ("since" not in query or T0 + 600 * SECOND <= one.start_us < T0 + 1200 * SECOND)
        ]
        assert [one["id"] for one in found] == [one.id for one in expected], query
    newest = got(client, "/alerts")["alerts"][0]
    assert newest == {
        "id": alerts[39].id,
        "rule": "no smoking",
        "stream": "front door",
        "label": "sitting",
        "start": "2026-11-18T11:45:00.000000Z",
        "start_us": T0 + 39 * 60 * SECOND,
        "since_us": T0 + 39 * 60 * SECOND - SECOND,
        "until": "2026-11-19T11:06:00.000000Z",
        "until_us": T0 + DAY,
        "seconds": 1.0,
        "text": "no smoking at front door",
        "webhook": "waiting",
        "attempts": 0,
        "error": "",
    }


def test_the_rules_in_force_are_told(client: FlaskClient, database: Database[Document]) -> None:
    sitting, smoking = got(client, "/rules")["rules"]
    assert sitting == {
        "name": "sitting",
        "label": "sitting",
        "for_at_least": 1800,
        "within": 3600,
        "between_hours": [],
        "timezone": None,
        "on_stream": [],
        "confidence": 0,
        "kind": "seen",
        "text": "sitting for at least 30 min within 1 h",
    }
    assert smoking["between_hours"] == ["22:00-06:00"] and smoking["on_stream"] == ["door"]
    assert got(client_of(database), "/rules") == {"rules": []}


def test_all_of_it_stands_in_the_apis_document(client: FlaskClient) -> None:
    document = got(client, "/openapi.json")
    event = "/events/{stream}/{run}/{frame}/{model}/{index}"
    for path in (
        "/events", "/events.csv", "/events.jsonl", event, f"{event}/crop.jpg", f"{event}/frame.jpg",
        "/episodes", "/stats", "/alerts", "/rules",
    ):  # fmt: skip
        operation = document["paths"][path]["get"]
        assert operation["summary"] and "200" in operation["responses"], path
    named = {one["name"]: one for one in document["paths"]["/events"]["get"]["parameters"]}
    assert set(named) == {"stream", "label", "since", "until", "min_confidence", "limit", "cursor"}
    assert all(one["description"] for one in named.values())
    assert "delete" in document["paths"]["/events"]
    assert "boundingbox" in document["components"]["schemas"]["EventOut"]["properties"]
