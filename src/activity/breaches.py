"""Rules held against what is seen frame by frame: one alert for each breach, from its first moment to its last.

All goes by the capture time of frames. Time counts while the label's stretch goes on, that is while it is out of
sight for no longer than the gap, and only inside the rule's hours.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from framewatch.activity.episodes import MAX_STREAMS
from framewatch.activity.hours import Hours
from framewatch.activity.rule import Rule
from framewatch.activity.spans import joined
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode

_US_PER_SECOND: Final = 1_000_000

_Count = Callable[[int, int], None]


class _RuleState:
    """One rule on one stream, and the alert of its breach."""

    __slots__ = ("_gap_us", "_hours", "alert", "reported", "rule", "stream", "timer")

    def __init__(self, rule: Rule, hours: Hours | None, stream: str, gap_us: int) -> None:
        self.rule = rule
        self.stream = stream
        self.timer = rule.timer()
        self.alert: Alert | None = None  # while the breach lasts
        self.reported = True  # whether the alert was returned to the caller
        self._hours = hours
        self._gap_us = gap_us

    def seen(self, first_us: int, last_us: int, frame_us: int) -> Iterator[Alert]:
        """The label was there all that time. Alerts that begin and end by that."""
        yield from self._inside_hours(self.timer.seen, first_us, last_us, frame_us)

    def unseen(self, first_us: int, last_us: int, frame_us: int) -> Iterator[Alert]:
        """The label was not there all that time. Alerts that begin and end by that.

        Args:
            first_us: the time up to which the rule was checked before; below 0 where it never was.
            last_us: the time up to which it is checked now.
            frame_us: time of the stream's frame before the one at ``last_us``.
        """
        if not self.timer.counts_unseen or first_us < 0:
            yield from self._pause(last_us, frame_us)
            return
        # A stream that stood still says nothing of the time since its last frame.
        watched_us = last_us if last_us - frame_us <= self._gap_us else max(first_us, frame_us)
        yield from self._inside_hours(self.timer.unseen, first_us, watched_us, frame_us)
        if watched_us < last_us:
            yield from self._pause(last_us, frame_us)

    def due_us(self, at_us: int, seen: bool) -> int:
        """Before this time nothing changes, as long as the label stays in or out of sight as it is."""
        if self.alert is not None and self.timer.broken_us is None:
            return at_us + 1  # of an alert from before a restart
        due_us = self.timer.due_us()
        by_hours = self._hours is not None and (seen or self.timer.counts_unseen)
        return min(due_us, self._hours.next_edge(at_us)) if by_hours and self._hours is not None else due_us

    def _inside_hours(self, count: _Count, first_us: int, last_us: int, frame_us: int) -> Iterator[Alert]:
        """Count the parts of a period that lie inside the rule's hours, and pause between them."""
        if self._hours is None:
            yield from self._count(count, first_us, last_us, frame_us)
            return
        at_us = first_us
        for low_us, high_us in self._hours.spans(first_us, last_us):
            if low_us > at_us:
                yield from self._pause(low_us, frame_us)
            yield from self._count(count, low_us, high_us, frame_us)
            at_us = high_us
        if at_us < last_us or not any(self._hours.spans(last_us, last_us)):
            yield from self._pause(last_us, frame_us)

    def _count(self, count: _Count, first_us: int, last_us: int, frame_us: int) -> Iterator[Alert]:
        was_broken = self.timer.broken_us is not None
        count(first_us, last_us)
        if was_broken and self.timer.broken_us is None:
            yield from self._end(was_broken, last_us, frame_us)
        if self.alert is None and self.timer.broken_us is not None:
            self.alert = self._new_alert(self.timer.broken_us)
            yield self.alert

    def _pause(self, last_us: int, frame_us: int) -> Iterator[Alert]:
        was_broken = self.timer.broken_us is not None
        self.timer.pause(last_us)
        yield from self._end(was_broken, last_us, frame_us)

    def _end(self, was_broken: bool, last_us: int, frame_us: int) -> Iterator[Alert]:
        """The alert as over, where the breach is: with the last time that counted, where the stream stood still."""
        alert = self.alert
        # An alert from before a restart stays open until all frames that led to it were seen again.
        if alert is None or self.timer.broken_us is not None or last_us <= alert.start_us:
            return
        watched = was_broken and self.timer.ended_us <= frame_us + self._gap_us
        until_us = self.timer.ended_us if watched else self.timer.end_us
        self.alert = None
        if self.reported:
            yield replace(alert, until_us=max(alert.start_us, until_us))
        self.reported = True

    def _new_alert(self, start_us: int) -> Alert:
        rule, seconds = self.rule, self.timer.counted_us() / _US_PER_SECOND
        text = rule.alert_text(seconds, self.stream)
        return Alert(rule.name, self.stream, rule.label, start_us, self.timer.since_us, seconds, text)


class _LabelState:
    """One label on one stream, for the rules that ask for it with the same confidence."""

    __slots__ = ("checked_us", "confidence", "due_us", "gap_us", "label", "last_us", "rules", "seen")

    def __init__(self, label: str, confidence: float, rules: Sequence[_RuleState], gap_us: int) -> None:
        self.label = label
        self.confidence = confidence
        self.rules = rules
        self.gap_us = gap_us
        self.seen = False  # whether its stretch goes on
        self.last_us = 0  # when it was seen last
        self.due_us = 0  # before this time, no rule needs to be checked
        self.checked_us = -1  # up to which time they were

    def observe(self, time_us: int, frame_us: int, seen: bool) -> Iterator[Alert]:
        """Take in a frame; rules are checked only where the frame can change something."""
        gap_is_over = time_us - self.last_us > self.gap_us
        if seen and self.seen and time_us < self.due_us and not gap_is_over:
            self.last_us = time_us
        elif seen:
            yield from self.sight(time_us, frame_us)
        elif gap_is_over if self.seen else (time_us >= self.due_us or time_us - frame_us > self.gap_us):
            yield from self.miss(time_us, frame_us)

    def sight(self, time_us: int, frame_us: int, joins: bool = False) -> Iterator[Alert]:
        """The label is there at that time; joins: and was since the last time."""
        if not (self.seen and (joins or time_us - self.last_us <= self.gap_us)):
            yield from self.miss(time_us, frame_us)
            self.seen = True
        yield from self._check(time_us, frame_us)
        self.last_us = time_us
        self._plan()

    def miss(self, time_us: int, frame_us: int) -> Iterator[Alert]:
        """The label is no more there at that time, and its stretch is over."""
        if self.seen:
            yield from self._check(self.last_us, frame_us)
            self.seen = False
        for rule in self.rules:
            yield from rule.unseen(self.checked_us, time_us, frame_us)
        self.checked_us = time_us
        self._plan()

    def catch_up(self, episodes: Iterable[Episode]) -> None:
        """Take in the past. Its alerts were stored at the time."""
        for first_us, last_us in joined((episode.start_us, episode.end_us) for episode in episodes):
            for _ in (*self.sight(first_us, first_us), *self.sight(last_us, last_us, joins=True)):
                pass

    def adopt(self, alerts: Iterable[Alert]) -> list[_RuleState]:
        """Go on with the open alerts, in order of their start; rules in breach that have none of them."""
        for rule in self.rules:
            rule.reported = rule.alert is None
            for alert in alerts:
                if (alert.rule, alert.label) == (rule.rule.name, self.label):
                    rule.alert, rule.reported = alert, True
        self._plan()
        return [rule for rule in self.rules if not rule.reported]

    def _check(self, time_us: int, frame_us: int) -> Iterator[Alert]:
        for rule in self.rules:
            yield from rule.seen(self.checked_us, time_us, frame_us)
        self.checked_us = time_us

    def _plan(self) -> None:
        self.due_us = min(rule.due_us(self.checked_us, self.seen) for rule in self.rules)


class _StreamState:
    """All labels of one stream that a rule is about."""

    __slots__ = ("frame_us", "labels", "last_us", "orphaned", "unreported")

    def __init__(self, labels: Sequence[_LabelState]) -> None:
        self.labels = labels
        self.last_us = -1  # of its last frame here
        self.frame_us = -1  # the same, or of the last one known of from before
        self.orphaned: list[Alert] = []  # of rules that are gone: ended, to be returned with the next frame
        self.unreported: list[_RuleState] = []  # in breach since before the next frame


class Breaches:
    """Which rules are broken on which streams. For one thread."""

    def __init__(self, rules: Iterable[Rule], gap_us: int = 2_000_000, max_streams: int = MAX_STREAMS) -> None:
        """Know nothing of any stream yet.

        Args:
            rules: to hold the streams to.
            gap_us: a stretch is over when its label is out of sight for longer than so many microseconds; the same
                as of the episodes.
            max_streams: those longest without a frame are forgotten beyond so many.
        """
        self._rules = [(rule, rule.hours()) for rule in rules]
        self._gap_us = gap_us
        self._max_streams = max_streams
        self._streams: OrderedDict[str, _StreamState] = OrderedDict()

    def needed_since_us(self, stream: str, time_us: int, open_alerts: Sequence[Alert]) -> int:
        """Episodes that ended before this time say nothing to ``resume``; microseconds since 1970 UTC, at least 0.

        Twice the longest time that a rule looks back: to know when a sum came to be too much, not only that it is.

        Args:
            stream: name of the stream.
            time_us: capture time of the frame to go on with.
            open_alerts: as for ``resume``: the ends of their stretches are needed as well.
        """
        starts = (alert.since_us for alert in open_alerts if alert.stream == stream)
        memory_s = max((rule.memory_s() for rule, _ in self._rules), default=0)
        return max(0, min((time_us, *starts)) - round(2 * memory_s * _US_PER_SECOND) - self._gap_us)

    def resume(self, stream: str, open_alerts: Sequence[Alert], episodes: Sequence[Episode]) -> None:
        """Go on with a stream from before a restart. Frames that were checked already change nothing.

        A breach that has its alert gets no second one. An alert of a rule that is no more is given back as ended with
        the next frame.

        Args:
            stream: name of the stream.
            open_alerts: that last; those of other streams are left out.
            episodes: of the stream, all that ended at ``needed_since_us`` or later. Where a rule asks for a
                confidence, those that never reached it are left out, and the others count whole.
        """
        past = [episode for episode in episodes if episode.stream == stream]
        alerts = sorted((a for a in open_alerts if a.stream == stream), key=lambda a: a.start_us)
        state = _StreamState(self._labels_of(stream))
        for label in state.labels:
            label.catch_up(e for e in past if e.label == label.label and e.peak >= label.confidence)
            state.unreported += label.adopt(alerts)
        adopted = {rule.alert.id for label in state.labels for rule in label.rules if rule.alert is not None}
        for alert in alerts:
            if alert.id not in adopted:
                state.orphaned.append(alert.ended_with(past))
        state.frame_us = max((*(e.end_us for e in past), *(a.start_us for a in alerts)), default=-1)
        self._keep(stream, state)

    def observe(self, stream: str, time_us: int, seen: Mapping[str, float]) -> list[Alert]:
        """Take in a frame; one that is not later than the stream's last one changes nothing.

        Args:
            stream: name of the stream.
            time_us: capture time of the frame, microseconds since 1970 UTC.
            seen: labels in the frame, each with its best confidence, 0 to 1.

        Returns:
            In order: alerts of breaches that have begun, and those whose breach is over, with ``until_us`` set.
        """
        state = self._streams.get(stream)
        if state is None:
            state = _StreamState(self._labels_of(stream))
        self._keep(stream, state)
        if time_us <= state.last_us:
            return []
        alerts, state.orphaned = state.orphaned, []
        for label in state.labels:
            if time_us > label.checked_us:  # else the frame was seen before a restart
                is_seen = label.label in seen and seen[label.label] >= label.confidence
                alerts += label.observe(time_us, state.frame_us, is_seen)
        state.last_us = time_us
        state.frame_us = time_us
        alerts += _first_reports(state.unreported)
        state.unreported = []
        return alerts

    def _labels_of(self, stream: str) -> list[_LabelState]:
        rules: dict[tuple[str, float], list[_RuleState]] = {}
        for rule, hours in self._rules:
            if rule.is_for(stream):
                state = _RuleState(rule, hours, stream, self._gap_us)
                rules.setdefault((rule.label, rule.confidence), []).append(state)
        return [_LabelState(label, confidence, states, self._gap_us) for (label, confidence), states in rules.items()]

    def _keep(self, stream: str, state: _StreamState) -> None:
        self._streams[stream] = state
        self._streams.move_to_end(stream)
        if len(self._streams) > self._max_streams:
            self._streams.popitem(last=False)


def _first_reports(rules: Iterable[_RuleState]) -> Iterator[Alert]:
    """The alerts of breaches that began in the past, have no alert yet, and still last."""
    for rule in rules:
        if rule.alert is not None and not rule.reported:
            rule.reported = True
            yield rule.alert
