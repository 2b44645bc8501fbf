"""A line for each frame on the console."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from framewatch.consumer.processing import ClassifiedFrame
from framewatch.consumer.sinks.base import Sink


def line_for(frame: ClassifiedFrame) -> str:
    """The frame's stream and number, and what was detected: ``sample #12: face detected! (confidence 0.93)``."""
    name = f"{frame.frame.stream} #{frame.frame.number}"
    if not frame.events:
        return name
    labels = Counter(event.label for event in frame.events)
    best = max(event.confidence for event in frame.events)
    what = ", ".join(label if n == 1 else f"{n} x {label}" for label, n in labels.most_common())
    return f"{name}: {what} detected! (confidence {best:.2f})"


class ConsoleSink(Sink):
    """Prints a line for each frame; goes quiet when nobody reads any more."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out: TextIO | None = out

    def add(self, frames: Sequence[ClassifiedFrame]) -> None:
        """Print the frames' lines."""
        if self._out is None:
            return
        try:
            print(*map(line_for, frames), sep="\n", file=self._out, flush=True)
        except (BrokenPipeError, ValueError):  # the reader is gone, or the stream is closed
            self._out = None
