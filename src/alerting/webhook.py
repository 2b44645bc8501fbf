"""Posts alerts to the operator's URL, each until it is accepted or given up.

Alerts that wait are in the store, so each is posted at least once, even after a crash; its ``Idempotency-Key`` is the
alert's id, by which the receiver recognises a repeated one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol
from urllib.parse import quote, urlsplit

import requests

from framewatch.errors import SettingError, StoreRefused, StoreUnavailable
from framewatch.model.alert import Alert
from framewatch.model.times import written

_log = logging.getLogger(__name__)

TIMEOUT_S: Final = 5.0
MAX_TRIES: Final = 8
_LONGEST_WAIT_S: Final = 300.0
_GROWTH: Final = 4  # of the wait after each try: 5 s, 20 s, 80 s, then 5 min; given up after 22 min
_POLL_S: Final = 30.0  # for alerts that another process was to post and did not
_MAX_WAITING: Final = 100
_END_S: Final = 2.0

State = Literal["waiting", "sent", "failed"]


class Alerts(Protocol):
    """The store of alerts."""

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
        poll_s: float = _POLL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start nothing yet.

        Args:
            url: where to post to, http://… or https://…; a user and password in it are sent as basic authentication.
            store: gives the alerts that wait, and takes the result of each.
            session: posts; this class closes it.
            first_wait_s: from the first try to the second; each later wait is four times as long, up to 5 min.
            poll_s: an alert of another process is posted if it still waits so long after it was first found.
            clock: seconds that never jump.

        Raises:
            SettingError: it is not such a URL; the error does not repeat it, since there may be secrets in it.
        """
        self._url = url
        self.masked_url = masked_address(url)
        self._store = store
        self._session = session
        self._first_wait_s = first_wait_s
        self._poll_s = poll_s
        self._clock = clock
        self._due_s: dict[str, float] = {}  # of the alerts that were found waiting
        self._unmarked: dict[str, tuple[State, int, str]] = {}  # results that are not in the store yet
        self._new = True  # what waits at the start was left by an earlier process
        self._store_away = False
        self._awake = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)

    def start(self) -> None:
        """Begin to post, also what earlier processes left."""
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
            wait_s = self._poll_s
            try:
                self._round()
                self._store_away = False
                wait_s = min((due_s - self._clock() for due_s in self._due_s.values()), default=wait_s)
            except (StoreRefused, StoreUnavailable) as error:
                if not self._store_away:
                    _log.warning("%s; alerts are posted when it is back", error)
                self._store_away = True
                wait_s = self._first_wait_s
            except Exception:
                if not self._ending.is_set():  # else the store may be closed by now
                    _log.exception("alerts to %s cannot be posted now; tried again", self.masked_url)
            self._awake.wait(max(0.01, min(wait_s, self._poll_s)))
            self._awake.clear()

    def _round(self) -> None:
        """Post what is due.

        Raises:
            StoreUnavailable: the store did not answer; nothing is lost.
        """
        self._mark_all()
        ours, self._new = self._new, False
        try:
            waiting = self._store.waiting(_MAX_WAITING)
        except (StoreRefused, StoreUnavailable):
            self._new = self._new or ours
            raise
        first_due_s = self._clock() + (0.0 if ours else self._poll_s)
        due_s = {alert.id: self._due_s.get(alert.id, first_due_s) for alert in waiting}
        self._due_s = due_s | {a.id: min(due_s[a.id], first_due_s) for a in waiting if a.attempts == 0}
        for alert in waiting:
            if self._ending.is_set():
                return
            if self._due_s[alert.id] <= self._clock():
                self._try(alert)
        if len(waiting) == _MAX_WAITING > len(self._due_s):
            self.wake()  # there may be more

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
            _log.error("alert %s given up: %s: %s, the last of %d tries", alert.id, self.masked_url, error, attempts)
        if state == "waiting" and attempts == 1:
            _log.warning("alert %s not taken by %s: %s; tried again", alert.id, self.masked_url, error)
        if state != "waiting":
            self._due_s.pop(alert.id, None)
        self._unmarked[alert.id] = (state, attempts, error)
        self._mark_all()

    def _post(self, alert: Alert) -> str:
        """Post the alert; why the receiver did not accept it, without the URL, or empty."""
        try:
            response = self._session.post(
                self._url,
                json=payload(alert),
                headers={"Idempotency-Key": quote(alert.id, safe="/@"), "User-Agent": "framewatch"},
                timeout=TIMEOUT_S,
                allow_redirects=False,
                stream=True,  # the body of the response is not read
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
        """Write the results to the store, before its alerts are read again, so that none is posted twice."""
        while self._unmarked:
            alert_id, (state, attempts, error) = next(iter(self._unmarked.items()))
            self._store.mark(alert_id, state, attempts, error)
            del self._unmarked[alert_id]


def payload(alert: Alert) -> dict[str, Any]:
    """The JSON that is posted for an alert."""
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


def masked_address(url: str) -> str:
    """Scheme, host and port of a URL, for messages: the rest may be secret, also the path.

    Raises:
        SettingError: it is not such a URL; the error does not repeat it, since there may be secrets in it.
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
