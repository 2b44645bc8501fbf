"""Rules held against what is seen frame by frame: one alert for each breach, from its first moment to its last.

All goes by the capture time of frames. Time counts while the label's stretch goes on, that is while it is out of
sight for no longer than the gap, and only inside the rule's hours.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from framewatch.activity.durations import spoken
from framewatch.activity.episodes import MAX_STREAMS
from framewatch.activity.hours import Hours
from framewatch.activity.rules import Rule
from framewatch.activity.spans import joined
from framewatch.activity.timers import Watch, WindowWatch
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode

_US_PER_SECOND: Final = 1_000_000


class _RuleState:
    """One rule on one stream, and the alert of its breach."""

    __slots__ = ("_gap_us", "_hours", "alert", "rule", "stream", "told", "watch")

    def __init__(self, rule: Rule, hours: Hours | None, stream: str, gap_us: int) -> None:
        self.rule = rule
        self.stream = stream
        self.watch = WindowWatch(rule) if rule.within else Watch(rule)
        self.alert: Alert | None = None  # while the breach lasts
        self.told = True  # whether the alert was given to somebody
        self._hours = hours
        self._gap_us = gap_us

    def see(self, first_us: int, last_us: int, frame_us: int) -> Iterator[Alert]:
        """The label was there all that time. Alerts that begin and end by that."""
        if self._hours is None:
            yield from self._count(first_us, last_us)
            return
        at_us = first_us
        for low_us, high_us in self._hours.spans(first_us, last_us):
            if low_us > at_us:
                yield from self.miss(low_us, frame_us)
            yield from self._count(low_us, high_us)
            at_us = high_us
        if at_us < last_us or not any(self._hours.spans(last_us, last_us)):
            yield from self.miss(last_us, frame_us)

    def miss(self, last_us: int, frame_us: int) -> Iterator[Alert]:
        """Since the time told before, the label was not there, or did not count. The alert that ends by that.

        A stream that stopped says nothing of the time after: the breach ends with the last time that counted.

        Args:
            last_us: the time up to which is told now.
            frame_us: the stream's last frame before the one that says so.
        """
        was_broken = self.watch.broken_us is not None
        self.watch.rest(last_us)
        alert = self.alert
        # An alert from before a restart is not judged before all that was looked at then is looked at again.
        if alert is None or self.watch.broken_us is not None or last_us <= alert.start_us:
            return
        watched = was_broken and self.watch.ended_us <= frame_us + self._gap_us
        until_us = self.watch.ended_us if watched else self.watch.end_us
        self.alert = None
        if self.told:
            yield replace(alert, until_us=max(alert.start_us, until_us))
        self.told = True

    def due_us(self, at_us: int, seen: bool) -> int:
        """Before this time nothing changes, as long as the label stays in or out of sight as it is."""
        if self.alert is not None and self.watch.broken_us is None:
            return at_us + 1  # of an alert from before a restart
        due_us = self.watch.due_us()
        return min(due_us, self._hours.next_edge(at_us)) if seen and self._hours is not None else due_us

    def _count(self, first_us: int, last_us: int) -> Iterator[Alert]:
        self.watch.grow(first_us, last_us)
        if self.alert is None and self.watch.broken_us is not None:
            self.alert = self._made(self.watch.broken_us)
            yield self.alert

    def _made(self, start_us: int) -> Alert:
        rule, seconds = self.rule, self.watch.counted_us() / _US_PER_SECOND
        text = rule.label
        if rule.for_at_least:
            text += f" for {spoken(seconds)}"
        if rule.within:
            text += f" within {spoken(rule.within)}"
        if rule.between_hours:
            text += f" between {' or '.join(rule.between_hours)}"
        text += f" on {self.stream} (rule {rule.name})"
        return Alert(rule.name, self.stream, rule.label, start_us, self.watch.since_us, seconds, text)


class _LabelState:
    """One label on one stream, for the rules that ask for it with the same confidence."""

    __slots__ = ("confidence", "due_us", "gap_us", "held", "label", "last_us", "seen", "told_us")

    def __init__(self, label: str, confidence: float, held: Sequence[_RuleState], gap_us: int) -> None:
        self.label = label
        self.confidence = confidence
        self.held = held
        self.gap_us = gap_us
        self.seen = False  # whether its stretch goes on
        self.last_us = 0  # when it was seen last
        self.due_us = 0  # before this time, rules need not be looked at
        self.told_us = -1  # up to which time they were

    def sight(self, time_us: int, frame_us: int, joins: bool = False) -> Iterator[Alert]:
        """The label is there at that time; joins: and was since the last time."""
        if self.seen and (joins or time_us - self.last_us <= self.gap_us):
            yield from self._see(time_us, frame_us)
        else:
            yield from self.miss(time_us, frame_us)
            self.seen = True
            yield from self._see(time_us, frame_us)
        self.last_us = time_us
        self._plan()

    def miss(self, time_us: int, frame_us: int) -> Iterator[Alert]:
        """The label is no more there at that time, and its stretch is over."""
        if self.seen:
            yield from self._see(self.last_us, frame_us)
            self.seen = False
        for held in self.held:
            yield from held.miss(time_us, frame_us)
        self.told_us = time_us
        self._plan()

    def catch_up(self, episodes: Iterable[Episode]) -> None:
        """Take in the past. Whom its alerts concerned has had them."""
        for first_us, last_us in joined((episode.start_us, episode.end_us) for episode in episodes):
            for _ in (*self.sight(first_us, first_us), *self.sight(last_us, last_us, joins=True)):
                pass

    def adopt(self, alerts: Iterable[Alert]) -> list[_RuleState]:
        """Go on with the alerts that last, in order of their start; what is in breach without one."""
        for held in self.held:
            held.told = held.alert is None
            for alert in alerts:
                if (alert.rule, alert.label) == (held.rule.name, self.label):
                    held.alert, held.told = alert, True
        self._plan()
        return [held for held in self.held if not held.told]

    def _see(self, time_us: int, frame_us: int) -> Iterator[Alert]:
        for held in self.held:
            yield from held.see(self.told_us, time_us, frame_us)
        self.told_us = time_us

    def _plan(self) -> None:
        self.due_us = min(held.due_us(self.told_us, self.seen) for held in self.held)


class _Stream:
    """What is known of one stream."""

    __slots__ = ("frame_us", "last_us", "left_over", "looks", "untold")

    def __init__(self, looks: Sequence[_LabelState]) -> None:
        self.looks = looks
        self.last_us = -1  # of its last frame here
        self.frame_us = -1  # the same, or of the last one known of from before
        self.left_over: list[Alert] = []  # ended, to be given with the next frame
        self.untold: list[_RuleState] = []  # in breach since before the next frame


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
        self._streams: OrderedDict[str, _Stream] = OrderedDict()

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
        """Go on with a stream that was looked at before; a label known of later than a frame is not touched by it.

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
        known = _Stream(self._looks_of(stream))
        for look in known.looks:
            look.catch_up(e for e in past if e.label == look.label and e.peak >= look.confidence)
            known.untold += look.adopt(alerts)
        adopted = {held.alert.id for look in known.looks for held in look.held if held.alert is not None}
        for alert in alerts:
            if alert.id not in adopted:
                known.left_over.append(alert.ended_with(past))
        known.frame_us = max((*(e.end_us for e in past), *(a.start_us for a in alerts)), default=-1)
        self._keep(stream, known)

    def observe(self, stream: str, time_us: int, seen: Mapping[str, float]) -> list[Alert]:
        """Take in a frame; one that is not later than the stream's last one changes nothing.

        Args:
            stream: name of the stream.
            time_us: capture time of the frame, microseconds since 1970 UTC.
            seen: labels in the frame, each with its best confidence, 0 to 1.

        Returns:
            In order: alerts of breaches that have begun, and those whose breach is over, with ``until_us`` set.
        """
        known = self._streams.get(stream)
        if known is None:
            known = _Stream(self._looks_of(stream))
        self._keep(stream, known)
        if time_us <= known.last_us:
            return []
        told: list[Alert] = []
        if known.left_over:
            told, known.left_over = known.left_over, []
        for look in known.looks:
            if time_us <= look.told_us:
                continue  # looked at before a restart
            confidence = seen.get(look.label)
            if confidence is not None and confidence >= look.confidence:
                if look.seen and time_us < look.due_us and time_us - look.last_us <= self._gap_us:
                    look.last_us = time_us  # the rule: nothing changes
                else:
                    told += look.sight(time_us, known.frame_us)
            elif time_us - look.last_us > self._gap_us if look.seen else time_us >= look.due_us:
                told += look.miss(time_us, known.frame_us)
        known.last_us = time_us
        known.frame_us = time_us
        if known.untold:
            told += _first_told(known.untold)
            known.untold = []
        return told

    def _looks_of(self, stream: str) -> list[_LabelState]:
        wanted: dict[tuple[str, float], list[_RuleState]] = {}
        for rule, hours in self._rules:
            if rule.is_for(stream):
                held = _RuleState(rule, hours, stream, self._gap_us)
                wanted.setdefault((rule.label, rule.confidence), []).append(held)
        return [_LabelState(label, confidence, held, self._gap_us) for (label, confidence), held in wanted.items()]

    def _keep(self, stream: str, known: _Stream) -> None:
        self._streams[stream] = known
        self._streams.move_to_end(stream)
        if len(self._streams) > self._max_streams:
            self._streams.popitem(last=False)


def _first_told(untold: Iterable[_RuleState]) -> Iterator[Alert]:
    """The alerts of breaches that were found in the past and still last."""
    for held in untold:
        if held.alert is not None and not held.told:
            held.told = True
            yield held.alert
