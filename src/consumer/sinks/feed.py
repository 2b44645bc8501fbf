"""Stored events to whoever listens: the sink that feeds the feed."""

from __future__ import annotations

from collections.abc import Sequence

from framewatch.consumer.processing import ClassifiedFrame
from framewatch.consumer.sinks.base import Sink
from framewatch.live.feed import Feed


class FeedSink(Sink):
    """Publishes events; it stands behind the store in the list, so a listener can look up what it hears of."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def add(self, frames: Sequence[ClassifiedFrame]) -> None:
        """Publish the frames' events."""
        for frame in frames:
            self._feed.publish(frame.events)
