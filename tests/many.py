"""Many events, stored once for the whole run."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from framewatch.embedded.home import Endpoints
from framewatch.model.event import Event
from framewatch.storage.mongo.client import connect
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.events import EventStore
from shared import this_run

MINUTE = 60_000_000
T0 = 1_795_000_000 * 1_000_000 // MINUTE * MINUTE
MANY = 100_000
THOUSANDS = 16_000


def event(**changes: Any) -> Event:
    whole = Event(
        stream="door",
        run="r1",
        frame=0,
        time_us=T0,
        index=0,
        label="face",
        confidence=0.5,
        model="faces@1f3a",
        partition=0,
        offset=0,
        crop=b"\xff\xd8 a crop",
    )
    return dataclasses.replace(whole, **changes)


@pytest.fixture(scope="session")
def many(endpoints: Endpoints) -> Iterator[Database[Document]]:
    """A hundred thousand events, for tests of speed."""
    with connect(endpoints.mongodb) as client:
        yield stored(client, MANY)


@pytest.fixture(scope="session")
def thousands(endpoints: Endpoints) -> Iterator[Database[Document]]:
    """More events than fit on many pages."""
    with connect(endpoints.mongodb) as client:
        yield stored(client, THOUSANDS)


def stored(client: MongoClient[Document], count: int) -> Database[Document]:
    """So many events: eight streams of thirty frames a second, seven labels and a rare one."""
    database = client[f"test_{count}_events"]
    this_run().once(database.name, lambda _: _store(EventStore(database), count))
    return database


def _store(store: EventStore, count: int) -> None:
    dice = random.Random(5)
    crop = dice.randbytes(500)
    store.setup()
    started = time.perf_counter()
    for batch in range(0, count, 1000):
        store.add(
            [
                event(
                    stream=f"cam-{k % 8}",
                    frame=k // 8,
                    time_us=T0 + k // 8 * 33_333,
                    label="rare" if k % 20_000 == 1 else f"label {dice.randrange(7)}",
                    confidence=1.0 if k % 20_000 == 3 else round(dice.random() * 0.99, 3),
                    crop=crop,
                )
                for k in range(batch, batch + 1000)
            ]
        )
    print(f"\n  {count} events stored and counted: {count / (time.perf_counter() - started):.0f} a second")
