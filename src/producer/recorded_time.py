"""Capture times of a recording: its own pace, wherever it is put in time and however fast it is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from framewatch.errors import SourceError
from framewatch.producer.produce import Plan
from framewatch.producer.sources.base import Source

_US: Final = 1_000_000


def placed(plan: Plan, source: Source, start_us: int | None = None, end_us: int | None = None) -> Plan:
    """The plan with the times of its pictures; the same one where they are to have the time at which they go.

    Args:
        plan: how the source is to be sent.
        source: a recording, where it is to be put at a time.
        start_us: capture time of its first picture, microseconds since 1970 UTC.
        end_us: or of its end; a recording of which nobody knows how long it is begins there.

    Raises:
        SourceError: it is no recording, or its pictures have no pace.
    """
    if start_us is None and end_us is None:
        return plan
    each_s = _seconds_each(source, plan.fps)
    if start_us is None:
        frames = source.count or 0
        frames = min(frames, plan.max_frames or frames)
        start_us = (end_us or 0) - round(frames * each_s * _US)
    return replace(plan, start_us=max(0, start_us), each_s=each_s)


def _seconds_each(source: Source, fps: str | float) -> float:
    if source.live:
        raise SourceError(f"{source.name}: is live: only a recording can be put at another time")
    own = source.fps or (fps if isinstance(fps, float) else None)
    if own is not None:
        return 1 / own
    if source.count == 1:
        return 0.0
    raise SourceError(f"{source.name}: its pictures have no pace of their own: say one by --fps")
