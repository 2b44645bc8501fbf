"""A hundred thousand events, stored once for the whole run."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from framewatch.embedded.home import Endpoints
from framewatch.model.event import Event
from framewatch.storage.mongo.client import connect
from framewatch.storage.mongo.events import EventStore
from framewatch.storage.mongo.queries import EventQueries

MINUTE = 60_000_000
T0 = 1_795_000_000 * 1_000_000 // MINUTE * MINUTE
MANY = 100_000
DATABASE = "test_many"


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
def many(endpoints: Endpoints) -> Iterator[EventQueries]:
    """A hundred thousand events: eight streams of thirty frames a second, seven labels and a rare one."""
    dice = random.Random(5)
    crop = dice.randbytes(500)
    with connect(endpoints.mongodb) as client:
        store = EventStore(client[DATABASE])
        store.setup()
        started = time.perf_counter()
        for batch in range(0, MANY, 1000):
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
        print(f"\n  {MANY} events stored and counted: {MANY / (time.perf_counter() - started):.0f} a second")
        yield EventQueries(client[DATABASE])
        client.drop_database(DATABASE)
