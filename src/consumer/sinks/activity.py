"""What is made of the events as they are stored: episodes, and alerts where a rule is broken.

Kept by the worker that owns the stream, in the order of its frames. Alerts are stored at once, episodes twice a
second and at the end, and only then are the offsets of their frames committed: so neither can be lost. An alert's id
is made of the time of the breach, so it cannot come twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from framewatch.activity.breaches import Breaches
from framewatch.activity.episodes import EpisodeTracker
from framewatch.activity.rules import Rule
from framewatch.consumer.processing import ClassifiedFrame
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode

_log = logging.getLogger(__name__)

_EVERY_S: Final = 0.5


class Episodes(Protocol):
    """Where episodes go: see storage.episodes.EpisodeStore."""

    def setup(self) -> None: ...  # noqa: D102

    def save(self, episodes: Sequence[Episode]) -> None: ...  # noqa: D102

    def latest(self, stream: str, since_us: int) -> list[Episode]: ...  # noqa: D102


class Alerts(Protocol):
    """Where alerts go: see storage.alerts.AlertStore."""

    def setup(self) -> None: ...  # noqa: D102

    def add(self, alert: Alert) -> bool: ...  # noqa: D102

    def end(self, alert_id: str, until_us: int) -> None: ...  # noqa: D102

    def open(self) -> list[Alert]: ...  # noqa: D102


def end_alerts(stream: str, episodes: Episodes, alerts: Alerts, on_alert: Callable[[Alert], None]) -> None:
    """No frame of this stream will come any more: end its alerts with the last that was seen.

    Args:
        stream: whose frames are all classified, and what is made of them stored.
        episodes: gives the stream's episodes.
        alerts: gives and takes its alerts.
        on_alert: called with each alert that has ended.

    Raises:
        StoreUnavailable: call again.
    """
    for alert in alerts.open():
        if alert.stream == stream:
            over = alert.ended_with(episodes.latest(stream, alert.since_us))
            assert over.until_us is not None
            alerts.end(over.id, over.until_us)
            on_alert(over)


class Activity:
    """Episodes and alerts of a worker's streams. For the writer's thread."""

    def __init__(
        self,
        episodes: Episodes,
        alerts: Alerts,
        rules: Sequence[Rule],
        gap_us: int,
        on_alert: Callable[[Alert], None],
        has_webhook: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know nothing of any stream yet.

        Args:
            episodes: takes and gives episodes.
            alerts: takes and gives alerts.
            rules: to hold the streams to.
            gap_us: a label out of sight for longer than so many microseconds begins a new episode.
            on_alert: called with each new alert once it is stored, and again when it has ended.
            has_webhook: alerts are stored as waiting to be posted.
            clock: seconds that never jump.
        """
        self._episodes = episodes
        self._alerts = alerts
        self._rules = rules
        self._gap_us = gap_us
        self._on_alert = on_alert
        self._has_webhook = has_webhook
        self._clock = clock
        self._saved_s = 0.0
        self._unsaved: dict[str, Episode] = {}
        self._raised: list[Alert] = []
        self._forget()

    def setup(self) -> None:
        """Make the indexes.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        self._episodes.setup()
        self._alerts.setup()

    def prepare(self, seen: Sequence[ClassifiedFrame]) -> None:
        """Read what is needed to go on with streams not known yet.

        Raises:
            StoreUnavailable: call again.
        """
        for one in seen:
            stream = one.frame.stream
            if not self._tracker.knows(stream):
                ongoing = [alert for alert in self._alerts.open() if alert.stream == stream]
                since_us = self._breaches.needed_since_us(stream, one.frame.time_us, ongoing)
                past = self._episodes.latest(stream, since_us)
                self._tracker.resume(stream, past)
                self._breaches.resume(stream, ongoing, past)

    def observe(self, seen: Sequence[ClassifiedFrame]) -> None:
        """Take in frames whose events are stored and whose streams are prepared."""
        for one in seen:
            best: dict[str, float] = {}
            for detection in one.steady:
                best[detection.label] = max(best.get(detection.label, 0.0), detection.confidence)
            stream, time_us = one.frame.stream, one.frame.time_us
            self._tracker.observe(stream, time_us, best)
            self._raised += self._breaches.observe(stream, time_us, best)

    def save(self, everything: bool = False) -> bool:
        """Store what has changed: alerts at once, episodes when half a second has passed.

        Args:
            everything: store episodes at once too.

        Returns:
            Whether all is stored that was made of the frames so far.

        Raises:
            StoreUnavailable: call again.
        """
        while self._raised:
            self._store(self._raised[0])
            self._raised.pop(0)
        self._unsaved |= {episode.id: episode for episode in self._tracker.changed()}
        now_s = self._clock()
        if self._unsaved and (everything or now_s - self._saved_s >= _EVERY_S):
            self._episodes.save(list(self._unsaved.values()))
            self._unsaved.clear()
            self._saved_s = now_s
        return not self._unsaved

    def flush_for_rebalance(self) -> None:
        """Store all and forget all streams: another worker may go on with them.

        Raises:
            StoreUnavailable: call again.
        """
        self.save(everything=True)
        self._forget()

    def _store(self, alert: Alert) -> None:
        if alert.until_us is None:
            if self._has_webhook:
                alert = replace(alert, webhook="waiting")
            if self._alerts.add(alert):
                _log.warning("alert: %s", alert.text)
                self._on_alert(alert)
        else:
            self._alerts.end(alert.id, alert.until_us)
            self._on_alert(alert)

    def _forget(self) -> None:
        self._tracker = EpisodeTracker(self._gap_us)
        self._breaches = Breaches(self._rules, self._gap_us)
