"""What a sink is: something that becomes of each classified frame."""

from __future__ import annotations

from collections.abc import Sequence

from framewatch.consumer.processing import ClassifiedFrame, DeadLetter


class Sink:
    """Takes classified frames. Override what you need; a sink with ``add`` alone is complete.

    The writer calls all sinks from its one thread, in the order of their list, and commits an offset once every sink
    has taken the frame and was flushed. A frame may come again, after a retry or a restart, with the same event ids:
    taking it twice must change nothing.

    Every method may raise ``errors.Unavailable`` when a server does not answer: the writer calls it again until it
    does. Any other error ends the worker.
    """

    def setup(self) -> None:
        """Prepare, before the first frame: make indexes, folders, topics."""

    def add(self, frames: Sequence[ClassifiedFrame]) -> None:
        """Take the frames, in the order of each stream."""

    def add_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Take the records that could not be classified."""

    def flush(self) -> None:
        """Make all that was taken durable. Called about twice a second, before a rebalance and at the end."""

    def forget(self) -> None:
        """Drop what is remembered of the streams: another worker may have them now."""

    def close(self) -> None:
        """Release what is held; nothing comes after it."""
