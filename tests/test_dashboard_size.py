"""The page with much to show: a hundred thousand events behind it, ten streams that all move."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from pymongo.database import Database

from conftest import wait_for
from framewatch.live.feed import Feed
from framewatch.model.filters import EventFilter
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.queries import EventQueries
from framewatch.vision.jpeg import encode_jpeg
from running import rows
from test_browser import Browser, browser, chrome  # noqa: F401 - fixtures
from test_events_api import records_of
from test_web import measured, serve

STREAMS = [f"cam-{k}" for k in range(10)]
# Milliseconds in which the page could not answer its reader, out of three thousand.
BLOCKED_MS = """
    const done = arguments[0];
    let sum = 0;
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => (sum += duration)))
        .observe({ type: 'longtask' });
    setTimeout(() => done(sum), 3000)"""


def pictures(browser: Browser) -> list[str]:  # noqa: F811
    """Of the first tiles, as they are drawn now."""
    script = "return [...document.querySelectorAll('#wall canvas')].slice(0, 4).map((canvas) => canvas.toDataURL())"
    return list(browser.run(script))


@pytest.mark.speed
def test_it_stays_quick_with_a_hundred_thousand_events_and_ten_streams(
    browser: Browser,  # noqa: F811
    many: Database[Document],
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = [encode_jpeg(np.full((360, 640, 3), shade, np.uint8)) for shade in range(0, 250, 5)]
    feed = Feed()
    ended = threading.Event()

    stored = EventQueries(many).page(EventFilter(), 500).events

    def tell() -> None:
        for batch in itertools.cycle([stored[k : k + 10] for k in range(0, len(stored), 10)]):
            feed.publish(batch)
            if ended.wait(0.05):
                return

    with ExitStack() as ending:
        site = ending.enter_context(serve(max_viewers=8, records=records_of(many), feed=feed))
        ending.callback(feed.close)
        for stream in STREAMS:
            ending.enter_context(site.publishing(images, fps=10, stream=stream))
        teller = threading.Thread(target=tell)
        teller.start()
        ending.callback(teller.join)
        ending.callback(ended.set)

        address = f"http://127.0.0.1:{site.port}"
        got = measured(partial(measure, browser, address), Pace.is_quick)
    with capsys.disabled():
        print(
            f"\n  the log after {got.log_s:.2f} s, blocked {got.blocked_ms:.0f} of 3000 ms,"
            f" a rare label after {got.rare_s:.2f} s"
        )


class Pace(NamedTuple):
    """Seconds until the log is there, milliseconds blocked, seconds until the rare events are there."""

    log_s: float
    blocked_ms: float
    rare_s: float

    def is_quick(self) -> bool:
        """Whether all were, at the same time."""
        return self.log_s < 5 and self.blocked_ms < 900 and self.rare_s < 5


def measure(browser: Browser, address: str) -> Pace:  # noqa: F811
    browser.driver.get("about:blank")
    started = time.monotonic()
    browser.open(f"{address}/")
    wait_for(lambda: len(rows(browser)) > 10, "the log")
    log_s = time.monotonic() - started
    wait_for(lambda: browser.run("return document.querySelectorAll('#wall .tile').length") == 10, "ten tiles")
    drawn = (
        "return [...document.querySelectorAll('#wall canvas')].slice(0, 4).every((canvas) => canvas.dataset.shown)"
    )
    wait_for(lambda: bool(browser.run(drawn)), "the first pictures")
    before = pictures(browser)
    blocked_ms = browser.driver.execute_async_script(BLOCKED_MS)
    # One may be at the same shade again, but not all the time.
    wait_for(lambda: all(a != b for a, b in zip(before, pictures(browser), strict=True)), "pictures that move")
    started = time.monotonic()
    browser.open(f"{address}/#/events?label=rare")
    wait_for(lambda: {row["label"] for row in rows(browser, "events")} == {"rare"}, "the rare ones")
    rare_s = time.monotonic() - started
    assert len(rows(browser, "events")) == 5
    return Pace(log_s, blocked_ms, rare_s)
