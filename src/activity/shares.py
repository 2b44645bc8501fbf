"""How much of a period each label was seen, by stream."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from framewatch.activity.spans import Span, joined
from framewatch.model.episode import Episode


@dataclass(frozen=True, slots=True)
class Share:
    """One label on one stream in a period.

    Attributes:
        stream: name of the stream.
        label: what was seen.
        seconds: of the period during which it was.
        share: of the whole period, 0 to 1.
        of_seen: of the time during which the stream had any label at all, 0 to 1.
    """

    stream: str
    label: str
    seconds: float
    share: float
    of_seen: float


def shares(episodes: Iterable[Episode], since_us: int, until_us: int) -> list[Share]:
    """Shares of the period, by stream, the largest first.

    Episodes of one label that overlap count once. Labels seen for no length of time, such as in a single frame, have
    a share of 0. Episodes outside the period are left out, and the others' parts outside it.

    Args:
        episodes: in any order.
        since_us: start of the period, microseconds since 1970 UTC.
        until_us: its end: the present at the latest.
    """
    if until_us <= since_us:
        return []
    streams: dict[str, dict[str, list[Span]]] = {}
    for episode in episodes:
        if episode.end_us >= since_us and episode.start_us < until_us:
            span = max(episode.start_us, since_us), min(episode.end_us, until_us)
            streams.setdefault(episode.stream, {}).setdefault(episode.label, []).append(span)
    found = []
    for stream, labels in streams.items():
        seen_us = _length_us(span for spans in labels.values() for span in spans)
        for label, spans in labels.items():
            length_us = _length_us(spans)
            share, of_seen = length_us / (until_us - since_us), length_us / seen_us if seen_us else 0.0
            found.append(Share(stream, label, length_us / 1_000_000, share, of_seen))
    return sorted(found, key=lambda each: (each.stream, -each.seconds, each.label))


def _length_us(spans: Iterable[Span]) -> int:
    return sum(last - first for first, last in joined(spans))
