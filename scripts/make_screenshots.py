"""Pictures of the page for the README: both themes and a telephone, of the real stack on the sample video.

    python scripts/make_screenshots.py [FOLDER]

Writes dashboard-light.png, dashboard-dark.png and dashboard-phone.png, by default into docs/images.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import requests
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from framewatch.ports import choose_port

REPOSITORY = Path(__file__).resolve().parents[1]
MAX_BYTES = 300_000
EVENTS = 200  # that are there before the first picture
PICTURES = (
    ("dashboard-light.png", "light", 1360, 850),
    ("dashboard-dark.png", "dark", 1360, 850),
    ("dashboard-phone.png", "dark", 390, 844),
)


@contextmanager
def stack(folder: Path) -> Iterator[str]:
    """The address of a page with a stream on it, meanwhile."""
    port = choose_port()
    command = [
        sys.executable,
        "-c",
        "from framewatch.cli import main; main()",
        "up",
        str(REPOSITORY / "videos" / "sample.mp4"),
    ]
    options = ["--loop", "--preset", "emotions", "--port", str(port), "--home", str(folder)]
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen([*command, *options], cwd=REPOSITORY, stdout=log, stderr=log)
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for_events(process, address)
            yield address
        finally:
            process.terminate()
            process.wait(60)


def wait_for_events(process: subprocess.Popen[bytes], address: str) -> None:
    """Return once there are enough to look at.

    Raises:
        SystemExit: the stack ended, or took too long.
    """
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if len(requests.get(f"{address}/events?limit={EVENTS}", timeout=5).json()["events"]) >= EVENTS:
                return
        except requests.RequestException:
            pass
        time.sleep(0.5)
    raise SystemExit(f"framewatch up did not come to {EVENTS} events: see its log")


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Chromium without a window.

    Raises:
        SystemExit: there is none.
    """
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        raise SystemExit("no chromium and chromedriver: scripts/install_test_tools.sh installs them")
    options = Options()
    options.binary_location = chromium
    options.page_load_strategy = "none"
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, Service(chromedriver))
    try:
        yield driver
    finally:
        driver.quit()


def picture(driver: webdriver.Chrome, address: str, theme: str, width: int, height: int) -> bytes:
    """The page as a PNG file."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    wanted = [{"name": "prefers-color-scheme", "value": theme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})
    driver.get("about:blank")
    driver.get(f"{address}/")
    wait_until_drawn(driver)
    wait_for_somebody(address)
    return driver.get_screenshot_as_png()


def wait_until_drawn(driver: webdriver.Chrome) -> None:
    """Return once the live picture, the log and its first crops are there.

    Raises:
        SystemExit: they did not come.
    """
    drawn = """
        const crops = [...document.querySelectorAll('[data-view=live] .row img')].slice(0, 5);
        return crops.length === 5 && crops.every((crop) => crop.naturalWidth)
            && document.querySelector('#wall img.live')?.naturalWidth > 0
            && document.querySelector('#lately .band') !== null"""
    deadline = time.monotonic() + 60
    while not driver.execute_script(drawn):
        if time.monotonic() > deadline:
            raise SystemExit("the page was not drawn within 60 s")
        time.sleep(0.1)


def wait_for_somebody(address: str) -> None:
    """Return a second after somebody came into the picture, who stays for three."""
    there_since_s = 0.0
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        newest = requests.get(f"{address}/events?limit=1", timeout=5).json()["events"]
        now_s = time.monotonic()
        if not newest or time.time() - newest[0]["time_us"] / 1e6 > 0.3 or newest[0]["confidence"] < 0.8:
            there_since_s = 0.0
        elif not there_since_s:
            there_since_s = now_s
        elif now_s - there_since_s > 1:
            return
        time.sleep(0.1)


def smaller(png: bytes) -> bytes:
    """The same picture in at most 300 kB: with fewer shades where it must be.

    Raises:
        SystemExit: it cannot be made so small.
    """
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    for step in (1, 4, 8, 12, 16):
        shades = np.clip((image.astype(np.int32) + step // 2) // step * step, 0, 255).astype(np.uint8)
        data = cv2.imencode(".png", shades, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
        if len(data) < MAX_BYTES:
            return data
    raise SystemExit(f"the picture has {len(data)} bytes: expected less than {MAX_BYTES}")


def main() -> None:
    """Make the pictures."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs" / "images"
    target.mkdir(parents=True, exist_ok=True)
    os.environ.pop("FRAMEWATCH_HOME", None)
    with tempfile.TemporaryDirectory() as folder, stack(Path(folder)) as address, browser() as driver:
        for name, theme, width, height in PICTURES:
            data = smaller(picture(driver, address, theme, width, height))
            (target / name).write_bytes(data)
            print(f"{target / name}: {len(data) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
