"""Alerts posted to an address of the operator's, each until it is taken or given up.

What is to be posted stands in the store, so an alert is posted at least once whatever dies; its ``Idempotency-Key``
is the alert's id, by which the receiver knows one that it was sent before.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol
from urllib.parse import quote, urlsplit

import requests

from framewatch.errors import SettingError, StoreUnavailable
from framewatch.model.alert import Alert
from framewatch.model.times import written

_log = logging.getLogger(__name__)

TIMEOUT_S: Final = 5.0
MAX_TRIES: Final = 8
_LONGEST_WAIT_S: Final = 300.0
_GROWTH: Final = 4  # of the wait after each try: 5 s, 20 s, 80 s, then 5 min; given up after 22 min
_LOOK_S: Final = 30.0  # for alerts that another process was to post and did not
_MOST_AT_ONCE: Final = 100
_END_S: Final = 2.0

State = Literal["waiting", "sent", "failed"]


class Alerts(Protocol):
    """Where alerts are: see storage.alerts.AlertStore."""

    def waiting(self, limit: int = 100) -> list[Alert]: ...  # noqa: D102

    def mark(self, alert_id: str, webhook: State, attempts: int, error: str) -> None: ...  # noqa: D102


class Webhook:
    """One thread that posts alerts as JSON, one at a time."""

    def __init__(
        self,
        url: str,
        store: Alerts,
        session: requests.Session,
        first_wait_s: float = 5.0,
        look_s: float = _LOOK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start nothing yet.

        Args:
            url: where to post to, http://… or https://…; a user and password in it are sent as basic authentication.
            store: gives the alerts that wait, and is told what became of each.
            session: posts; this class closes it.
            first_wait_s: from the first try to the second; each later wait is four times as long, up to 5 min.
            look_s: an alert of another process is posted when it still waits so long after it was first seen.
            clock: seconds that never jump.

        Raises:
            SettingError: the address cannot be one; it is not shown, since there may be secrets in it.
        """
        self._url = url
        self.shown = shown_address(url)
        self._store = store
        self._session = session
        self._first_wait_s = first_wait_s
        self._look_s = look_s
        self._clock = clock
        self._due_s: dict[str, float] = {}  # of the alerts that wait, as far as they were seen waiting
        self._unmarked: dict[str, tuple[State, int, str]] = {}  # known here, and not yet in the store
        self._new = True  # what waits at the start, an earlier process left behind
        self._store_away = False
        self._awake = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)

    def start(self) -> None:
        """Begin to post, also what earlier processes left waiting."""
        self._thread.start()

    def wake(self) -> None:
        """There is a new alert in the store: post it now."""
        self._new = True
        self._awake.set()

    def close(self) -> None:
        """End within two seconds; what is not posted by then is left to the next process."""
        self._ending.set()
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join(_END_S)
        self._session.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            wait_s = self._look_s
            try:
                self._round()
                self._store_away = False
                wait_s = min((due_s - self._clock() for due_s in self._due_s.values()), default=wait_s)
            except StoreUnavailable as error:
                if not self._store_away:
                    _log.warning("%s; alerts are posted when it is back", error)
                self._store_away = True
                wait_s = self._first_wait_s
            except Exception:
                if not self._ending.is_set():  # else the store may be closed by now
                    _log.exception("alerts to %s cannot be posted now; tried again", self.shown)
            self._awake.wait(max(0.01, min(wait_s, self._look_s)))
            self._awake.clear()

    def _round(self) -> None:
        """Post what is due.

        Raises:
            StoreUnavailable: the store did not answer; nothing is lost.
        """
        self._mark_all()
        ours, self._new = self._new, False
        try:
            waiting = self._store.waiting(_MOST_AT_ONCE)
        except StoreUnavailable:
            self._new = self._new or ours
            raise
        first_due_s = self._clock() + (0.0 if ours else self._look_s)
        due_s = {alert.id: self._due_s.get(alert.id, first_due_s) for alert in waiting}
        self._due_s = due_s | {a.id: min(due_s[a.id], first_due_s) for a in waiting if a.attempts == 0}
        for alert in waiting:
            if self._ending.is_set():
                return
            if self._due_s[alert.id] <= self._clock():
                self._try(alert)
        if len(waiting) == _MOST_AT_ONCE > len(self._due_s):
            self.wake()  # there is room for the next

    def _try(self, alert: Alert) -> None:
        attempts = alert.attempts + 1
        error = self._post(alert)
        if not error:
            state: State = "sent"
        elif attempts < MAX_TRIES:
            state = "waiting"
            wait_s = min(_LONGEST_WAIT_S, self._first_wait_s * _GROWTH ** min(alert.attempts, MAX_TRIES))
            self._due_s[alert.id] = self._clock() + wait_s
        else:
            state = "failed"
            _log.error("alert %s given up: %s: %s, the last of %d tries", alert.id, self.shown, error, attempts)
        if state == "waiting" and attempts == 1:
            _log.warning("alert %s not taken by %s: %s; tried again", alert.id, self.shown, error)
        if state != "waiting":
            self._due_s.pop(alert.id, None)
        self._unmarked[alert.id] = (state, attempts, error)
        self._mark_all()

    def _post(self, alert: Alert) -> str:
        """Why the receiver has not taken the alert, without the address; empty when it has."""
        try:
            response = self._session.post(
                self._url,
                json=payload(alert),
                headers={"Idempotency-Key": quote(alert.id, safe="/@"), "User-Agent": "framewatch"},
                timeout=TIMEOUT_S,
                allow_redirects=False,
                stream=True,  # nothing of what it says is read
            )
        except requests.exceptions.SSLError:
            return "its TLS certificate cannot be trusted"
        except requests.exceptions.Timeout:
            return f"no answer within {TIMEOUT_S:g} s"
        except requests.exceptions.ConnectionError:
            return "no connection"
        except Exception as error:  # its text may hold the address
            return f"cannot be posted to ({type(error).__name__})"
        with response:
            if 200 <= response.status_code < 300:
                return ""
            redirect = ", a redirect, which is not followed" if 300 <= response.status_code < 400 else ""
            return f"answered {response.status_code}{redirect}"

    def _mark_all(self) -> None:
        """Tell the store what is known here: before its alerts are read again, so that none is posted once more."""
        while self._unmarked:
            alert_id, (state, attempts, error) = next(iter(self._unmarked.items()))
            self._store.mark(alert_id, state, attempts, error)
            del self._unmarked[alert_id]


def payload(alert: Alert) -> dict[str, Any]:
    """What is posted for an alert."""
    return {
        "type": "framewatch.alert",
        "id": alert.id,
        "rule": alert.rule,
        "stream": alert.stream,
        "label": alert.label,
        "start": written(alert.start_us),
        "start_us": alert.start_us,
        "seconds": alert.seconds,
        "text": alert.text,
    }


def shown_address(url: str) -> str:
    """Scheme, host and port of an address to post to: the rest may be secret, also the path.

    Raises:
        SettingError: it is no such address; it is not shown, since there may be secrets in it.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or not url.isprintable() or " " in url:
        raise SettingError("got an address not shown here: expected http://… or https://… with a host")
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
