"""Episodes, and alerts where a rule is broken, made of the smoothed labels of each frame.

The worker that owns a stream keeps them, in the order of its frames. Alerts are stored at once, episodes at each
flush, and only then are the offsets of their frames committed: so neither can be lost. An alert's id is made of the
time of the breach, so it cannot come twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from framewatch.activity.breaches import Breaches
from framewatch.activity.episodes import EpisodeTracker
from framewatch.activity.rule import Rule
from framewatch.consumer.processing import ClassifiedFrame
from framewatch.consumer.sinks.base import Sink
from framewatch.errors import StoreUnavailable
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode
from framewatch.storage.interface import AlertStore, EpisodeStore

_log = logging.getLogger(__name__)


def end_alerts(stream: str, episodes: EpisodeStore, alerts: AlertStore, on_alert: Callable[[Alert], None]) -> None:
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


class ActivitySink(Sink):
    """Episodes and alerts of a worker's streams."""

    def __init__(
        self,
        episodes: EpisodeStore,
        alerts: AlertStore,
        rules: Sequence[Rule],
        gap_us: int,
        on_alert: Callable[[Alert], None],
        has_webhook: bool = False,
    ) -> None:
        """Know nothing of any stream yet.

        Args:
            episodes: takes and gives episodes.
            alerts: takes and gives alerts.
            rules: to hold the streams to.
            gap_us: a label out of sight for longer than so many microseconds begins a new episode.
            on_alert: called with each new alert once it is stored, and again when it has ended.
            has_webhook: alerts are stored as waiting to be posted.
        """
        self._episodes = episodes
        self._alerts = alerts
        self._rules = rules
        self._gap_us = gap_us
        self._on_alert = on_alert
        self._has_webhook = has_webhook
        self._unsaved: dict[str, Episode] = {}
        self._raised: list[Alert] = []
        self.forget()

    def setup(self) -> None:
        """Make the indexes."""
        self._episodes.setup()
        self._alerts.setup()

    def add(self, frames: Sequence[ClassifiedFrame]) -> None:
        """Take in frames whose events are stored. Nothing is taken in when this raises StoreUnavailable."""
        for frame in frames:
            self._resume(frame.frame.stream, frame.frame.time_us)
        for frame in frames:
            self._observe(frame)
        with suppress(StoreUnavailable):  # the next flush stores them, and says what is wrong
            self._store_alerts()

    def flush(self) -> None:
        """Store alerts and episodes."""
        self._store_alerts()
        self._unsaved |= {episode.id: episode for episode in self._tracker.changed()}
        if self._unsaved:
            self._episodes.save(list(self._unsaved.values()))
            self._unsaved.clear()

    def forget(self) -> None:
        """Forget all streams: what is stored of them is read again at their next frame."""
        self._tracker = EpisodeTracker(self._gap_us)
        self._breaches = Breaches(self._rules, self._gap_us)

    def _resume(self, stream: str, time_us: int) -> None:
        """Read what is needed to go on with a stream not known yet."""
        if self._tracker.knows(stream):
            return
        ongoing = [alert for alert in self._alerts.open() if alert.stream == stream]
        since_us = self._breaches.needed_since_us(stream, time_us, ongoing)
        past = self._episodes.latest(stream, since_us)
        self._tracker.resume(stream, past)
        self._breaches.resume(stream, ongoing, past)

    def _observe(self, classified: ClassifiedFrame) -> None:
        best: dict[str, float] = {}
        for detection in classified.smoothed:
            best[detection.label] = max(best.get(detection.label, 0.0), detection.confidence)
        stream, time_us = classified.frame.stream, classified.frame.time_us
        self._tracker.observe(stream, time_us, best)
        self._raised += self._breaches.observe(stream, time_us, best)

    def _store_alerts(self) -> None:
        while self._raised:
            self._store(self._raised[0])
            self._raised.pop(0)

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
