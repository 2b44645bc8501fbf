"""What people do on the page, in a real browser over a real worker, broker and store."""

from __future__ import annotations

import base64
import csv
import math
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import pytest
import requests
from confluent_kafka import TopicPartition
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from conftest import Services, wait_for
from framewatch.kafka.clients import make_admin
from framewatch.vision.jpeg import encode_jpeg
from running import DROP, RULES, Stack, go, newest, rows, running, wait_newer
from test_browser import Browser, browser, chrome, sample_frames  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def stack(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    rules = folder / "rules.yaml"
    rules.write_text(RULES.format(label="happy"))
    with running(services, folder, "--preset", "emotions", "--rules", rules) as stack:
        yield stack


def opened(browser: Browser, stack: Stack) -> Browser:  # noqa: F811
    browser.driver.set_window_size(1400, 900)
    browser.open(f"{stack.address}/")
    wait_for(lambda: browser.text("#health") == "healthy", "health")
    return browser


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Browser:  # noqa: F811
    return opened(browser, stack)


def portrait() -> bytes:
    """A frame with the largest face."""
    return encode_jpeg(next(islice(sample_frames(), 60, None)))


FRAMES = 40


@pytest.fixture(scope="module")
def guest(stack: Stack, clip: Path) -> str:
    """A stream that has come and is over."""
    assert stack.produce("--stream", "guest", "--fps", "max", source=clip).wait(120) == 0
    return "guest"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short video of the sample's middle, with a face in each frame."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    images = list(islice(sample_frames(), 50, 50 + FRAMES))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 20, images[0].shape[1::-1])
    for image in images:
        writer.write(image)
    writer.release()
    return path


def only_misses_what_was_deleted(page: Browser) -> bool:
    """Whether nothing is in the console but pictures that were deleted while the page was asking for them."""
    page.driver.get("about:blank")  # which asks for nothing more
    wait_for(lambda: page.run("return location.href") == "about:blank", "the end of its questions")
    return all(("/crop.jpg" in line or "/snapshot/" in line) and "404" in line for line in page.complaints())


def drop(page: Browser, data: bytes, name: str, kind: str) -> None:
    page.run(DROP, base64.b64encode(data).decode(), name, kind)


def test_the_picture_moves_and_events_arrive_in_the_log_by_themselves(page: Browser, stack: Stack) -> None:
    wait_for(lambda: page.width() == 640 and page.moves(), "the picture")
    wait_for(lambda: len(rows(page)) > 3, "the log")
    wait_newer(page, newest(page))
    shown = {row["id"] for row in rows(page)[:20]}
    assert shown <= {event["id"] for event in stack.events()}  # asked for afterwards: the log moves on
    crops = (
        "return [...document.querySelectorAll('[data-view=live] .row img')].slice(0, 3).map((i) => i.naturalWidth)"
    )
    wait_for(lambda: min(page.run(crops)) > 10, "the crops")
    wait_for(lambda: "emotions" in page.text("#wall .preset"), "the preset")
    figures = re.compile(r"\d frames/s · lag \d+ · latency ")
    wait_for(lambda: figures.search(page.text("#wall .figures")) is not None, "the figures")


PILL = "[data-view=live] .pill:not([hidden])"


def test_the_log_stands_still_for_who_reads_further_down(browser: Browser, stack: Stack) -> None:  # noqa: F811
    # The log begins with the newest that are stored; after that each label comes once a second at most.
    wait_for(lambda: len(stack.ask("/events", limit=25)["events"]) == 25, "more events than there is place for")
    page = opened(browser, stack)
    wait_for(lambda: len(rows(page)) >= 25, "the log")
    page.run("document.querySelector('[data-view=live] .scroller').scrollTop = 300")
    assert page.run("return document.querySelector('[data-view=live] .scroller').scrollTop") == 300
    before = rows(page)
    wait_for(lambda: page.text(PILL).endswith("new"), "word of what is new")
    assert rows(page) == before
    page.run("document.querySelector('[data-view=live] .pill').click()")
    wait_newer(page, before[0]["id"])
    assert page.run("return document.querySelector('[data-view=live] .scroller').scrollTop") == 0
    page.run("document.querySelector('[data-view=live] .log button').click()")
    before = rows(page)
    wait_for(lambda: page.text(PILL).endswith("new"), "word of what came while it is paused")
    assert rows(page) == before


def test_filters_hold_for_what_is_stored_and_for_what_comes_and_stay_in_the_address(
    page: Browser, stack: Stack
) -> None:
    labels = Counter(event["label"] for event in stack.ask("/events", limit=200)["events"])
    label = labels.most_common(1)[0][0]  # one that comes again soon
    go(page, "#/events")
    field = page.driver.find_element(By.CSS_SELECTOR, "[data-view=events] input[aria-label=Label]")
    field.send_keys(label + Keys.ENTER)
    wait_for(lambda: f"label={label}" in page.driver.current_url, "the filter in the address")
    link = "return document.querySelector('[data-view=events] .downloads a').href"
    wait_for(lambda: f"label={label}" in page.run(link), "the filter in the log")
    wait_for(lambda: len(rows(page, "events")) > 3, "the filtered log")
    wait_newer(page, newest(page, "events"), "events")
    shown = rows(page, "events")
    assert {row["label"] for row in shown} == {label}
    least = math.floor(1e4 * sorted(float(row["confidence"]) for row in shown)[-3]) / 1e4
    go(page, f"#/events?label={label}&min_confidence={least:.4f}&since=1h")

    def surest() -> bool:
        confidences = [float(row["confidence"]) for row in rows(page, "events")]
        return bool(confidences) and min(confidences) >= least - 1e-4

    wait_for(surest, "the surest alone")
    go(page, "#/events?label=nobody")
    wait_for(lambda: "No events match" in page.text("[data-view=events] .state"), "words about none")


def test_an_event_opens_by_the_keyboard_with_crop_scores_and_the_whole_frame_from_kafka(page: Browser) -> None:
    wait_for(lambda: len(rows(page)) > 3, "the log")
    row = page.driver.find_element(By.CSS_SELECTOR, "[data-view=live] .row")
    page.run("arguments[0].focus({ focusVisible: true })", row)
    event = page.run("return arguments[0].parentElement.dataset.id", row)
    row.send_keys(Keys.ENTER)
    wait_for(
        lambda: page.run("return document.querySelector('.whole img:not([hidden])')?.naturalWidth") == 640,
        "the whole frame",
    )
    crop = "return document.querySelector('#event img.crop')?.naturalWidth ?? 0"
    wait_for(lambda: int(page.run(crop)) > 10, "the crop")
    meters = page.run("return [...document.querySelectorAll('#event meter')].map((meter) => meter.value)")
    assert len(meters) == 5
    assert meters == sorted(meters, reverse=True)
    inside = page.run("""
        const placeOf = (selector) => document.querySelector(selector).getBoundingClientRect();
        const [frame, box] = ['.whole img', '.whole .box'].map(placeOf);
        return box.width && frame.x - 1 < box.x && box.right < frame.right + 1
            && frame.y - 1 < box.y && box.bottom < frame.bottom + 1""")
    assert inside  # to a pixel: a face may be at the edge of the frame
    assert f"#{event.split('/')[2]} of run" in page.text("#event .facts")
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    below = [one["id"] for one in rows(page)]
    assert page.run("return document.querySelector('#event').dataset.id") == below[below.index(event) + 1]
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    focused = "return document.activeElement.parentElement?.dataset.id"
    wait_for(lambda: page.run(focused) == event, "the focus back where it was")


def test_a_field_of_an_event_that_the_page_has_no_place_for_stands_among_its_facts(
    page: Browser, stack: Stack
) -> None:
    wait_for(lambda: len(rows(page)) > 0, "the log")
    (event,) = stack.ask("/events", limit=1)["events"][:1]
    page.run(
        "import('/static/parts/event-dialog.js').then(({ openEvent }) => openEvent(arguments[0]))",
        event | {"mood": "calm", "glasses": None},
    )
    wait_for(lambda: "calm" in page.text("#event .facts"), "the fact")
    names = page.run("return [...document.querySelectorAll('#event .facts dt')].map((name) => name.textContent)")
    assert [*names] == ["Stream", "Time", "Frame", "Model", "Box", "Kafka", "mood"]
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)


def test_the_browsers_way_back_closes_an_opened_event(page: Browser) -> None:
    go(page, "#/events")
    wait_for(lambda: len(rows(page, "events")) > 3, "the log")
    page.run("document.querySelector('[data-view=events] .row').click()")
    assert page.run("return document.querySelector('#event').open")
    page.driver.back()
    wait_for(lambda: not page.run("return document.querySelector('#event').open"), "its end")
    assert page.run("return document.querySelector('[data-view=events]').hidden")


def test_a_period_that_is_not_in_the_list_is_kept_by_the_form(page: Browser) -> None:
    go(page, "#/events?since=2h")
    chosen = "const [choice] = document.querySelectorAll('[data-view=events] select'); "
    assert page.run(f"{chosen} return [choice.value, choice.selectedOptions[0].text]") == ["2h", "last 2h"]
    label = page.driver.find_element(By.CSS_SELECTOR, "[data-view=events] input[aria-label=Label]")
    label.send_keys("sad" + Keys.ENTER)
    wait_for(lambda: "label=sad" in page.driver.current_url, "the filter")
    assert "since=2h" in page.driver.current_url


def test_a_frame_that_kafka_keeps_no_more_says_so(page: Browser, stack: Stack) -> None:
    event = stack.ask("/events", limit=1)["events"][0]
    admin = make_admin(stack.services.endpoints.kafka, {})
    until = TopicPartition(stack.name, event["partition"], event["offset"] + 1)
    admin.delete_records([until])[until].result(60)
    # With an end, so that it is among the newest of the log however many have come meanwhile.
    end = datetime.fromisoformat(event["timestamp"]) + timedelta(milliseconds=1)
    go(page, f"#/events?stream={event['stream']}&until={quote(end.isoformat())}")
    find = "[...document.querySelectorAll('[data-view=events] li')].find((li) => li.dataset.id === arguments[0])"
    wait_for(lambda: page.run(f"return {find} !== undefined", event["id"]), "the event in the log")
    page.run(f"{find}.firstChild.click()", event["id"])
    wait_for(lambda: "not available" in page.text(".whole figcaption"), "why there is no frame")
    assert "Kafka" in page.text(".whole figcaption")
    page.complains_of("410")


def test_a_dropped_picture_gets_its_five_best_at_once_and_is_kept_in_the_history(page: Browser, stack: Stack) -> None:
    data = portrait()
    drop(page, data, "face.jpg", "image/jpeg")
    wait_for(lambda: page.text("#history li h3") != "", "the answer")
    expected = requests.post(f"{stack.address}/predict", files={"file": data}, timeout=30).json()
    best = expected["all_predictions"][:5]
    said = page.run("return [...document.querySelectorAll('#history dt')].map((name) => name.textContent)")
    assert said == [score["action"] for score in best]
    assert page.text("#history li h3") == f"{best[0]['action']} {100 * best[0]['confidence']:.1f} %"
    assert page.run("return document.querySelectorAll('#history rect.box').length") == len(expected["detections"])
    assert "face.jpg" in page.text("#history li")


def test_a_dropped_video_becomes_a_stream_whose_events_are_found(page: Browser, stack: Stack, clip: Path) -> None:
    drop(page, clip.read_bytes(), "<b>my clip</b>.mp4", "video/mp4")
    wait_for(lambda: "#/uploads/" in page.driver.current_url, "its own page")
    wait_for(lambda: page.text("[data-view=uploads] .state").startswith("Done"), "the end", 90)
    assert page.text("#upload-heading") == "<b>my clip</b>.mp4"
    stream = page.driver.current_url.rpartition("/")[2]
    stored = stack.ask("/events", stream=stream, limit=50)["events"]
    assert stored
    wait_for(lambda: len(rows(page, "uploads")) == len(stored), "its events")
    assert {row["id"] for row in rows(page, "uploads")} == {event["id"] for event in stored}
    bands = "return document.querySelectorAll('[data-view=uploads] .band rect').length"
    wait_for(lambda: page.run(bands) > 0, "its episodes")
    alerts = stack.ask("/alerts", stream=stream)["alerts"]
    assert alerts and all(alert["until"] is not None for alert in alerts)  # nobody waits for another frame of it
    go(page, "#/live")
    wait_for(lambda: page.text("#wall .name") == "sample" and page.width() == 640, "the wall without it")
    page.driver.back()
    wait_for(lambda: page.text("#upload-heading") == "<b>my clip</b>.mp4", "its page again")
    page.run("document.querySelector('[data-view=uploads] .remove').click()")
    page.driver.find_element(By.CSS_SELECTOR, "#confirm button[value=yes]").click()
    wait_for(lambda: page.driver.current_url.endswith("#/try"), "the way back")
    assert stack.ask("/events", stream=stream)["events"] == []
    assert only_misses_what_was_deleted(page)


def test_the_download_has_the_rows_that_the_api_has(page: Browser, stack: Stack, tmp_path: Path) -> None:
    # Not until the newest one: there may be another of its frame, which is being stored.
    until = stack.ask("/events", limit=30)["events"][-1]["timestamp"]
    expected = stack.events(until=until)
    assert expected
    folder = {"behavior": "allow", "downloadPath": str(tmp_path), "eventsEnabled": False}
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", folder)
    go(page, f"#/events?until={quote(until)}")
    link = "[data-view=events] .downloads a"
    wait_for(
        lambda: "until=" in (page.run("return document.querySelector(arguments[0])?.href", link) or ""), "the link"
    )
    page.driver.find_element(By.CSS_SELECTOR, link).click()
    wait_for(lambda: any(tmp_path.glob("*.csv")), "the file")
    with next(tmp_path.glob("*.csv")).open(newline="", encoding="utf-8-sig") as file:
        got = list(csv.DictReader(file))
    assert [(row["stream"], row["label"], int(row["frame"])) for row in got] == [
        (event["stream"], event["label"], event["frame"]) for event in expected
    ]


def test_everything_comes_back_after_the_server_was_away(page: Browser, stack: Stack) -> None:
    wait_for(lambda: len(rows(page)) > 3, "the log")
    worker = stack.worker
    assert worker is not None
    worker.terminate()
    worker.wait(60)
    wait_for(lambda: page.text("#health").startswith("Disconnected since "), "word of the server's end")
    before = rows(page)
    assert len(before) > 3  # what was there is still read
    stack.consume()
    wait_for(lambda: page.text("#health") == "healthy", "health again")
    wait_for(lambda: page.width() == 640 and page.moves(), "the picture again", 90)
    wait_newer(page, before[0]["id"])


def test_the_analysis_shows_shares_and_a_timeline_that_leads_to_the_events(page: Browser) -> None:
    go(page, "#/analysis?since=15m")
    wait_for(
        lambda: page.run("return document.querySelectorAll('[data-view=analysis] .band rect').length") > 0, "bands"
    )
    assert " events by label" in page.text(".stats")
    assert "Time on sample" in page.text(".stats")
    page.run("document.querySelector('[data-view=analysis] .band a').dispatchEvent(new MouseEvent('click'))")
    wait_for(lambda: "#/events?stream=sample&label=" in page.driver.current_url, "the events of a stretch")
    wait_for(lambda: len(rows(page, "events")) > 0, "their log")


def test_alerts_are_counted_and_shown_with_their_rule(page: Browser, stack: Stack) -> None:
    wait_for(lambda: stack.ask("/alerts")["alerts"] != [], "an alert", 90)
    go(page, "#/alerts")
    wait_for(lambda: "anybody at all" in page.text(".rules"), "the rule")
    rules = page.run("return [...document.querySelectorAll('.rules li')].map((item) => item.textContent)")
    assert rules == [f"{rule['name']}: {rule['text']}" for rule in stack.ask("/rules")["rules"]]

    def alike() -> bool:  # asked again and again: they come and end meanwhile
        alerts: list[dict[str, Any]] = stack.ask("/alerts", limit=200)["alerts"]
        lasting = [alert["text"] for alert in alerts if alert["until"] is None]
        over = [alert["text"] for alert in alerts if alert["until"] is not None]
        shown = page.run("return [...document.querySelectorAll('.alerts li p:first-child')].map((p) => p.innerText)")
        count = page.run(
            "const badge = document.querySelector('#open-alerts'); return !badge.hidden && badge.innerText"
        )
        return bool(alerts) and shown == lasting + over and int(count or 0) == len(lasting)

    wait_for(alike, "each alert, those that last first, and how many last")


def test_the_webcam_is_looked_at_several_times_a_second_until_it_is_stopped(page: Browser) -> None:
    go(page, "#/try")
    page.driver.find_element(By.ID, "webcam").click()

    def rate() -> float:
        return float((re.findall(r"([\d.]+) images/s", page.text("#camera-figures")) or ["0"])[0])

    wait_for(lambda: rate() >= 2, "several images a second")
    page.driver.find_element(By.ID, "webcam").click()
    wait_for(lambda: page.run("return document.querySelector('#camera video').srcObject") is None, "its end")
    wait_for(lambda: "webcam" in page.text("#history li"), "its last picture in the history")


def test_a_webcam_that_is_allowed_too_late_is_let_go(page: Browser) -> None:
    go(page, "#/try")
    page.run("""
        const media = navigator.mediaDevices;
        const ask = media.getUserMedia.bind(media);
        media.getUserMedia = async (wanted) => {
            const given = await ask(wanted);
            await new Promise((resolve) => (window.allow = resolve));
            window.given = given;
            return given;
        }""")
    page.driver.find_element(By.ID, "webcam").click()
    wait_for(lambda: page.run("return 'allow' in window"), "the question for permission")
    go(page, "#/live")
    page.run("window.allow()")
    ended = "return window.given?.getTracks().every((track) => track.readyState === 'ended')"
    wait_for(lambda: page.run(ended), "the camera's end")
    assert page.run("return document.querySelector('#camera video').srcObject") is None
    asked = "return performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/predict')).length"
    assert page.run(asked) == 0


# Whatever the page asks for is held until it is let go.
HOLD = """
    const ask = window.fetch;
    const allowed = new Promise((resolve) => (window.allow = resolve));
    window.fetch = async (...question) => {
        await allowed;
        return ask(...question);
    }"""


def test_a_picture_that_is_dropped_before_the_server_is_known_is_answered_then(page: Browser, stack: Stack) -> None:
    page.driver.get("about:blank")
    held = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": HOLD})
    try:
        page.driver.get(stack.address)
        ready = "return location.href !== 'about:blank' && document.readyState === 'complete'"
        wait_for(lambda: page.run(ready), "the page, whose questions take their time")
        drop(page, portrait(), "early.jpg", "image/jpeg")
        assert page.text("#said") == "Waiting for the server…"
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", held)
    page.run("window.allow()")
    wait_for(lambda: "early.jpg" in page.text("#history"), "its answer")


def test_a_period_without_a_start_or_an_end_deletes_nothing(page: Browser, stack: Stack) -> None:
    page.run("document.querySelector('footer details').open = true")
    page.run("""
        const choice = document.querySelector('#erase select');
        choice.value = 'between';
        choice.dispatchEvent(new Event('change'))""")
    page.driver.find_element(By.CSS_SELECTOR, "#erase .danger").click()
    assert "Choose a start" in page.text("#erase [role=status]")
    assert not page.run("return document.querySelector('#confirm').open")
    assert stack.ask("/events")["events"] != []


def test_an_alert_whose_stream_stands_still_says_so(page: Browser, stack: Stack, guest: str) -> None:
    wait_for(lambda: any(a["until"] is None for a in stack.ask("/alerts", stream=guest)["alerts"]), "its alert", 120)
    go(page, "#/alerts")
    said = "return [...document.querySelectorAll('.alert.open .ongoing')].map((state) => state.textContent)"
    wait_for(lambda: any("ongoing · no new frames for " in words for words in page.run(said)), "that it stands still")


def test_events_of_a_stream_are_deleted_from_the_footer(page: Browser, stack: Stack, guest: str) -> None:
    def last() -> int:
        return max((event["frame"] for event in stack.ask("/events", stream=guest, limit=200)["events"]), default=-1)

    # All of them: what is stored after the deletion would be there again.
    wait_for(lambda: last() == FRAMES - 1, "its events", 120)
    assert "kept for 30 days" in page.text("#privacy")
    page.run("document.querySelector('footer details').open = true")
    page.driver.find_element(By.CSS_SELECTOR, "#erase input").send_keys(guest)
    page.driver.find_element(By.CSS_SELECTOR, "#erase .danger").click()
    assert "the stream guest" in page.text("#confirm")
    page.driver.find_element(By.CSS_SELECTOR, "#confirm button[value=yes]").click()
    wait_for(lambda: page.text("#erase [role=status]").startswith("Deleted: "), "word of it")
    assert stack.ask("/events", stream=guest)["events"] == []
    assert stack.ask("/events", stream="sample")["events"] != []
    assert only_misses_what_was_deleted(page)
