"""Events by the API: found, paged, shown, downloaded and deleted, over a real store and a real Kafka."""

from __future__ import annotations

import csv
import dataclasses
import http.client
import io
import json
import random
import statistics
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

import pymongo
import pytest
from confluent_kafka import TopicPartition
from flask.testing import FlaskClient
from flask_openapi3.openapi import OpenAPI
from pymongo.database import Database
from werkzeug.test import TestResponse

from conftest import wait_for
from framewatch.embedded.home import Endpoints
from framewatch.errors import StoreUnavailable
from framewatch.kafka.clients import make_admin, make_frame_reader
from framewatch.kafka.frame_reader import FrameReader
from framewatch.live.hub import LiveHub
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode
from framewatch.model.event import Event
from framewatch.model.filters import EventFilter
from framewatch.model.health import Health
from framewatch.storage.interface import Page
from framewatch.storage.mongo.alerts import AlertStore
from framewatch.storage.mongo.client import connect
from framewatch.storage.mongo.documents import Document, to_document
from framewatch.storage.mongo.episodes import EpisodeStore
from framewatch.storage.mongo.events import EventStore
from framewatch.storage.mongo.queries import EVENTS, EventQueries
from framewatch.storage.mongo.store import MongoStore
from framewatch.web.api.downloads import COLUMNS
from framewatch.web.app import Backend, create_app
from framewatch.web.records import Records
from framewatch.web.server import WebServer
from many import MANY, MINUTE, T0, THOUSANDS
from shared import free_port
from test_frames import frame, send
from test_web import measured

STREAMS = ("door", "front door", "камера-2", "cam@3")
LABELS = ("face", "=cmd|' /C calc'!A0", 'a,b"c\nd', "+1", "-x", "@y", "not smoking", "$ne", "#1 % & ?")
HEALTHY = Health("healthy", "up", "up", 2, 0, 30.0, 20.0, 40.0, 0, {})
PAGE_S = 0.25  # at most; they take some ten milliseconds


def event(**changes: Any) -> Event:
    whole = Event("door", "r1", 0, T0, 0, "face", 0.5, "faces@1f3a", 0, 0, crop=b"\xff\xd8 a crop \xff\xd9")
    return dataclasses.replace(whole, **changes)


def records_of(database: Database[Document], read_frame: Callable[[Event], bytes] = lambda event: b"") -> Records:
    return Records(
        EventQueries(database),
        EpisodeStore(database),
        AlertStore(database),
        MongoStore(database).erase,
        read_frame,
    )


def app_of(records: Records) -> OpenAPI:
    return create_app(Backend(LiveHub(4), lambda: HEALTHY, records=records))


def client_of(records: Records) -> FlaskClient:
    return app_of(records).test_client()


@pytest.fixture
def client(database: Database[Document]) -> FlaskClient:
    """Of an API over an empty store."""
    EventStore(database).setup()
    EpisodeStore(database).setup()
    AlertStore(database).setup()
    return client_of(records_of(database))


@dataclasses.dataclass
class Known:
    client: FlaskClient
    events: list[Event]


@pytest.fixture(scope="module")
def known(endpoints: Endpoints) -> Iterator[Known]:
    """An API over events of which all is known."""
    dice = random.Random(7)
    events = [
        event(
            stream=dice.choice(STREAMS),
            run=dice.choice(("r1", "20261121T101500-3f9a1c")),
            frame=k,
            index=dice.randrange(3),
            time_us=T0 + dice.randrange(300) * 1_000_000 + dice.choice((0, 0, 400_001)),
            label=dice.choice(LABELS),
            confidence=round(dice.random(), 4),
            scores=tuple((label, round(dice.random(), 3)) for label in dice.sample(LABELS, 2)),
            boundingbox=dice.choice([None, (1, 2, 30, 40), (-5, 0, 10, 10)]),
            landmarks=dice.choice([(), ((1.5, 2.25), (3.0, 4.0))]),
            crop=b"" if k % 10 == 3 else b"\xff\xd8" + dice.randbytes(40),
            file=dice.choice([None, "kitchen 3.jpg", "=1+1.png"]),
        )
        for k in range(700)
    ]
    with connect(endpoints.mongodb) as mongo:
        database = mongo["test_events_api"]
        store = EventStore(database)
        store.setup()
        store.add(events)
        yield Known(client_of(records_of(database)), sorted(events, key=lambda e: (-e.time_us, e.id)))
        mongo.drop_database("test_events_api")


def got(client: FlaskClient, url: str, **query: object) -> Any:
    answer = client.get(url, query_string=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json


def whole(client: FlaskClient, url: str, **query: object) -> TestResponse:
    """The answer read to its end and closed, as a server does."""
    answer = client.get(url, query_string=query)
    try:
        assert answer.status_code == 200, answer.text
        answer.get_data()
    finally:
        answer.close()
    return answer


def ids(answer: Any) -> list[str]:
    return [one["id"] for one in answer["events"]]


def iso(time_us: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)).isoformat()


def test_a_page_has_the_newest_events_with_all_that_is_known_of_each(known: Known) -> None:
    page = got(known.client, "/events", limit=500)
    assert len(page["events"]) >= 500
    for out, stored in zip(page["events"], known.events, strict=False):
        url = f"/events/{quote(stored.stream)}/{stored.run}/{stored.frame}/faces@1f3a/{stored.index}"
        assert out["url"].replace("%40", "@") == url.replace("%40", "@")
        assert out == {
            "id": stored.id,
            "stream": stored.stream,
            "run": stored.run,
            "frame": stored.frame,
            "file": stored.file,
            "index": stored.index,
            "timestamp": out["timestamp"],
            "time_us": stored.time_us,
            "label": stored.label,
            "confidence": stored.confidence,
            "boundingbox": list(stored.boundingbox) if stored.boundingbox else None,
            "landmarks": [list(point) for point in stored.landmarks] or None,
            "scores": [{"label": label, "score": score} for label, score in stored.scores],
            "model": stored.model,
            "partition": stored.partition,
            "offset": stored.offset,
            "url": out["url"],
            "crop_url": f"{out['url']}/crop.jpg",
            "frame_url": f"{out['url']}/frame.jpg",
        }
        assert out["timestamp"].endswith("Z")
        assert datetime.fromisoformat(out["timestamp"]) == stored.timestamp
    for out in page["events"][:40]:
        assert got(known.client, out["url"]) == out


FILTERS: Sequence[dict[str, str]] = (
    {},
    *({"stream": stream} for stream in (*STREAMS, "absent")),
    *({"label": label} for label in (*LABELS, "absent")),
    {"since": iso(T0 + 100_000_000)},
    {"until": iso(T0 + 100_000_000)},
    {"since": iso(T0 + 60_400_001), "until": iso(T0 + 200_000_000)},
    {"min_confidence": "0.75"},
    {"min_confidence": "1"},
    {"min_confidence": "0", "stream": "door"},
    {"stream": "front door", "label": "face", "min_confidence": "0.3", "since": iso(T0 + 30_000_000)},
)


def expected(known: Known, query: dict[str, str]) -> list[Event]:
    def us(name: str, otherwise: int) -> int:
        moment = datetime.fromisoformat(query[name]) if name in query else None
        return (
            otherwise if moment is None else (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        )

    return [
        e
        for e in known.events
        if query.get("stream") in (None, e.stream)
        and query.get("label") in (None, e.label)
        and us("since", 0) <= e.time_us < us("until", 2**60)
        and e.confidence >= float(query.get("min_confidence", 0))
    ]


@pytest.mark.parametrize("query", FILTERS, ids=str)
def test_filters_find_in_pages_what_plain_python_finds(known: Known, query: dict[str, str]) -> None:
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = got(known.client, "/events", limit=90, **query, **cursor)
        found += ids(page)
        if page["next_cursor"] is None:
            break
        assert len(page["events"]) >= 90
        cursor = {"cursor": page["next_cursor"]}
    assert found == [e.id for e in expected(known, query)]


@pytest.mark.parametrize("query", FILTERS, ids=str)
def test_files_have_every_row_of_the_same_filters(known: Known, query: dict[str, str]) -> None:
    events = expected(known, query)
    answer = whole(known.client, "/events.jsonl", **query)
    assert [json.loads(line)["id"] for line in answer.text.split("\n")[:-1]] == [e.id for e in events]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="framewatch-events.jsonl"'
    answer = whole(known.client, "/events.csv", **query)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="framewatch-events.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.get_data().decode("utf-8"), newline="")))
    assert [int(row["time_us"]) for row in rows] == [e.time_us for e in events]
    for row, e in zip(rows, events, strict=True):
        assert tuple(row) == COLUMNS
        assert row["label"].removeprefix("'") == e.label
        assert row["file"].removeprefix("'") == (e.file or "")
        assert (row["stream"], row["run"], int(row["frame"])) == (e.stream, e.run, e.frame)
        assert float(row["confidence"]) == e.confidence
        box = tuple(int(row[side]) for side in ("left", "top", "width", "height")) if row["left"] else None
        assert box == e.boundingbox


def test_no_cell_of_the_csv_is_a_formula_to_a_spreadsheet(known: Known) -> None:
    text = whole(known.client, "/events.csv").get_data().decode()
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    begun = {cell[0] for cell in cells if cell and not cell.lstrip("-").replace(".", "").isdecimal()}
    assert not begun & set("=+-@\t\r\n")
    assert "'=cmd|' /C calc'!A0" in cells and "'@y" in cells and "'-x" in cells and "'+1" in cells


def test_ages_and_zones_are_understood(client: FlaskClient, store: EventStore) -> None:
    now_us = time.time_ns() // 1000
    store.add([event(frame=age, time_us=now_us - age * 60_000_000) for age in (1, 10, 100, 2000)])
    assert len(ids(got(client, "/events", since="15m"))) == 2
    assert len(ids(got(client, "/events", since="2h"))) == 3
    assert len(ids(got(client, "/events", since="7d"))) == 4
    assert len(ids(got(client, "/events", until="15m", since="1w"))) == 2
    naive = datetime.fromtimestamp(now_us / 1e6 - 900, UTC).replace(tzinfo=None)
    assert len(ids(got(client, "/events", since=naive.isoformat()))) == 2
    assert len(ids(got(client, "/events", since=naive.isoformat() + "Z"))) == 2
    in_india = naive + timedelta(hours=5, minutes=30)
    assert len(ids(got(client, "/events", since=in_india.isoformat() + "+05:30"))) == 2
    unescaped = client.get(f"/events?since={in_india.isoformat()}+05:30")  # the + arrives as a space
    assert len(ids(unescaped.json)) == 2


WRONG = (
    "stream[$ne]=x", "stream=$where", "stream=../etc", "stream=", "stream=a%00b", "stream=" + "a" * 65,
    "$where=1", "label[$gt]=", "label[]=a", "label=a&label=b", "stream=a&stream=b", "label=", "label=a%00",
    "label=" + "x" * 201, "where.stream=a", "since=yesterday", "since=", "since=15", "since=99999999d",
    "since=2026-13-01", "since=%D9%A1%D9%A5m", "until=never", "since=1h&until=2h",
    "since=2026-01-02&until=2026-01-02", "constructor=1", "%00=1", "limitt=5",
)  # fmt: skip
WRONG_NUMBERS = (
    "min_confidence=high", "min_confidence=nan", "min_confidence=inf", "min_confidence=-0.1", "min_confidence=1.01",
    "min_confidence[$gt]=0",
)  # fmt: skip
WRONG_PAGES = (
    "limit=0", "limit=501", "limit=-1", "limit=ten", "limit=1e2", "limit=1&limit=2", "limit[$gt]=1",
    "cursor=", "cursor=MTc5&cursor=MTc5", "cursor=%25", "cursor=MTc5==", "cursor=MTc5 ", "cursor=LTE", "cursor=MC4x",
    "cursor=eyIkZ3QiOiAwfQ", "cursor=" + "A" * 50, "cursor=MDE3OQ", "cursor=%F0%9F%98%80",
)  # fmt: skip


def refused(answer: Any, query: str) -> None:
    assert answer.status_code == 422, (query, answer.text)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["errors"] and all(set(error) == {"loc", "msg"} for error in answer.json["errors"])
    assert len(answer.get_data()) < 4000


def test_whatever_is_no_plain_typed_value_is_refused_with_the_reason(known: Known) -> None:
    for query in (*WRONG, *WRONG_NUMBERS, *WRONG_PAGES):
        refused(known.client.get(f"/events?{query}"), query)
    for query in (*WRONG, *WRONG_NUMBERS):
        refused(known.client.get(f"/events.csv?{query}"), query)
        refused(known.client.get(f"/events.jsonl?{query}"), query)
    for query in (*WRONG, *WRONG_PAGES):
        refused(known.client.get(f"/episodes?{query}"), query)
    for query in WRONG:
        refused(known.client.delete(f"/events?{query}"), query)
    for query in ("since=yesterday", "stream[$ne]=1", "label=a", "since=1h&until=2h", "$x=1"):
        refused(known.client.get(f"/stats?{query}"), query)
    for query in ("open=perhaps", "rule=", "rule[$ne]=a", "limit=0", "cursor=x", "since=x", "$x=1"):
        refused(known.client.get(f"/alerts?{query}"), query)
    assert len(ids(got(known.client, "/events", limit=500))) >= 500  # nothing was deleted


def test_no_path_leads_anywhere_but_to_an_event(known: Known) -> None:
    for path in (
        "/events/door/r1/0/faces@1f3a",
        "/events/door/r1/-1/faces@1f3a/0",
        "/events/door/r1/1.5/faces@1f3a/0",
        "/events/door/r1/99999999/faces@1f3a/0",
        "/events/nobody/r1/0/faces@1f3a/0/crop.jpg",
        "/events/../../etc/passwd",
        "/events/door/r1/0/faces@1f3a/0/crop.jpg/..",
        "/events/door/r1/0/faces@1f3a/0/../../../../../../etc/passwd",
    ):
        assert known.client.get(path).status_code == 404, path
    for path in (
        "/events/%2e%2e/r1/0/faces@1f3a/0",
        "/events/$where/r1/0/faces@1f3a/0",
        "/events/door/..%5c../0/faces@1f3a/0/crop.jpg",
        "/events/do%00or/r1/0/faces@1f3a/0/frame.jpg",
        "/events/door/r1/0/fa%00ces/0",
        f"/events/door/r1/{10**20}/faces@1f3a/0",
        f"/events/door/r1/0/{'m' * 300}/0",
    ):
        assert known.client.get(path).status_code in (404, 422), path
    assert known.client.get(f"/events/door/r1/{'9' * 5000}/faces@1f3a/0").status_code in (404, 422)


def test_a_crop_is_a_picture_that_browsers_may_keep_and_must_ask_for(known: Known) -> None:
    stored = next(e for e in known.events if e.crop)
    url = got(known.client, "/events", limit=500, stream=stored.stream)["events"]
    crop_url = next(out["crop_url"] for out in url if out["id"] == stored.id)
    answer = known.client.get(crop_url)
    assert answer.status_code == 200 and answer.get_data() == stored.crop
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = known.client.get(crop_url, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304 and not again.get_data()
    without = next(e for e in known.events if not e.crop)
    missing = known.client.get(f"/events/{quote(without.id)}/crop.jpg")
    assert missing.status_code == 404 and "no crop" in missing.text


class Watched(EventQueries):
    """Queries that keep the crops they read."""

    def __init__(self, database: Database[Document]) -> None:
        super().__init__(database)
        self.crops: list[bytes] = []

    def get(self, event_id: str, crop: bool = True) -> Event | None:
        found = super().get(event_id, crop)
        if found is not None:
            self.crops.append(found.crop)
        return found


def test_a_crop_that_the_browser_has_is_not_read_again_and_one_deleted_is_not_shown_again(
    store: EventStore, database: Database[Document]
) -> None:
    stored = event(crop=b"\xff\xd8 a crop")
    store.add([stored])
    queries = Watched(database)
    client = client_of(dataclasses.replace(records_of(database), events=queries))
    url = f"/events/{quote(stored.id)}/crop.jpg"
    has = {"If-None-Match": client.get(url).headers["ETag"]}
    assert client.get(url, headers=has).status_code == 304
    assert queries.crops == [stored.crop, b""]
    assert client.get(url, headers={"If-None-Match": '"another"'}).get_data() == stored.crop
    assert client.delete("/events?everything=true").status_code == 200
    assert client.get(url, headers=has).status_code == 404


def test_the_whole_frame_comes_from_kafka_until_it_is_gone(
    endpoints: Endpoints, topic: str, store: EventStore, database: Database[Document]
) -> None:
    stored = send(endpoints.kafka, topic, [frame(k) for k in range(3)])
    store.add(stored)
    reader = FrameReader(lambda: make_frame_reader(endpoints.kafka, {}), topic)
    with closing(reader):
        client = client_of(records_of(database, reader.read))
        urls = [out["frame_url"] for out in got(client, "/events")["events"]]
        for url, number in zip(urls, (2, 1, 0), strict=True):
            answer = client.get(url)
            assert (answer.status_code, answer.get_data()) == (200, frame(number).jpeg)
            assert answer.headers["Content-Type"] == "image/jpeg" and "private" in answer.headers["Cache-Control"]
        place = TopicPartition(topic, 0, 1)
        admin = make_admin(endpoints.kafka, {})
        admin.delete_records([place])[place].result(60)
        gone = client.get(urls[2])
        assert gone.status_code == 410 and gone.headers["Content-Type"] == "application/problem+json"
        assert "does not keep it any more" in gone.text
        assert client.get(urls[1]).status_code == 200
        assert client.get(f"{urls[1].rpartition('/')[0]}7/frame.jpg").status_code == 404
    silent = FrameReader(lambda: make_frame_reader(f"127.0.0.1:{free_port()}", {}), topic)
    with closing(silent):
        away = client_of(records_of(database, silent.read)).get(urls[1])
        assert away.status_code == 503 and int(away.headers["Retry-After"]) > 0


def test_deleting_takes_events_crops_episodes_and_alerts(
    client: FlaskClient, store: EventStore, database: Database[Document]
) -> None:
    both = [event(stream=stream, frame=k, time_us=T0 + k * 1_000_000) for stream in STREAMS[:2] for k in range(20)]
    store.add(both)
    EpisodeStore(database).save([Episode(s, "face", T0, T0 + 19_000_000, 20, 0.5) for s in STREAMS[:2]])
    for stream in STREAMS[:2]:
        AlertStore(database).add(Alert("smoking", stream, "face", T0 + 1_000_000, T0, 1.0, "smoking at the door"))
    crop_url = got(client, "/events", stream="door")["events"][0]["crop_url"]
    assert client.get(crop_url).status_code == 200

    part = client.delete("/events", query_string={"stream": "front door", "until": iso(T0 + 10_000_000)})
    assert part.status_code == 200 and part.json == {"events": 10, "episodes": 1, "alerts": 1}
    assert len(ids(got(client, "/events", stream="front door"))) == 10

    assert client.delete("/events?stream=door").json == {"events": 20, "episodes": 1, "alerts": 1}
    assert client.get(crop_url).status_code == 404
    assert ids(got(client, "/events", stream="door")) == []
    assert {e["stream"] for e in got(client, "/episodes")["episodes"]} == {"front door"}
    assert got(client, "/alerts")["alerts"] == []
    assert got(client, "/stats", since=iso(T0 - MINUTE), until=iso(T0 + MINUTE))["events"] == {"face": 10}


def test_everything_is_deleted_only_where_that_is_said(client: FlaskClient, store: EventStore) -> None:
    store.add([event(frame=k) for k in range(5)])
    for query in ("", "?everything=false", "?everything=true&stream=door", "?everything=perhaps"):
        refused(client.delete(f"/events{query}"), query)
    refused(client.delete("/events?min_confidence=0.5"), "min_confidence")
    assert len(ids(got(client, "/events"))) == 5
    assert client.delete("/events?everything=true").json == {"events": 5, "episodes": 0, "alerts": 0}
    assert ids(got(client, "/events")) == []


def test_what_comes_after_a_deletion_is_kept_though_it_was_told_to_reach_into_the_future(
    client: FlaskClient, database: Database[Document]
) -> None:
    later = iso(time.time_ns() // 1000 + 3600 * 1_000_000)
    assert client.delete("/events", query_string={"stream": "door", "until": later}).status_code == 200
    time.sleep(0.01)
    now_us = time.time_ns() // 1000
    EpisodeStore(database).save([Episode("door", "face", now_us, now_us + 1000, 2, 0.5)])
    assert len(got(client, "/episodes", stream="door")["episodes"]) == 1


def test_a_deletion_by_another_site_is_refused(client: FlaskClient, store: EventStore) -> None:
    store.add([event()])
    assert client.delete("/events?stream=door", headers={"Origin": "https://evil.example"}).status_code == 403
    assert len(ids(got(client, "/events"))) == 1


def test_documents_that_are_no_events_do_no_harm(client: FlaskClient, database: Database[Document]) -> None:
    good = to_document(event())
    database[EVENTS].insert_many(
        [
            good,
            good | {"_id": "odd/r1/1/m/0", "time_us": T0 + 1, "stream": {"$gt": ""}},
            good | {"_id": "nameless", "time_us": T0 + 2},
            {"_id": "x/y/0/z/0", "time_us": T0 + 3},
        ]
    )
    assert ids(got(client, "/events")) == [event().id]
    assert len(whole(client, "/events.jsonl").text.splitlines()) == 1
    assert len(whole(client, "/events.csv").text.splitlines()) == 2
    assert client.get("/events/x/y/0/z/0").status_code == 404


@pytest.mark.parametrize(
    "target",
    ["/events", "/events.csv", "/events.jsonl", "/events/door/r1/0/m/0", "/events/door/r1/0/m/0/crop.jpg",
     "/events/door/r1/0/m/0/frame.jpg", "/episodes", "/stats", "/alerts", "DELETE /events?stream=door"],
)  # fmt: skip
def test_while_the_store_is_away_every_answer_says_when_to_try_again(target: str) -> None:
    away: pymongo.MongoClient[Document] = pymongo.MongoClient(
        "127.0.0.1", free_port(), serverSelectionTimeoutMS=100, retryWrites=False
    )
    with away:
        client = client_of(records_of(away["none"]))
        method, _, url = target.rpartition(" ")
        answer = client.open(url, method=method or "GET")
        assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "127.0.0.1" not in answer.text


# Over the wire.


@contextmanager
def serving(records: Records) -> Iterator[int]:
    port = free_port()
    with WebServer(app_of(records), "127.0.0.1", port, 4):
        yield port


class Slow(EventQueries):
    """Gives each page only when told; fails when told to."""

    def __init__(self, pages: Sequence[Page], fails: bool = False) -> None:
        self._pages = pages
        self._fails = fails
        self.go_on = threading.Event()

    def page(self, where: EventFilter, limit: int = 50, cursor: int | None = None) -> Page:  # noqa: ARG002
        at = cursor or 0
        if at and not self.go_on.wait(60):
            raise AssertionError
        if at and self._fails:
            raise StoreUnavailable("away")
        return self._pages[at]


def slow(fails: bool = False) -> Slow:
    return Slow([Page([event(frame=0)], 1), Page([event(frame=1)], None)], fails)


def test_a_download_cut_short_by_the_store_does_not_look_whole(database: Database[Document]) -> None:
    queries = slow(fails=True)
    queries.go_on.set()
    with serving(dataclasses.replace(records_of(database), events=queries)) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/events.jsonl")
        answer = connection.getresponse()
        assert answer.status == 200
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
        connection.close()


def test_a_fifth_download_at_a_time_is_told_to_come_again(database: Database[Document]) -> None:
    queries = slow()
    with serving(dataclasses.replace(records_of(database), events=queries)) as port:
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(5)]

        def ask(connection: http.client.HTTPConnection, method: str = "GET") -> http.client.HTTPResponse:
            connection.request(method, "/events.csv")
            return connection.getresponse()

        answers = [ask(connection) for connection in connections]
        assert [answer.status for answer in answers] == [200, 200, 200, 200, 503]
        assert int(answers[4].headers["Retry-After"]) > 0
        answers[4].read()
        assert ask(connections[4], "HEAD").read() == b""
        queries.go_on.set()
        assert all(len(answer.read().splitlines()) == 3 for answer in answers[:4])

        def may_come() -> bool:
            answer = ask(connections[4])
            if answer.status == 503:
                answer.read()
            return answer.status == 200

        wait_for(may_come, "its place")  # which is free a moment after the end of an answer
        for connection in connections:
            connection.close()


def test_a_download_is_whole_and_has_nothing_twice_while_events_are_stored(
    store: EventStore, database: Database[Document]
) -> None:
    store.add([event(frame=k, time_us=T0 + k * 1000) for k in range(3000)])
    stop = threading.Event()

    def write() -> None:
        frame_number = 3000
        while not stop.is_set():
            store.add([event(frame=frame_number + k, time_us=T0 + (frame_number + k) * 1000) for k in range(20)])
            frame_number += 20

    writing = threading.Thread(target=write)
    with serving(records_of(database)) as port:
        writing.start()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/events.jsonl")
            rows = [json.loads(line) for line in connection.getresponse().read().splitlines()]
            connection.close()
        finally:
            stop.set()
            writing.join()
    frames = [row["frame"] for row in rows]
    assert len(frames) == len(set(frames))
    assert set(range(3000)) <= set(frames)
    assert frames == sorted(frames, reverse=True)


# Many of them.


@pytest.mark.speed
def test_pages_of_a_hundred_thousand_events_come_at_once(
    many: Database[Document], capsys: pytest.CaptureFixture[str]
) -> None:
    client = client_of(records_of(many))
    deep = got(client, "/events", limit=1, until=iso(T0 + 10_000_000))["next_cursor"]
    middle = T0 + MANY // 16 * 33_333
    queries: dict[str, dict[str, object]] = {
        "first": {},
        "stream and label": {"stream": "cam-3", "label": "label 2"},
        "rare label": {"label": "rare"},
        "confidence": {"min_confidence": 0.4, "stream": "cam-3"},
        "confidence that none has": {"min_confidence": 0.9},
        "period": {"since": iso(middle - 95_000_000), "until": iso(middle)},
        "deep cursor": {"cursor": deep},
        "deep cursor, label": {"cursor": deep, "label": "label 2"},
    }

    def medians_s() -> dict[str, float]:
        return {name: median_s(partial(got, client, "/events", **query)) for name, query in queries.items()}

    taken_s = measured(medians_s, lambda taken_s: max(taken_s.values()) < PAGE_S)
    with capsys.disabled():
        print(f"\n  {MANY} events, a page by the API (ms)")
        for name, seconds in taken_s.items():
            print(f"  {name:<26} {seconds * 1000:>8.1f}")


def test_a_long_download_takes_no_more_memory_than_a_short_one(
    thousands: Database[Document], capsys: pytest.CaptureFixture[str]
) -> None:
    client = client_of(records_of(thousands))
    whole(client, "/events.csv", stream="cam-1", label="rare")
    tracemalloc.start()
    try:
        started = time.monotonic()
        answer = client.get("/events.csv", buffered=False)
        rows = sum(block.count(b"\r\n") for block in answer.iter_encoded()) - 1
        taken_s = time.monotonic() - started
        answer.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    with capsys.disabled():
        print(f"\n  {rows} rows of CSV in {taken_s:.1f} s under tracemalloc: {peak / 1e6:.1f} MB at most")
    assert rows == THOUSANDS
    assert peak < 12e6


def median_s(do: Callable[[], object]) -> float:
    """Of five tries."""
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        do()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)
