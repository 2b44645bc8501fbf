"""Label smoothing: the label shown of a face changes seldom, what is stored stays raw.

A classifier that looks at each frame by itself is torn between labels that are nearly as likely. So each track keeps
a running average of its scores, and shows another label only when that has led clearly for a while:

- the average forgets with a time constant of two seconds;
- the other label must lead by a margin, which grows with each switch of the stream in the last minute;
- a track that has switched stays with its label for 5.5 seconds;
- and a stream switches at most ten times a minute, however many tracks it has.

A face that is lost and found again goes on with its average (see ``tracker``), so that losing it is no fresh start.
Time is capture time. Labels whose alternatives are never named, such as those of ``faces``, stay as they are.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from framewatch.model.detection import Detection
from framewatch.vision.tracking.tracker import Track, Tracker

_MEMORY_S: Final = 2.0  # time constant of the average
_MARGIN: Final = 0.1
_MARGIN_PER_SWITCH: Final = 0.03
_REST_S: Final = 5.5
_YOUNG_S: Final = 1.0  # a track that is younger keeps its first label
_MAX_SWITCHES: Final = 10
_SWITCHES_WITHIN_S: Final = 60.0

_FIRST_S: Final = 1 / 30  # what a first look weighs
_LEAST_S: Final = 0.001  # what a look weighs at least, whatever its time
_MOST_S: Final = 1.0  # and at most: one look after a gap does not decide alone
_MAX_SCORES: Final = 16  # of one look, the best
_MAX_LABELS: Final = 64  # of one track

_STAYED_S: Final = 0.5  # seen for so long, a track counts among the stream's labels,
_BROKEN_S: Final = 0.3  # where it was never lost for longer than this,
_GONE_S: Final = 2.0  # until it is lost for so long
_MAX_STREAMS: Final = 256


@dataclass(frozen=True, slots=True)
class Smoothed:
    """What is to be shown of a frame.

    Attributes:
        detections: as found, with label and confidence smoothed.
        labels: of the stream now: of what stays in the picture, also where one frame misses it. In the order of
            coming.
    """

    detections: tuple[Detection, ...]
    labels: tuple[str, ...]


def unsmoothed(detections: Sequence[Detection]) -> Smoothed:
    """What to show of a picture that is no frame of a video."""
    return Smoothed(tuple(detections), tuple(detection.label for detection in detections))


@dataclass(slots=True)
class _TrackLabel:
    """The label shown of one track, and the averages behind it."""

    track: Track
    label: str
    since_s: float  # start of the time that it has been seen without a break
    averages: dict[str, float] = field(default_factory=dict)
    age_s: float = 0.0
    last_s: float = 0.0
    switched_s: float = -math.inf
    counts: bool = False  # among the stream's labels

    def add(self, detection: Detection, now_s: float) -> None:
        """Take in one more detection of it."""
        passed_s = min(max(now_s - self.last_s, _LEAST_S), _MOST_S) if self.age_s else _FIRST_S
        self.age_s += passed_s
        # The plain mean while young: else the first look, which may be any, would weigh too much.
        weight = max(1 - math.exp(-passed_s / _MEMORY_S), passed_s / self.age_s)
        for label, score in self._scores(detection).items():
            average = self.averages.get(label, 0.0)
            self.averages[label] = average + weight * (score - average)
        self.last_s = now_s
        if len(self.averages) > _MAX_LABELS:
            best = sorted(self.averages, key=self.averages.__getitem__, reverse=True)[: _MAX_LABELS // 2]
            self.averages = {label: self.averages[label] for label in {*best, self.label}}

    def _scores(self, detection: Detection) -> dict[str, float]:
        """The best scores, and what they leave shared by the known labels that are not among them."""
        scores = {label: float(score) for label, score in detection.scores[:_MAX_SCORES]}
        scores.setdefault(detection.label, float(detection.confidence))
        if missing := [label for label in self.averages if label not in scores]:
            left = max(0.0, 1 - sum(scores.values())) / len(missing)
            scores |= dict.fromkeys(missing, min(left, *scores.values()))
        return scores

    def challenger(self) -> tuple[str, float]:
        """The best label, and how far it leads over the one shown."""
        best = max(self.averages, key=lambda label: (self.averages[label], label == self.label, label))
        return best, self.averages[best] - self.averages.get(self.label, 0.0)

    @property
    def unrivalled(self) -> bool:
        """Whether it has never had a score for another label."""
        return len(self.averages) == 1

    def shown(self, detection: Detection) -> Detection:
        """The detection with the label shown."""
        if self.unrivalled:
            return detection
        return replace(detection, label=self.label, confidence=min(1.0, max(0.0, self.averages[self.label])))


class LabelSmoother:
    """Smooths the labels of one stream, frame after frame in their order."""

    def __init__(self) -> None:
        self._tracker = Tracker()
        self._tracked: dict[int, _TrackLabel] = {}  # by number of the track
        self._switches: deque[float] = deque(maxlen=_MAX_SWITCHES)
        self._last_us: int | None = None
        self._now_s = 0.0

    def smooth(self, detections: Sequence[Detection], time_us: int) -> Smoothed:
        """What to show of the next frame.

        Args:
            detections: of the frame.
            time_us: its capture time in microseconds. One before the last frame's counts as no time passed.
        """
        self._now_s += max(0, time_us - self._last_us) / 1e6 if self._last_us is not None else 0.0
        self._last_us = time_us
        tracks = self._tracker.follow([detection.box for detection in detections], self._now_s)
        shown = [
            detection if track is None else self._smoothed(track, detection)
            for detection, track in zip(detections, tracks, strict=True)
        ]
        if len(self._tracked) > len(self._tracker.tracks):
            kept = {track.number for track in self._tracker.tracks}
            self._tracked = {number: tracked for number, tracked in self._tracked.items() if number in kept}
        return Smoothed(tuple(shown), self._labels({track.number for track in tracks if track is not None}))

    def _smoothed(self, track: Track, detection: Detection) -> Detection:
        tracked = self._tracked.get(track.number)
        if tracked is None:
            tracked = self._tracked[track.number] = _TrackLabel(track, detection.label, self._now_s)
        elif self._now_s - tracked.last_s > _BROKEN_S:
            tracked.since_s = self._now_s
        tracked.add(detection, self._now_s)
        self._switch_when_due(tracked)
        return tracked.shown(detection)

    def _switch_when_due(self, tracked: _TrackLabel) -> None:
        label, lead = tracked.challenger()
        if label == tracked.label or tracked.age_s < _YOUNG_S or self._now_s - tracked.switched_s < _REST_S:
            return
        while self._switches and self._now_s - self._switches[0] >= _SWITCHES_WITHIN_S:
            self._switches.popleft()
        switches = len(self._switches)
        if switches < _MAX_SWITCHES and lead >= _MARGIN + _MARGIN_PER_SWITCH * switches:
            tracked.label = label
            tracked.switched_s = self._now_s
            self._switches.append(self._now_s)

    def _labels(self, here: set[int]) -> tuple[str, ...]:
        """Labels of what stays; of what has no alternative, as it is in this frame."""
        some = any(tracked.counts for tracked in self._tracked.values())
        labels = []
        for number in sorted(self._tracked):
            tracked = self._tracked[number]
            if tracked.unrivalled:
                tracked.counts = number in here
            elif tracked.counts:
                tracked.counts = number in here or self._now_s - tracked.track.seen_s < _GONE_S
            elif number in here:  # a first one at once; more of them only when they are no slip of the detector
                tracked.counts = not some or self._now_s - tracked.since_s >= _STAYED_S
            if tracked.counts:
                labels.append(tracked.label)
        return tuple(labels)


class StreamSmoothers:
    """A smoother for each stream, at most 256: one more takes the place of the one unused for longest."""

    def __init__(self) -> None:
        self._smoothers: OrderedDict[str, LabelSmoother] = OrderedDict()

    def smooth(self, stream: str, detections: Sequence[Detection], time_us: int) -> Smoothed:
        """What to show of the next frame of the stream, as ``LabelSmoother.smooth``."""
        smoother = self._smoothers.get(stream)
        if smoother is None:
            smoother = self._smoothers[stream] = LabelSmoother()
            if len(self._smoothers) > _MAX_STREAMS:
                self._smoothers.popitem(last=False)
        else:
            self._smoothers.move_to_end(stream)
        return smoother.smooth(detections, time_us)
