"""What the console says of each frame."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TextIO

from framewatch.consumer.processing import ClassifiedFrame


def line_for(seen: ClassifiedFrame) -> str:
    """The frame's stream and number, and what was seen: ``sample #12: face detected! (2 faces)``."""
    frame = f"{seen.frame.stream} #{seen.frame.number}"
    if not seen.events:
        return frame
    labels = Counter(event.label for event in seen.events)
    best = max(event.confidence for event in seen.events)
    what = ", ".join(label if n == 1 else f"{n} x {label}" for label, n in labels.most_common())
    return f"{frame}: {what} detected! (confidence {best:.2f})"


class Console:
    """Prints a line a frame; goes quiet when nobody reads any more."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out: TextIO | None = out

    def __call__(self, seen: ClassifiedFrame) -> None:
        """Print the frame's line."""
        if self._out is None:
            return
        try:
            print(line_for(seen), file=self._out, flush=True)
        except (BrokenPipeError, ValueError):  # the reader is gone, or the stream is closed
            self._out = None
