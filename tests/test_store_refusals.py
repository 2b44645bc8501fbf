"""What the store refuses for good is told from what may go well later, with what to do about it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pymongo
import pytest
from pymongo.database import Database
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from framewatch.errors import SettingError, StoreRefused, StoreUnavailable
from framewatch.model.filters import EventFilter
from framewatch.storage.interface import Document, Stored
from framewatch.storage.mongo.client import connect, primary, store_errors
from framewatch.storage.mongo.events import EventStore
from framewatch.storage.mongo.store import MongoStore
from many import T0, event
from mongo_proxy import MongoProxy
from second_store import database_on_both, second_database, second_store

database = database_on_both
second = second_database


def failure(code: int, text: str = "it says why") -> OperationFailure:
    return OperationFailure(text, code, {"ok": 0, "errmsg": text, "code": code})


def bulk(*codes: int) -> BulkWriteError:
    errors = [{"index": n, "code": code, "errmsg": f"error {code}"} for n, code in enumerate(codes)]
    return BulkWriteError({"writeErrors": errors, "writeConcernErrors": []})


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("closed"),
        NetworkTimeout("slow"),
        NotPrimaryError("stepped down", {"code": 10107}),
        ServerSelectionTimeoutError("nobody"),
        ExecutionTimeout("slow", 50, {"code": 50}),
        WTimeoutError("slow", 64, {"code": 64}),
        DuplicateKeyError("two upserts at once", 11000, {"code": 11000}),
        *map(failure, (6, 7, 50, 64, 89, 91, 112, 189, 11600, 11601, 11602, 13435, 13436)),
        failure(8, "database or disk is full"),
        failure(14031, "out of disk space"),
        OperationFailure("no code at all"),
        bulk(8),
        bulk(11000),
    ],
    ids=repr,
)
def test_what_may_go_well_later_is_tried_again(error: PyMongoError) -> None:
    with pytest.raises(StoreUnavailable, match=r"^storing: "), store_errors("storing"):
        raise error


@pytest.mark.parametrize(
    ("error", "to_do"),
    [
        (failure(13, "not authorized on framewatch to execute command"), "role readWrite"),
        (failure(18, "Authentication failed."), "user, password and authSource"),
        (failure(8000, "bad auth : authentication failed"), "user, password and authSource"),
        (failure(85, "Index with name: x already exists with different options"), "drop that index"),
        (failure(86, "An existing index has the same name"), "drop that index"),
        (failure(2), ""),
        (failure(9), ""),
        (failure(59, "no such command: 'aggregate'"), ""),
        (failure(73), ""),
        (failure(115), ""),
        (failure(166), ""),
        (failure(121, "Document failed validation"), ""),
        (failure(10334, "object to insert too large"), ""),
        (ConfigurationError("Server reports wire version 6, but this PyMongo requires at least 9"), ""),
        (bulk(13), "role readWrite"),
        (bulk(8, 121), ""),
    ],
    ids=repr,
)
def test_what_is_refused_for_good_is_not_and_says_what_to_do(error: PyMongoError, to_do: str) -> None:
    with pytest.raises(StoreRefused, match=r"^storing: ") as caught, store_errors("storing"):
        raise error
    assert to_do in str(caught.value)
    assert "\n" not in str(caught.value)


# Over the wire: a proxy that answers some commands as a MongoDB does to a user without the right.


@pytest.fixture
def proxy() -> Iterator[MongoProxy]:
    with MongoProxy(second_store()) as made:
        yield made


NOT_AUTHORIZED: Document = {"ok": 0.0, "errmsg": "not authorized on x", "code": 13, "codeName": "Unauthorized"}


def test_a_user_who_may_only_read_is_told_so_by_all_that_writes_and_by_health(
    proxy: MongoProxy, second: Database[Document]
) -> None:
    MongoStore(second).setup()
    EventStore(second).add([event()])
    writes = ("createIndexes", "insert", "update", "delete")
    proxy.refusals |= dict.fromkeys(writes, NOT_AUTHORIZED)
    with connect(proxy.uri) as client:
        store = EventStore(client[second.name])
        assert len(store.page(EventFilter()).events) == 1
        for write in (store.setup, lambda: store.add([event(frame=1)]), lambda: store.prune(T0 + 10**9)):
            with pytest.raises(StoreRefused, match=r"not authorized.*role readWrite"):
                write()
        assert "role readWrite" in (store.problem() or "")
        assert not store.ping()
        proxy.refusals.clear()  # the right was given
        assert store.problem() is None
        assert store.add([event(frame=1)]) == Stored(1, 0)


def test_a_store_that_takes_no_login_is_a_problem_that_is_told(proxy: MongoProxy, second: Database[Document]) -> None:
    proxy.refusals["find"] = {"ok": 0.0, "errmsg": "Authentication failed.", "code": 18}
    with connect(proxy.uri) as client:
        assert "authSource" in (EventStore(client[second.name]).problem() or "")


def test_a_store_that_is_away_is_a_problem_that_is_told() -> None:
    with connect("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100") as client:
        assert "does not answer" in (EventStore(client["test"]).problem(0.3) or "")


# Indexes.


def test_an_index_with_other_options_is_named_with_what_to_do(second: Database[Document]) -> None:
    name = "time_us_-1_confidence_1_label_1"
    second["events"].create_index([("time_us", -1), ("confidence", 1), ("label", 1)], unique=True)
    with pytest.raises(StoreRefused, match=f"making the index {name} of {second.name}.events: .*: drop that index"):
        EventStore(second).setup()


def test_an_index_with_other_keys_under_our_name_is_named(proxy: MongoProxy, second: Database[Document]) -> None:
    text = "An existing index has the same name as the requested index"
    proxy.refusals["createIndexes"] = {"ok": 0.0, "errmsg": text, "code": 86, "codeName": "IndexKeySpecsConflict"}
    with connect(proxy.uri) as client, pytest.raises(StoreRefused, match=r"start_us_-1 of .*: drop that index"):
        MongoStore(client[second.name]).alerts.setup()


def test_the_same_index_under_another_name_does_as_well(proxy: MongoProxy, second: Database[Document]) -> None:
    second["uploads"].create_index([("time_us", -1)], name="made by hand")
    text = "Index already exists with a different name: made by hand"
    proxy.refusals["createIndexes"] = {"ok": 0.0, "errmsg": text, "code": 85, "codeName": "IndexOptionsConflict"}
    with connect(proxy.uri) as client:
        MongoStore(client[second.name]).uploads.setup()
        with pytest.raises(StoreRefused, match="different name"):
            MongoStore(client[second.name]).alerts.setup()


# Single events.


def test_an_event_that_is_too_large_is_named_and_all_others_are_stored(database: Database[Document]) -> None:
    store = EventStore(database)
    store.setup()
    large, huge_number = event(frame=1, crop=bytes(13_000_000)), event(frame=2**70)
    some = [event(), large, event(frame=2), huge_number, event()]
    stored = store.add(some)
    assert (stored.new, stored.duplicates) == (2, 1)
    assert [one.event for one in stored.refused] == [large, huge_number]
    assert "at most 16,777,216" in stored.refused[0].reason
    assert store.counts(EventFilter()) == {"face": 2}
    assert store.add([large]).refused[0].event == large
    assert store.add(some) == stored._replace(new=0, duplicates=3)


def test_an_event_that_a_validator_refuses_is_named_and_all_others_are_stored(
    proxy: MongoProxy, second: Database[Document]
) -> None:
    proxy.write_errors.append({"index": 1, "code": 121, "errmsg": "Document failed validation"})
    with connect(proxy.uri) as client:
        stored = EventStore(client[second.name]).add([event(frame=k) for k in range(3)])
    assert [(one.event.frame, one.reason) for one in stored.refused] == [(1, "Document failed validation")]
    assert (stored.new, stored.duplicates) == (2, 0)


def test_an_event_that_a_unique_index_of_others_forbids_is_no_duplicate(second: Database[Document]) -> None:
    second["events"].create_index([("frame", 1)], unique=True)
    stored = EventStore(second).add([event(), event(stream="yard"), event()])
    assert (stored.new, stored.duplicates) == (1, 1)
    assert [one.event.stream for one in stored.refused] == ["yard"]
    assert "frame_1" in stored.refused[0].reason


# Options of the address.


def test_options_of_the_address_come_before_ours() -> None:
    options = (
        "serverSelectionTimeoutMS=300&connectTimeoutMS=4000&SOCKETTIMEOUTMS=60000"
        "&maxPoolSize=3&appName=mine&retryWrites=true"
    )
    with connect(f"mongodb://127.0.0.1:1/?{options}") as client:
        pool = client.options.pool_options
        assert (pool.connect_timeout, pool.socket_timeout, pool.max_pool_size, pool.appname) == (4.0, 60.0, 3, "mine")
        assert client.options.server_selection_timeout == 0.3
        assert client.options.retry_writes
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            EventStore(client["x"]).page(EventFilter())
        assert time.monotonic() - started < 2
    with connect("mongodb://127.0.0.1:1") as client:
        assert client.options.server_selection_timeout == 2.0
        assert client.options.pool_options.max_pool_size == 16


def test_how_values_are_read_is_ours_whatever_the_address_says() -> None:
    with connect("mongodb://127.0.0.1:1/?tz_aware=false&unicode_decode_error_handler=strict") as client:
        assert client.codec_options.tz_aware
        assert client.codec_options.unicode_decode_error_handler == "replace"


@pytest.mark.parametrize("option", ["w=0", "W=0", "readPreference=nearest&w=0"])
def test_writes_that_nobody_acknowledges_are_refused(option: str) -> None:
    with pytest.raises(SettingError, match=r"MONGODB_URI.*w=0.*w=majority"):
        connect(f"mongodb://127.0.0.1:1/?{option}")


def test_what_is_written_again_is_read_from_the_primary_whatever_the_address_prefers() -> None:
    options = "readPreference=secondaryPreferred&readConcernLevel=majority"
    with connect(f"mongodb://127.0.0.1:1/?{options}") as client:
        of_primary = primary(client["x"], "events")
        assert of_primary.read_preference == pymongo.ReadPreference.PRIMARY
        assert of_primary.read_concern.level is None
        store = MongoStore(client["x"])
        counts, episodes, alerts = store.events._counts, store.episodes, store.alerts
        assert store.events._events == counts._events == store.events._timeline._collection == of_primary
        assert counts._counts == primary(client["x"], "counts")
        assert episodes._episodes == episodes._timeline._collection == primary(client["x"], "episodes")
        assert episodes._erasures == episodes._erased._collection == primary(client["x"], "erasures")
        assert alerts._alerts == alerts._timeline._collection == primary(client["x"], "alerts")
        read = [c.read_preference for c in (of_primary, counts._counts, episodes._erasures, alerts._alerts)]
        assert read == [pymongo.ReadPreference.PRIMARY] * 4
        lists = [part._lists._collection.read_preference for part in (store.events, episodes, alerts)]
        assert lists == [client.read_preference] * 3
        assert client.read_preference == pymongo.ReadPreference.SECONDARY_PREFERRED
