"""An episode: its form, and what is left of it when a part is erased."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from framewatch.model.event import END_US, is_storable
from framewatch.model.filters import EventFilter


@dataclass(frozen=True, slots=True)
class Episode:
    """One unbroken stretch of one label on one stream.

    Attributes:
        stream: name of the stream.
        label: what was seen.
        start_us: capture time of its first frame, microseconds since 1970 UTC.
        end_us: capture time of its last frame so far.
        frames: in which the label was seen, at least 1.
        peak: the highest confidence, 0 to 1.

    Raises:
        ValueError: it has a value that no store could keep or no reader could use.
    """

    stream: str
    label: str
    start_us: int
    end_us: int
    frames: int
    peak: float

    def __post_init__(self) -> None:
        if not (is_storable(self.stream) and is_storable(self.label)):
            raise ValueError(f"got stream {self.stream[:80]!r}, label {self.label[:80]!r}: expected text without NUL")
        if not 0 <= self.start_us <= self.end_us < END_US:
            raise ValueError(f"got {self.start_us} to {self.end_us}: expected microseconds since 1970, in order")
        if self.frames < 1 or not 0 <= self.peak <= 1:
            raise ValueError(f"got {self.frames} frames, peak {self.peak}: expected 1 or more, 0 to 1")

    @property
    def id(self) -> str:
        """``stream/start_us/label``."""
        return f"{self.stream}/{self.start_us}/{self.label}"

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return (self.end_us - self.start_us) / 1_000_000


def remains(episodes: Iterable[Episode], erased: Iterable[EventFilter]) -> list[Episode]:
    """The episodes without what lies in the erased periods: as they are, shorter, in pieces, or not at all.

    The piece before a period keeps the id and ends a microsecond before it, the piece after it begins, and has its
    id, where the period ends: so the pieces are the same in whatever order they are cut. Frames are estimated
    by time, since nobody counted them apart.
    """
    left = list(episodes)
    for where in erased:
        left = [piece for episode in left for piece in _without(episode, where)]
    return left


def _without(episode: Episode, where: EventFilter) -> Iterator[Episode]:
    since_us = 0 if where.since_us is None else where.since_us
    until_us = END_US if where.until_us is None else where.until_us
    named = where.stream in (None, episode.stream) and where.label in (None, episode.label)
    if not named or episode.end_us < since_us or episode.start_us >= until_us or since_us >= until_us:
        yield episode
        return
    if episode.start_us < since_us:
        yield _piece(episode, episode.start_us, since_us - 1)
    if episode.end_us >= until_us:
        yield _piece(episode, until_us, episode.end_us)


def _piece(episode: Episode, start_us: int, end_us: int) -> Episode:
    share = (end_us - start_us) / (episode.end_us - episode.start_us)
    return replace(episode, start_us=start_us, end_us=end_us, frames=max(1, round(episode.frames * share)))
