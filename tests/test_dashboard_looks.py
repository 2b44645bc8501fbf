"""How the page looks and feels: contrast, small screens, the keyboard, what it weighs and where it asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from conftest import Services, wait_for
from framewatch.vision.annotate import colour_of
from running import Stack, go, rows, running
from test_browser import Browser, browser, chrome, showing  # noqa: F401 - fixtures
from test_web import below, measured, serve

# Each view, and what is there once it has been filled.
VIEWS = {
    "#/": "[data-view=live] .row",
    "#/events": "[data-view=events] .row",
    "#/analysis": "[data-view=analysis] .band",
    "#/try": "#uploads li",
    "#/alerts": "[data-view=alerts] .rules *",
    "#/stream/sample": "[data-view=stream] .row",
}

# Contrast (WCAG 2.2, 1.4.3) of every text that can be seen, against what it stands on; pictures are left out.
CONTRAST = """
    const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = rgb(getComputedStyle(at).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const result = {};
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
        if (element.closest('.unseen, .picture, svg, option, noscript, :disabled')) continue;
        const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) result[walker.currentNode.textContent.trim()] = ratio;
    }
    return result"""


@pytest.fixture(scope="module")
def stack(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(services, tmp_path_factory.mktemp("stack"), "--preset", "emotions") as stack:
        yield stack


@contextmanager
def liking(browser: Browser, theme: str) -> Iterator[None]:  # noqa: F811
    """A system that is set to light or dark colours."""
    wanted = [{"name": "prefers-color-scheme", "value": theme}]
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})
    yield
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def look_at(browser: Browser, stack: Stack) -> Iterator[str]:  # noqa: F811
    """Every view, when it is open and filled."""
    browser.open(f"{stack.address}/")
    wait_for(lambda: browser.text("#health") == "healthy", "health")
    for view, filled in VIEWS.items():
        go(browser, view)
        wait_for(lambda filled=filled: bool(browser.run(SHOWN, filled)), f"what {view} shows")  # type: ignore[misc]
        wait_for(lambda: "Loading…" not in browser.text("main"), "the end of loading")
        yield view


SHOWN = "return document.querySelector(arguments[0])?.checkVisibility()"


def test_text_can_be_read_in_both_themes_on_every_view(browser: Browser, stack: Stack) -> None:  # noqa: F811
    for view in look_at(browser, stack):
        for theme in ("light", "dark"):
            with liking(browser, theme):
                chosen = "return document.documentElement.dataset.theme"
                wait_for(lambda chosen=chosen, theme=theme: browser.run(chosen) == theme, theme)  # type: ignore[misc]
                wait_for(lambda: browser.run("return document.getAnimations().length") == 0, "colours that stay")
                assert browser.run(CONTRAST) == {}, (view, theme)


def test_a_chosen_theme_is_remembered(browser: Browser) -> None:  # noqa: F811
    with showing() as site, liking(browser, "light"):
        browser.open(f"http://127.0.0.1:{site.port}/")
        browser.driver.find_element(By.ID, "theme").click()
        dark = browser.run("return getComputedStyle(document.documentElement).backgroundColor")
        browser.driver.get("about:blank")
        browser.open(f"http://127.0.0.1:{site.port}/")
        assert browser.run("return getComputedStyle(document.documentElement).backgroundColor") == dark
        assert browser.run("return document.getElementById('theme').getAttribute('aria-pressed')") == "true"


def test_no_view_scrolls_sideways_on_a_telephone(browser: Browser, stack: Stack) -> None:  # noqa: F811
    browser.telephone()
    for view in look_at(browser, stack):
        assert browser.run("return [innerWidth, document.documentElement.scrollWidth]") == [360, 360], view


def test_everything_is_reached_by_the_keyboard_alone(browser: Browser, stack: Stack) -> None:  # noqa: F811
    browser.open(f"{stack.address}/")
    wait_for(lambda: len(rows(browser)) > 3, "the log")

    def press(key: str) -> str:
        browser.driver.switch_to.active_element.send_keys(key)
        return str(browser.run("return document.activeElement.innerText?.trim() ?? ''"))

    browser.run("document.activeElement.blur()")
    assert press(Keys.TAB) == "Skip to the content"
    press(Keys.ENTER)
    assert browser.run("return document.activeElement.id") == "main"
    assert press(Keys.TAB) == "sample"  # the tile
    seen = [press(Keys.TAB) for _ in range(4)]
    assert "Pause" in seen
    assert browser.run("return document.activeElement.matches('.row')")
    press(Keys.ENTER)
    wait_for(lambda: browser.run("return document.getElementById('event').open"), "the event")
    assert browser.run("return document.activeElement.textContent") == "Close"
    press(Keys.ENTER)
    wait_for(lambda: not browser.run("return document.getElementById('event').open"), "the event closed")
    wait_for(lambda: browser.run("return document.activeElement.matches('.row')"), "the focus back on its line")
    link = browser.driver.find_element(By.LINK_TEXT, "Analysis")
    link.send_keys(Keys.ENTER)
    wait_for(lambda: browser.run("return document.activeElement.id") == "analysis-heading", "the focus on the view")
    names = (
        "return [...document.querySelectorAll('button, input, select, a')].filter((e) => e.checkVisibility() && !("
        "e.textContent.trim() || e.ariaLabel || e.labels?.length)).map((e) => e.outerHTML)"
    )
    assert browser.run(names) == []  # a screen reader has a name for each


def open_anew(browser: Browser, stack: Stack) -> None:  # noqa: F811
    """The page in a browser that has nothing of it yet."""
    browser.driver.get("about:blank")
    browser.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    browser.open(f"{stack.address}/")
    wait_for(lambda: len(rows(browser)) > 3, "the log")


@pytest.mark.speed
def test_the_page_is_quick(browser: Browser, stack: Stack) -> None:  # noqa: F811
    def paint_ms() -> float:
        open_anew(browser, stack)
        return float(browser.run("return performance.getEntriesByName('first-contentful-paint')[0].startTime"))

    measured(lambda: min(paint_ms() for _ in range(3)), below(500))


def test_the_page_is_light_and_steady_and_asks_nobody_else(browser: Browser, stack: Stack) -> None:  # noqa: F811
    open_anew(browser, stack)
    entries = browser.run("""
        const entries = performance.getEntriesByType('resource');
        return entries.map(({ name, encodedBodySize }) => [name, encodedBodySize])""")
    assert [name for name, _ in entries if not name.startswith((stack.address, f"blob:{stack.address}"))] == []
    assert 20_000 < sum(size for name, size in entries if "/static/" in name) < 300_000
    moved = browser.driver.execute_async_script("""
        const done = arguments[0];
        let sum = 0;
        const jumps = ({ sources }) => sources.some(({ node }) => !(node?.parentElement ?? node)?.closest('.log'));
        new PerformanceObserver((list) => list.getEntries().filter(jumps).forEach((entry) => (sum += entry.value)))
            .observe({ type: 'layout-shift', buffered: true });
        setTimeout(() => done(sum), 2000)""")
    assert moved < 0.05


def test_a_label_has_the_colour_that_it_has_in_the_picture(browser: Browser) -> None:  # noqa: F811
    known = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
    labels = [*known, "sitting", "Ähre", "smoking", "face", ""]
    with serve() as site:
        browser.open(f"http://127.0.0.1:{site.port}/")
        got = browser.driver.execute_async_script(
            """
            const [known, labels, done] = arguments;
            Promise.all(['server', 'colours'].map((name) => import(`/static/lib/${name}.js`))).then(
                ([{ server }, { colourOf }]) => {
                    server.about = { labels: known };
                    done(labels.map(colourOf));
                })""",
            known,
            labels,
        )
    expected = ["#" + bytes(reversed(colour_of(label, known))).hex() for label in labels]
    assert got == expected
    assert len(set(got[: len(known)])) == len(known)
