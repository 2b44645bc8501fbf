"""A log never looks complete where events are left out: after a hidden tab, a cut connection, a long pause."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Any

import numpy as np
import pytest
from pymongo.database import Database

from conftest import wait_for
from framewatch.live.feed import Feed
from framewatch.model.alert import Alert
from framewatch.model.event import Event
from framewatch.model.filters import EventFilter
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.events import EventStore
from framewatch.vision.jpeg import encode_jpeg
from running import go, rows
from test_browser import Browser, browser, chrome  # noqa: F401 - fixtures
from test_events_api import records_of
from test_web import Site, serve

FRAME_US = 200_000
CROP = encode_jpeg(np.zeros((48, 48, 3), np.uint8))
LABELS = ("happy", "sad")  # two faces in each frame


@dataclass
class Page:
    """A browser at a page over a store and a feed, and the events that the store has."""

    browser: Browser
    site: Site
    store: EventStore
    feed: Feed
    frames: Iterator[int]
    t0_us: int

    def happen(self, n: int) -> list[Event]:
        """So many more events, stored and told to nobody; newest first."""
        made = self.made(n)
        self.store.add(made)
        return made[::-1]

    def made(self, n: int) -> list[Event]:
        """So many more events, in the order of their time."""
        return [
            Event("door", "r1", frame, self.t0_us + frame * FRAME_US, index, label, 0.5, "faces@1f3a", 0, frame, CROP)
            for frame, _ in zip(self.frames, range(n // 2), strict=False)
            for index, label in enumerate(LABELS)
        ]

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Another tab is in front meanwhile."""
        driver = self.browser.driver
        mine = driver.current_window_handle
        self.run("addEventListener('visibilitychange', () => (localStorage.hidden = document.hidden))")
        driver.switch_to.new_window("tab")
        driver.get(f"http://127.0.0.1:{self.site.port}/health")
        wait_for(lambda: self.run("return localStorage.hidden") == "true", "word that the page is hidden")
        yield
        driver.close()
        driver.switch_to.window(mine)

    def run(self, script: str, *arguments: object) -> Any:
        return self.browser.run(script, *arguments)

    def cut(self) -> None:
        """End every connection of the browser, as a network does."""
        for connection in set(self.site.server.connections):
            connection.cut()

    def tell(self, text: str) -> None:
        """Return when the page has heard this alert, and with it that its feed has begun and all that came before."""
        alert = Alert("rule", "door", "happy", self.t0_us, self.t0_us, 1.0, text)

        def heard() -> bool:
            self.feed.publish_alert(alert)  # until somebody listens
            return self.browser.text("#announcer") == f"Alert: {text}"

        wait_for(heard, "word of an alert")

    def count_questions(self) -> None:
        """Begin to write down what the page asks for; answers about events wait while `hold` is set."""
        self.run("""
            const ask = window.fetch;
            Object.assign(window, { asked: [], answered: [], hold: false });
            window.fetch = async (address, options) => {
                window.asked.push(address);
                const answer = await ask(address, options);
                await answer.clone().text();
                window.answered.push(address);
                while (window.hold && address.startsWith('/events?'))
                    await new Promise((resolve) => setTimeout(resolve, 10));
                return answer;
            }""")

    def number(self, list_: str, start: str) -> int:
        """How many were "asked" or "answered" whose address starts so."""
        return int(
            self.run("return window[arguments[0]].filter((one) => one.startsWith(arguments[1])).length", list_, start)
        )

    def ids(self, view: str = "live") -> list[str]:
        """Of the rows: one for each event, "" for a gap."""
        script = "return [...document.querySelectorAll(arguments[0])].map((row) => row.dataset.id ?? '')"
        return list(self.run(script, f"[data-view={view}] .log li"))

    def gap(self) -> str:
        return self.browser.text("[data-view]:not([hidden]) .gap span")

    def click(self, selector: str) -> None:
        self.run("document.querySelector(`[data-view]:not([hidden]) ${arguments[0]}`).click()", selector)


@pytest.fixture
def page(browser: Browser, database: Database[Document], store: EventStore) -> Iterator[Page]:  # noqa: F811
    feed = Feed()
    with serve(records=records_of(database), feed=feed) as site:
        page = Page(browser, site, store, feed, count(), time.time_ns() // 1000 - 600_000_000)
        yield page
        feed.close()


def opened(page: Page, view: str = "live", hash_: str = "") -> None:
    page.browser.driver.set_window_size(1400, 900)
    page.browser.open(f"http://127.0.0.1:{page.site.port}/{hash_}")
    wait_for(lambda: page.feed.listeners == 1, "a listener")
    wait_for(lambda: len(rows(page.browser, view)) > 0, "the log")


def ids(events: Sequence[Event]) -> list[str]:
    """Newest first; of one frame, in the order in which a log shows them."""
    return [event.id for event in events]


def same(page: Page, expected: Sequence[str], view: str = "live") -> bool:
    """Whether these are the rows, in this order but for events of one frame."""
    got = page.ids(view)
    return [frame_of(one) for one in got] == [frame_of(one) for one in expected] and sorted(got) == sorted(expected)


def frame_of(id_: str) -> str:
    return id_.rpartition("/")[0]


def clock(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6).strftime("%H:%M:%S")


def test_what_a_hidden_tab_missed_is_loaded_when_it_is_seen_again(page: Page) -> None:
    before = page.happen(20)
    opened(page)
    with page.hidden():
        missed = page.happen(80)
    wait_for(lambda: same(page, ids(missed + before)), "all of them, in order")
    assert page.gap() == ""


def test_more_than_is_loaded_is_a_gap_that_says_so_and_loads_the_rest(page: Page) -> None:
    before = page.happen(20)
    opened(page)
    with page.hidden():
        missed = page.happen(400)
    wait_for(
        lambda: same(page, [*ids(missed[:100]), "", *ids(before)]), "a gap between what is new and what was there"
    )
    assert page.gap() == f"300 events not shown, from {clock(before[0].time_us)} to {clock(missed[99].time_us)}"
    page.click(".gap button")
    wait_for(lambda: same(page, [*ids(missed[:200]), "", *ids(before)]), "a smaller gap")
    assert page.gap().startswith("200 events not shown, from ")
    page.click(".gap button")
    wait_for(lambda: page.gap().startswith("100 events "), "a smaller one")
    page.click(".gap button")
    wait_for(lambda: same(page, ids(missed + before)), "all of them, in order")


def test_a_gap_of_a_filtered_log_counts_what_the_filters_let_pass_and_leads_to_it(page: Page) -> None:
    page.happen(20)
    opened(page, "events", "#/events?label=sad")
    with page.hidden():
        missed = [event for event in page.happen(400) if event.label == "sad"]
    wait_for(lambda: page.gap().startswith("100 events not shown, from "), "the gap")
    assert page.ids("events")[:101] == [*ids(missed[:100]), ""]
    page.click(".gap a")
    wait_for(lambda: page.ids("events") == ids(missed[100:150]), "the events of the gap alone")
    page.click(".log .older")
    wait_for(lambda: page.ids("events") == ids(missed[100:]), "all of them")


def test_a_gap_without_a_known_number_is_a_gap_all_the_same(page: Page) -> None:
    page.happen(20)
    opened(page, "events", "#/events?min_confidence=0.4")
    with page.hidden():
        page.happen(400)
    wait_for(lambda: page.gap().startswith("Events not shown, from "), "the gap")


def test_a_log_that_was_scrolled_does_not_move_when_its_tab_is_seen_again(page: Page) -> None:
    before = page.happen(50)
    opened(page)
    scroller = "document.querySelector('[data-view=live] .scroller')"
    page.run(f"{scroller}.scrollTop = 300")
    with page.hidden():
        missed = page.happen(400)
    pill = "[data-view=live] .pill:not([hidden])"
    wait_for(lambda: page.browser.text(pill) == "50+ new", "word of what is new")
    assert same(page, ids(before))
    assert page.run(f"return {scroller}.scrollTop") == 300
    page.click(".pill")
    wait_for(lambda: same(page, [*ids(missed[:100]), "", *ids(before)]), "what is new, a gap, and what was there")
    assert page.gap().startswith("300 events not shown, from ")


def test_what_the_store_has_no_more_goes_from_the_log_when_its_tab_is_seen_again(page: Page) -> None:
    page.happen(6)
    opened(page)
    loaded = "return [...document.querySelectorAll('[data-view=live] .row img')].every((image) => image.complete)"
    wait_for(lambda: bool(page.run(loaded)), "their crops, which nobody can ask for later")
    with page.hidden():
        page.store.delete(EventFilter())
        missed = page.happen(30)
    wait_for(lambda: same(page, ids(missed)), "what is stored alone")
    assert page.gap() == ""


def test_a_log_that_was_paused_for_long_shows_a_gap_when_it_goes_on(page: Page) -> None:
    before = page.happen(20)
    opened(page)
    page.click(".log header button")
    # Each has a label of its own: of one label no more than one a second is told.
    missed = [replace(event, label=f"label {k}", index=k) for k, event in enumerate(page.made(250))]
    page.store.add(missed)
    page.feed.publish(missed)
    pill = "[data-view=live] .pill:not([hidden])"
    wait_for(lambda: page.browser.text(pill) == "200+ new", "word of what came while it was paused")
    assert same(page, ids(before))
    page.click(".log header button")
    wait_for(
        lambda: same(page, [*ids(missed[::-1][:100]), "", *ids(before)]), "what is new, a gap, and what was there"
    )
    assert page.gap().startswith("150 events not shown, from ")


def test_a_connection_that_was_cut_leaves_a_gap_that_says_so(page: Page) -> None:
    before = page.happen(20)
    opened(page)
    missed = page.happen(400)  # stored, and never told
    page.cut()
    wait_for(
        lambda: same(page, [*ids(missed[:100]), "", *ids(before)]), "a gap between what is new and what was there"
    )
    assert page.gap().startswith("300 events not shown, from ")


def test_a_server_that_comes_back_leaves_a_scrolled_log_where_it_is(page: Page) -> None:
    before = page.happen(50)
    opened(page)
    go(page.browser, "#/events")
    wait_for(lambda: same(page, ids(before), "events"), "the log")
    page.run("document.querySelector('[data-view=events] .scroller').scrollTop = 300")
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    driver = page.browser.driver
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    wait_for(lambda: page.browser.text("#health").startswith("Disconnected"), "word of the server's end")
    page.happen(10)
    page.cut()
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", {**offline, "offline": False})
    driver.execute_cdp_cmd("Network.disable", {})
    wait_for(lambda: page.browser.text("#health") == "healthy", "health again")
    wait_for(lambda: page.browser.text("[data-view=events] .pill:not([hidden])") == "10 new", "word of what is new")
    assert same(page, ids(before), "events")
    assert page.run("return document.querySelector('[data-view=events] .scroller').scrollTop") == 300


STATE = "[data-view=events] .state"


@pytest.mark.parametrize("begins", ["before", "meanwhile", "after"])
def test_what_is_wrong_with_a_filter_is_asked_and_said_once(page: Page, begins: str) -> None:
    """Whenever the feed begins anew: that is when a log asks for what it has missed."""
    page.happen(2)
    opened(page)
    page.count_questions()
    page.run("window.hold = true")
    go(page.browser, "#/events?stream=foo%2Fbar")
    wait_for(lambda: page.number("answered", "/events?stream=foo") == 1, "the answer")
    if begins == "meanwhile":
        page.cut()
        page.tell("the feed has begun anew")
    page.run("window.hold = false")
    wait_for(lambda: "stream" in page.browser.text(STATE), "what is wrong")
    said = page.browser.text(STATE)
    assert said.count("stream") == 1
    if begins == "after":
        page.cut()
        page.tell("the feed has begun anew")
    page.tell("all is told")
    assert page.browser.text(STATE) == said
    assert page.number("asked", "/events?stream=foo") == 1
    page.browser.complains_of("422")


def test_no_event_comes_into_a_log_whose_filters_are_wrong(page: Page) -> None:
    page.happen(2)
    opened(page)
    go(page.browser, "#/events?since=yesterday")  # of which the page alone cannot tell whether an event is meant
    wait_for(lambda: "since" in page.browser.text(STATE), "what is wrong")
    said = page.browser.text(STATE)
    page.feed.publish(page.made(2))
    page.tell("all is told")
    assert page.ids("events") == []
    assert page.browser.text(STATE) == said
    page.browser.complains_of("422")
    go(page.browser, "#/events")
    wait_for(lambda: len(page.ids("events")) == 2, "the log, with other filters")


def test_a_log_that_could_not_be_read_does_not_say_that_it_is_empty(page: Page) -> None:
    stored = page.happen(2)
    opened(page)
    page.run("""
        const ask = window.fetch;
        window.fetch = (address, options) => window.broken && address.startsWith('/events?')
            ? Promise.reject(new TypeError('cut')) : ask(address, options);
        window.broken = true""")
    go(page.browser, "#/events?label=sad")
    wait_for(lambda: "Cannot reach the server" in page.browser.text(STATE), "that it was not read")
    page.cut()
    page.tell("the feed has begun anew")
    come = page.made(2)
    page.store.add(come)
    page.feed.publish(come)
    page.tell("all is told")
    assert "Cannot reach the server" in page.browser.text(STATE)
    page.run("window.broken = false")
    page.cut()
    sad = [event.id for event in (*come[::-1], *stored) if event.label == "sad"]
    wait_for(lambda: page.ids("events") == sad and page.browser.text(STATE) == "", "all of it")
