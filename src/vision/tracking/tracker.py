"""Boxes followed from frame to frame: which box of now is the one that was there before.

A box is first looked for where it overlaps most with the place a track has moved on to, then, where none does, near
the place a track was lost at: detectors miss a face for a while, and a clip that starts again moves it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from framewatch.model.detection import Box

KEPT_S: Final = 6.0  # a track that is not seen for so long is forgotten
MAX_TRACKS: Final = 64

_LEAST_OVERLAP: Final = 0.2  # intersection over union
_VELOCITY_S: Final = 0.2  # time constant of the velocity
_PREDICTED_S: Final = 0.3  # nothing moves on as it did for longer than this
_REACH: Final = 1.0  # how far a lost box is found again, in its own sides: at once,
_REACH_PER_S: Final = 2.0  # and more with each second that it was lost,
_REACH_MOST: Final = 4.0  # up to this
_SIZE_RATIO: Final = 2.0


@dataclass(slots=True, eq=False)
class Track:
    """One box over time.

    Attributes:
        number: grows with each new track.
        box: where it was last, or None for the whole frame.
        seen_s: when.
        velocity: of its centre, pixels a second.
    """

    number: int
    box: Box | None
    seen_s: float
    velocity: tuple[float, float] = (0.0, 0.0)

    def predicted(self, now_s: float) -> tuple[float, float, float, float]:
        """Left, top, width and height where it should be now."""
        assert self.box is not None
        ahead_s = min(now_s - self.seen_s, _PREDICTED_S)
        return (
            self.box.x + self.velocity[0] * ahead_s,
            self.box.y + self.velocity[1] * ahead_s,
            self.box.width,
            self.box.height,
        )

    def move(self, box: Box | None, now_s: float) -> None:
        """It is here now."""
        passed_s = now_s - self.seen_s
        if passed_s > _PREDICTED_S:
            self.velocity = (0.0, 0.0)
        elif box is not None and self.box is not None and passed_s > 0:
            weight = 1 - math.exp(-passed_s / _VELOCITY_S)
            (x, y), (old_x, old_y) = _centre(box), _centre(self.box)
            self.velocity = (
                self.velocity[0] + weight * ((x - old_x) / passed_s - self.velocity[0]),
                self.velocity[1] + weight * ((y - old_y) / passed_s - self.velocity[1]),
            )
        self.box = box
        self.seen_s = now_s


class Tracker:
    """The tracks of one stream, at most 64 of them: one more takes the place of the one unseen for longest."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self._next = 0

    def follow(self, boxes: Sequence[Box | None], now_s: float) -> list[Track | None]:
        """The track of each box, made where there is none; None for boxes after the sixty-fourth.

        Args:
            boxes: of one frame; None for what is said of the whole frame.
            now_s: seconds that never go back.
        """
        self.tracks = [track for track in self.tracks if now_s - track.seen_s <= KEPT_S]
        found: list[Track | None] = [None] * len(boxes)
        followed = range(min(len(boxes), MAX_TRACKS))
        self._match_whole_frames(boxes, found, followed)
        self._match(boxes, found, followed, lambda track, box: _overlap(track.predicted(now_s), box))
        self._match(boxes, found, followed, lambda track, box: _nearness(track, box, now_s))
        for index in followed:
            track = found[index]
            if track is None:
                track = found[index] = Track(self._next, boxes[index], now_s)
                self._next += 1
                self.tracks.append(track)
            else:
                track.move(boxes[index], now_s)
        if len(self.tracks) > MAX_TRACKS:
            self.tracks.sort(key=lambda track: (-track.seen_s, track.number))
            del self.tracks[MAX_TRACKS:]
        return found

    def _match_whole_frames(
        self, boxes: Sequence[Box | None], found: list[Track | None], followed: Sequence[int]
    ) -> None:
        """Labels of whole frames have no box to match by: the first goes with the first."""
        whole = sorted((track for track in self.tracks if track.box is None), key=lambda track: track.number)
        for index, track in zip((index for index in followed if boxes[index] is None), whole, strict=False):
            found[index] = track

    def _match(
        self,
        boxes: Sequence[Box | None],
        found: list[Track | None],
        followed: Sequence[int],
        fit: Callable[[Track, Box], float],
    ) -> None:
        """Give boxes that have none yet the track that fits best, the best fits of all first."""
        open_boxes = [(i, box) for i in followed if found[i] is None and (box := boxes[i]) is not None]
        if not open_boxes:
            return
        taken = {id(track) for track in found}
        free = [track for track in self.tracks if track.box is not None and id(track) not in taken]
        fits = ((fit(track, box), track, index) for track in free for index, box in open_boxes)
        for _, track, index in sorted(
            (entry for entry in fits if entry[0] > 0), key=lambda entry: (-entry[0], entry[1].number, entry[2])
        ):
            if found[index] is None and id(track) not in taken:
                found[index] = track
                taken.add(id(track))


def _overlap(one: tuple[float, float, float, float], other: Box) -> float:
    """Intersection over union, or 0 where that is too little to be the same."""
    across = min(one[0] + one[2], other.x + other.width) - max(one[0], other.x)
    down = min(one[1] + one[3], other.y + other.height) - max(one[1], other.y)
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    share = shared / (one[2] * one[3] + other.width * other.height - shared)
    return share if share >= _LEAST_OVERLAP else 0.0


def _nearness(track: Track, box: Box, now_s: float) -> float:
    """How near the box is to where the track was, 1 at the same place; 0 out of reach or of another size."""
    assert track.box is not None
    sides = max(1, track.box.width, track.box.height), max(1, box.width, box.height)
    if max(sides) > _SIZE_RATIO * min(sides):
        return 0.0
    reach = max(sides) * min(_REACH + _REACH_PER_S * (now_s - track.seen_s), _REACH_MOST)
    return 1 - math.dist(_centre(track.box), _centre(box)) / reach


def _centre(box: Box) -> tuple[float, float]:
    return box.x + box.width / 2, box.y + box.height / 2
