"""Alerts reach their receiver through its failures, its silence and restarts here, and its secrets reach no log."""

from __future__ import annotations

import http.server
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from conftest import wait_for
from framewatch.alerting import webhook as module
from framewatch.alerting.webhook import MAX_TRIES, Webhook
from framewatch.errors import SettingError, StoreUnavailable
from framewatch.model.alert import Alert
from framewatch.model.alert import Webhook as State
from shared import free_port

START_US = 1_795_256_100_400_000


def alert(number: int = 0, **more: Any) -> Alert:
    given = Alert(
        "long sitting", "wärd-2", "sitting", START_US + number, START_US - 60_000_000, 1860.0, "sitting for 31 min"
    )
    return replace(given, webhook="waiting", **more)


class Store:
    """Alerts in memory."""

    def __init__(self, *alerts: Alert) -> None:
        self.alerts = {each.id: each for each in alerts}
        self.away = False
        self.goes_away = False  # with the next mark
        self.looks = 0
        self._lock = threading.Lock()

    def comes_back(self) -> None:
        with self._lock:
            self.goes_away = self.away = False

    def add(self, each: Alert) -> None:
        self.alerts[each.id] = each

    def waiting(self, limit: int = 100) -> list[Alert]:
        if self.away:
            raise StoreUnavailable("the store does not answer")
        found = [each for each in list(self.alerts.values()) if each.webhook == "waiting"][:limit]
        self.looks += 1
        return found

    def mark(self, alert_id: str, webhook: State, attempts: int, error: str) -> None:
        with self._lock:
            self.away = self.away or self.goes_away
        if self.away:
            raise StoreUnavailable("the store does not answer")
        self.alerts[alert_id] = replace(self.alerts[alert_id], webhook=webhook, attempts=attempts, error=error)

    def states(self) -> set[str]:
        return {each.webhook for each in self.alerts.values()}


class Receiver:
    """A real server that answers as told, the last way for ever."""

    def __init__(self) -> None:
        self.answers: list[int | str] = [200]
        self.got: list[tuple[str, dict[str, str], Any]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.got.append((self.path, dict(self.headers), body))
                answer = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                if answer == "hang":
                    receiver.end.wait(30)
                    return
                self.send_response(int(answer))
                if 300 <= int(answer) < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.end = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://some:body@127.0.0.1:{self.server.server_port}/secret-path?token=secret-token"

    def close(self) -> None:
        self.end.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


Start = Callable[..., Webhook]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a webhook that waits for hundredths of seconds where it would wait for seconds."""
    running: list[Webhook] = []

    def make(url: str, store: Store, first_wait_s: float = 0.01, look_s: float = 30) -> Webhook:
        webhook = Webhook(url, store, requests.Session(), first_wait_s, look_s)
        webhook.start()
        running.append(webhook)
        return webhook

    yield make
    for webhook in running:
        webhook.close()


def test_an_alert_is_posted_as_json_with_its_id_as_key(receiver: Receiver, start: Start) -> None:
    store = Store()
    webhook = start(receiver.url, store)
    store.add(alert())
    webhook.wake()
    wait_for(lambda: store.states() == {"sent"}, "the alert sent")
    [(path, headers, body)] = receiver.got
    assert path == "/secret-path?token=secret-token"
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == f"long%20sitting/w%C3%A4rd-2/{START_US}"
    assert headers["Authorization"].startswith("Basic ")
    assert body == {
        "type": "framewatch.alert",
        "id": f"long sitting/wärd-2/{START_US}",
        "rule": "long sitting",
        "stream": "wärd-2",
        "label": "sitting",
        "start": "2026-11-21T10:15:00.400000Z",
        "start_us": START_US,
        "seconds": 1860.0,
        "text": "sitting for 31 min",
    }
    [stored] = store.alerts.values()
    assert (stored.attempts, stored.error) == (1, "")


def test_it_is_posted_again_after_errors_silence_and_redirects_until_it_is_taken(
    receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.3)
    receiver.answers = [500, "hang", 302, 429, 204]
    store = Store(alert())
    start(receiver.url, store)
    wait_for(lambda: len(receiver.got) >= 2, "the silence")
    monkeypatch.setattr(module, "TIMEOUT_S", 30)  # again: what answers is not to be taken for silent
    wait_for(lambda: store.states() == {"sent"}, "the alert sent")
    assert len(receiver.got) == 5
    assert len({headers["Idempotency-Key"] for _, headers, _ in receiver.got}) == 1
    assert {path for path, _, _ in receiver.got} == {"/secret-path?token=secret-token"}  # no redirect was followed


def test_each_wait_is_longer_than_the_last_and_no_longer_than_five_minutes(receiver: Receiver) -> None:
    receiver.answers = [503]
    store, now_s = Store(alert()), 0.0
    webhook = Webhook(receiver.url, store, requests.Session(), clock=lambda: now_s)
    waits = []
    for tries in range(1, MAX_TRIES + 1):
        webhook._round()
        assert len(receiver.got) == tries
        if due_s := list(webhook._due_s.values()):
            waits.append(due_s[0] - now_s)
            now_s = due_s[0] - 0.1
            webhook._round()
            assert len(receiver.got) == tries  # not before its time
            now_s += 0.1
    assert waits == [5, 20, 80, 300, 300, 300, 300]
    webhook.close()


def test_it_is_given_up_after_eight_tries_and_the_log_says_so_without_secrets(
    receiver: Receiver, start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GROWTH", 1)
    receiver.answers = [404]
    store = Store(alert())
    with caplog.at_level(logging.INFO):
        webhook = start(receiver.url, store)
        wait_for(lambda: store.states() == {"failed"}, "the alert given up")
    assert len(receiver.got) == MAX_TRIES
    [stored] = store.alerts.values()
    assert (stored.attempts, stored.error) == (MAX_TRIES, "answered 404")
    assert f"given up: {webhook.masked_url}: answered 404, the last of 8 tries" in caplog.text
    for secret in ("some", "body", "secret"):
        assert secret not in caplog.text.replace("somebody", "")


def test_a_receiver_that_is_not_there_is_named_without_secrets(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(alert())
    port = free_port()
    with caplog.at_level(logging.INFO):
        start(f"http://some:body@127.0.0.1:{port}/secret?token=secret", store, first_wait_s=30)
        wait_for(lambda: [each.attempts for each in store.alerts.values()] == [1], "a try")
    [stored] = store.alerts.values()
    assert (stored.webhook, stored.error) == ("waiting", "no connection")
    assert f"http://127.0.0.1:{port}" in caplog.text
    assert "secret" not in caplog.text
    assert "body" not in caplog.text


def test_one_alert_that_is_refused_keeps_no_other_back(receiver: Receiver, start: Start) -> None:
    receiver.answers = [400, 200]
    store = Store(alert(1), alert(2), alert(3))
    start(receiver.url, store, first_wait_s=60)
    wait_for(lambda: len(receiver.got) == 3, "all tried")
    wait_for(lambda: [a.webhook for a in store.alerts.values()] == ["waiting", "sent", "sent"], "two sent")


def test_more_than_a_hundred_that_wait_are_all_posted(receiver: Receiver, start: Start) -> None:
    store = Store(*(alert(number) for number in range(250)))
    start(receiver.url, store)
    wait_for(lambda: store.states() == {"sent"}, "all sent")
    assert len(receiver.got) == 250


def test_tries_of_an_earlier_process_count(receiver: Receiver, start: Start) -> None:
    receiver.answers = [500]
    store = Store(alert(attempts=MAX_TRIES - 1))
    start(receiver.url, store)
    wait_for(lambda: store.states() == {"failed"}, "the alert given up")
    assert len(receiver.got) == 1


def test_alerts_of_other_processes_are_posted_when_nobody_else_does(receiver: Receiver, start: Start) -> None:
    store = Store()
    start(receiver.url, store, look_s=0.2)
    wait_for(lambda: store.looks > 0, "the first look")
    store.add(alert())  # and nobody wakes this one
    wait_for(lambda: store.states() == {"sent"}, "the alert sent")


def test_an_alert_taken_while_the_store_was_away_is_not_posted_again(receiver: Receiver, start: Start) -> None:
    store = Store(alert())
    store.goes_away = True
    start(receiver.url, store)
    wait_for(lambda: len(receiver.got) == 1 and store.away, "a try")
    time.sleep(0.1)  # in which it would be posted some times more
    assert store.states() == {"waiting"}
    store.comes_back()
    wait_for(lambda: store.states() == {"sent"}, "the alert marked")
    assert len(receiver.got) == 1


def test_closing_takes_two_seconds_at_most_while_a_receiver_hangs(receiver: Receiver, start: Start) -> None:
    receiver.answers = ["hang"]
    store = Store(alert())
    webhook = start(receiver.url, store)
    wait_for(lambda: len(receiver.got) == 1, "a try")
    before_s = time.monotonic()
    webhook.close()
    # It is told to wait two seconds; a busy machine may take longer to wake it, but not as long as the receiver.
    assert module._END_S == 2
    assert time.monotonic() - before_s < 4 < module.TIMEOUT_S
    receiver.end.set()
    assert store.states() == {"waiting"}  # left to the next process


@pytest.mark.parametrize(
    "url", ["ftp://a/secret", "secret", "http://", "http://a:secret/", "http://a/secret b", "//a"]
)
def test_an_address_that_is_none_is_refused_unshown(url: str) -> None:
    with pytest.raises(SettingError, match="expected http") as error:
        Webhook(url, Store(), requests.Session())
    assert "secret" not in str(error.value)
