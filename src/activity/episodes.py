"""Episodes out of what is seen frame by frame: unbroken stretches of one label on one stream."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from framewatch.model.episode import Episode

MAX_STREAMS: Final = 4096
_MAX_LABELS: Final = 4096  # of one stream


class _Stretch:
    """The latest stretch of one label on one stream; open until a sighting comes that is too late for it."""

    __slots__ = ("end_us", "frames", "peak", "reported", "start_us")

    def __init__(self, start_us: int, end_us: int, frames: int, peak: float, reported: bool) -> None:
        self.start_us = start_us
        self.end_us = end_us
        self.frames = frames
        self.peak = peak
        self.reported = reported

    def episode(self, stream: str, label: str) -> Episode:
        """The stretch as it is by now."""
        return Episode(stream, label, self.start_us, self.end_us, self.frames, self.peak)


class EpisodeTracker:
    """Episodes of many streams, by the capture time of their frames. For one thread."""

    def __init__(self, gap_us: int = 2_000_000, max_streams: int = MAX_STREAMS) -> None:
        """Know no stream yet.

        Args:
            gap_us: a label out of sight for longer than so many microseconds begins a new episode.
            max_streams: beyond so many, those longest without a frame are forgotten; their episodes are still
                reported.
        """
        self._gap_us = gap_us
        self._max_streams = max_streams
        self._streams: OrderedDict[str, dict[str, _Stretch]] = OrderedDict()
        self._closed: list[Episode] = []  # over, or forgotten, before they were reported

    def knows(self, stream: str) -> bool:
        """Whether the stream was resumed or observed, and not forgotten since."""
        return stream in self._streams

    def resume(self, stream: str, episodes: Sequence[Episode]) -> None:
        """Go on with the latest of these episodes of each label; those of other streams are left out."""
        known = self._stretches(stream)
        for episode in episodes:
            last = known.get(episode.label)
            if episode.stream == stream and (last is None or last.end_us < episode.end_us):
                if last is not None and not last.reported:
                    self._closed.append(last.episode(stream, episode.label))
                known[episode.label] = _Stretch(
                    episode.start_us, episode.end_us, episode.frames, episode.peak, reported=True
                )

    def observe(self, stream: str, time_us: int, seen: Mapping[str, float]) -> None:
        """Take in a frame. A label seen at that time or later already stays as it is.

        Args:
            stream: name of the stream.
            time_us: capture time of the frame, microseconds since 1970 UTC.
            seen: labels in the frame, each with its best confidence, 0 to 1.
        """
        known = self._stretches(stream)
        for label, confidence in seen.items():
            last = known.get(label)
            if last is not None and time_us <= last.end_us:
                continue
            if last is not None and time_us - last.end_us <= self._gap_us:
                last.end_us = time_us
                last.frames += 1
                last.peak = max(last.peak, confidence)
                last.reported = False
                continue
            if last is not None and not last.reported:
                self._closed.append(last.episode(stream, label))
            elif last is None and len(known) >= _MAX_LABELS:
                self._close(stream, {oldest: known.pop(oldest) for oldest in [next(iter(known))]})
            known[label] = _Stretch(time_us, time_us, 1, confidence, reported=False)

    def changed(self) -> list[Episode]:
        """Episodes begun or extended since the last call, as they are by now."""
        reported, self._closed = self._closed, []
        reported += self._unreported()
        return reported

    def _unreported(self) -> Iterator[Episode]:
        for stream, known in self._streams.items():
            for label, stretch in known.items():
                if not stretch.reported:
                    stretch.reported = True
                    yield stretch.episode(stream, label)

    def _stretches(self, stream: str) -> dict[str, _Stretch]:
        """The stream's latest stretches by label; it is now the last one to be forgotten."""
        known = self._streams.setdefault(stream, {})
        self._streams.move_to_end(stream)
        if len(self._streams) > self._max_streams:
            self._close(*self._streams.popitem(last=False))
        return known

    def _close(self, stream: str, known: Mapping[str, _Stretch]) -> None:
        self._closed += [stretch.episode(stream, label) for label, stretch in known.items() if not stretch.reported]
