"""The page in a real browser, over a real worker: it shows what comes, and gets over a server that was away."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from conftest import SAMPLE, Command, wait_for
from framewatch.ports import accepts
from framewatch.vision.annotate import colour_of
from framewatch.vision.classifier import Image
from framewatch.vision.jpeg import encode_jpeg
from shared import free_port
from test_web import Site, serve

# The moving picture: on the wall, on the page of its stream, or by itself at its own address.
PICTURE = "#wall img.live, [data-view=stream]:not([hidden]) img.live, body > img"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",  # a camera that is let in at once
)  # fmt: skip


class Browser:
    """Headless Chromium at one page."""

    def __init__(self, chromium: str, chromedriver: str, profile: Path) -> None:
        options = Options()
        options.binary_location = chromium
        options.page_load_strategy = "none"  # a bare live picture never comes to the end of its loading
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, Service(chromedriver))

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.quit()

    def open(self, address: str) -> None:
        self.driver.get(address)
        ready = "return document.URL === arguments[0] && document.documentElement?.dataset.paths !== undefined"
        wait_for(lambda: bool(self.run(ready, address)), "the page")

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def width(self) -> int:
        """Of the picture itself, 0 before there is one."""
        return int(self.run("return document.querySelector(arguments[0])?.naturalWidth ?? 0", PICTURE))

    def shown(self) -> Image | None:
        """The picture as it can be seen now, if there is one.

        No screenshot: that waits for a moment in which nothing moves, which on a busy machine may not come.
        """
        script = """
            const image = document.querySelector(arguments[0]);
            if (!image?.naturalWidth || !image.checkVisibility({ visibilityProperty: true })) return null;
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            canvas.getContext('2d').drawImage(image, 0, 0);
            return canvas.toDataURL('image/png').split(',')[1]"""
        png = self.run(script, PICTURE)
        if png is None:
            return None
        decoded = cv2.imdecode(np.frombuffer(base64.b64decode(png), np.uint8), cv2.IMREAD_COLOR)
        return np.asarray(decoded, np.uint8)

    def place(self) -> dict[str, float]:
        """Where the picture is on the wall, or will be."""
        script = """
            const places = [...document.querySelectorAll('[data-view=live] .picture')];
            return places.find((place) => place.offsetParent).getBoundingClientRect().toJSON()"""
        return dict(self.run(script))

    def telephone(self) -> None:
        """A small screen from now on, until the end of the test."""
        metrics = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def moves(self) -> bool:
        before = self.shown()
        time.sleep(0.3)
        after = self.shown()
        if before is None or after is None:
            return False
        return before.shape == after.shape and bool((before != after).any())

    def complaints(self) -> list[str]:
        """Errors in the console since the last time, but for requests that a server did not answer."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's own gap
        messages = [str(entry["message"]) for entry in entries if entry["level"] in ("SEVERE", "WARNING")]
        return [text for text in messages if "net::ERR_" not in text and "503" not in text]

    def complains_of(self, part: str) -> None:
        """Wait until the console has the line that it writes of itself some time after the page has its answer."""
        said: list[str] = []

        def told() -> bool:
            said.extend(self.complaints())
            return bool(said)

        wait_for(told, f"{part} in the console")
        assert all(part in line for line in said), said


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("no chromium and chromedriver: scripts/install_test_tools.sh installs them")
    with Browser(chromium, chromedriver, tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chrome: Browser) -> Iterator[Browser]:
    chrome.driver.set_window_size(900, 800)
    chrome.complaints()  # of the test before, which may have failed
    yield chrome
    chrome.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert chrome.complaints() == []
    chrome.driver.get("about:blank")


@contextmanager
def showing(max_viewers: int = 8) -> Iterator[Site]:
    """A site with a picture that is another one each time."""
    images = [encode_jpeg(np.full((360, 640, 3), shade, np.uint8)) for shade in range(0, 250, 10)]
    with serve(max_viewers) as site, site.publishing(images, fps=20):
        yield site


FILTER = "return getComputedStyle(document.querySelector(arguments[0])).filter"


def box_pixels(image: Image | None) -> int:
    """How many have the colour of a face's box."""
    if image is None:
        return 0
    colour = np.array(colour_of("face", ["face"]), int)
    return cv2.countNonZero(cv2.inRange(image, np.maximum(colour - 24, 0), np.minimum(colour + 24, 255)))


def test_the_page_shows_what_comes_and_gets_over_a_server_that_was_away(
    browser: Browser, framewatch: Command, topic: str, database_name: str
) -> None:
    port = free_port()
    options = ("--topic", topic, "--group", topic, "--database", database_name, "--port", port, "--quiet")

    def consume() -> subprocess.Popen[str]:
        worker = framewatch("consume", *options)
        wait_for(lambda: accepts(port), "the web server")
        return worker

    consumer = consume()
    browser.open(f"http://127.0.0.1:{port}/")
    wait_for(lambda: browser.text("#health") == "healthy", "health")
    assert "No stream yet" in browser.text("main")
    assert browser.width() == 0
    place = browser.place()

    framewatch("produce", SAMPLE, "--loop", "--fps", 8, "--topic", topic)
    wait_for(lambda: browser.width() == 640, "the picture")
    assert browser.place() == place  # nothing jumped
    wait_for(browser.moves, "a picture that moves")
    assert browser.text("#wall .name") == "sample"
    assert "No stream yet" not in browser.text("main")
    wait_for(lambda: browser.text("#wall .seen") == "face", "a face on its tile")
    wait_for(lambda: box_pixels(browser.shown()) > 300, "a box in the picture")
    assert max(map(box_pixels, sample_frames())) < 100  # as they were sent
    assert browser.complaints() == []

    consumer.terminate()
    assert consumer.wait(60) == 0
    wait_for(lambda: browser.text("#health").startswith("Disconnected since "), "word of the server's end")
    said = browser.text("#health")
    time.sleep(1.5)
    assert browser.text("#health") == said  # since when, not until when
    assert "grayscale" in browser.run(FILTER, PICTURE)

    consume()
    wait_for(lambda: browser.text("#health") == "healthy", "health again")
    wait_for(lambda: browser.width() == 640 and browser.moves(), "a picture that moves again")
    wait_for(lambda: browser.run(FILTER, PICTURE) == "none", "its colours")

    browser.driver.find_element(By.LINK_TEXT, "sample").click()
    wait_for(lambda: browser.driver.current_url.endswith("/#/stream/sample"), "the stream's own page")
    wait_for(lambda: browser.width() == 640 and browser.moves(), "the stream's picture")


def sample_frames() -> Iterator[Image]:
    capture = cv2.VideoCapture(str(SAMPLE))
    while True:
        got, image = capture.read()
        if not got:
            break
        yield np.asarray(image, np.uint8)
    capture.release()


def test_a_picture_that_was_cut_off_comes_back_while_the_server_was_there_all_the_time(browser: Browser) -> None:
    with showing() as site:
        browser.open(f"http://127.0.0.1:{site.port}/")
        wait_for(browser.moves, "the picture")
        cut = set(site.server.connections)
        for connection in cut:
            connection.cut()
        # Not that nobody watches: the page may have asked again before the end of the first is noticed.
        wait_for(lambda: cut.isdisjoint(site.server.connections), "the end of all that was cut")
        wait_for(lambda: browser.width() == 640 and browser.moves(), "the picture again")
        wait_for(lambda: browser.text("#health") == "healthy", "health, whose question may have been cut off too")


def test_without_a_place_the_page_says_so_and_takes_one_when_it_is_free(browser: Browser) -> None:
    with showing(max_viewers=1) as site:
        with site.open("/video"):
            browser.open(f"http://127.0.0.1:{site.port}/")
            wait_for(lambda: "No picture" in browser.text("#wall .picture"), "word of it")
        wait_for(lambda: browser.width() == 640 and browser.moves(), "the picture")
        wait_for(lambda: browser.text("#wall .picture") == "", "the end of the message")


# Which frame each tile is at, written at each look at the server.
FRAMES = (
    "return [...document.querySelectorAll('#wall .figures')].map((figures) => figures.title.split(',')[0]).join()"
)


def test_it_fits_a_telephone_and_goes_by_the_keyboard(browser: Browser) -> None:
    with showing() as site, ExitStack() as more:
        for name in ("b" * 64, "front door", "Ähre @home"):
            more.enter_context(site.publishing([encode_jpeg(np.zeros((48, 64, 3), np.uint8))], fps=5, stream=name))
        browser.telephone()
        browser.open(f"http://127.0.0.1:{site.port}/")
        wait_for(lambda: browser.run("return document.querySelectorAll('#wall li').length") == 4, "the streams")
        assert browser.run("return [innerWidth, document.documentElement.scrollWidth]") == [360, 360]
        names = browser.run("return [...document.querySelectorAll('#wall .name')].map((a) => a.textContent)")
        assert names == sorted(names)
        # The focus stays on a link although the wall is brought up to date each second.
        browser.run("document.getElementById('theme').focus()")
        for expected in names[:2]:
            browser.driver.switch_to.active_element.send_keys(Keys.TAB)
            was = browser.run(FRAMES)
            wait_for(lambda was=was: browser.run(FRAMES) != was, "a wall brought up to date")  # type: ignore[misc]
            assert browser.run("return document.activeElement.textContent") == expected
        browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
        wait_for(lambda: browser.driver.current_url.endswith("/#/stream/cam"), "the stream's own page")
        wait_for(lambda: browser.text("#stream-heading") == "cam", "its name")
        wait_for(lambda: browser.width() == 640 and browser.moves(), "the stream's picture")


def test_many_streams_share_few_connections_and_all_keep_moving(browser: Browser) -> None:
    browser.driver.set_window_size(1500, 1000)
    with serve(16) as site, ExitStack() as more:
        for number in range(10):
            images = [encode_jpeg(np.full((180, 320, 3), shade, np.uint8)) for shade in range(0, 250, 25)]
            more.enter_context(site.publishing(images, fps=10, stream=f"s{number}"))
        browser.open(f"http://127.0.0.1:{site.port}/")
        shown = "return [...document.querySelectorAll('#wall canvas')].map((canvas) => canvas.dataset.shown)"
        wait_for(lambda: len(browser.run(shown)) == 10, "the wall")
        browser.run("document.getElementById('wall').scrollIntoView()")
        seen = "return [...document.querySelectorAll('#wall canvas')].filter((canvas) => canvas.dataset.shown).length"
        wait_for(lambda: int(browser.run(seen)) >= 6, "the pictures on the screen")
        before = browser.run(shown)

        def moved() -> int:
            return sum(old is not None and old != new for old, new in zip(before, browser.run(shown), strict=True))

        wait_for(lambda: moved() >= 6, "those on the screen moving")
        assert site.hub.viewers == 0  # a live picture has a connection of its own, and a browser has six


def test_a_hidden_page_gives_its_connections_back_and_takes_them_again(browser: Browser) -> None:
    with showing() as site:
        browser.open(f"http://127.0.0.1:{site.port}/")
        wait_for(lambda: site.hub.viewers == 1, "the viewer")
        page = browser.driver.current_window_handle
        browser.driver.switch_to.new_window("tab")
        wait_for(lambda: site.hub.viewers == 0, "the viewer gone")
        browser.driver.close()
        browser.driver.switch_to.window(page)
        wait_for(lambda: site.hub.viewers == 1, "the viewer again")
        wait_for(lambda: browser.width() == 640 and browser.moves(), "the picture")
