"""Events of each frame into the store."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from framewatch.consumer.processing import ClassifiedFrame
from framewatch.consumer.sinks.base import Sink
from framewatch.consumer.stats import Stats
from framewatch.storage.interface import EventStore

_log = logging.getLogger(__name__)


class EventSink(Sink):
    """Stores events; their ids make sure that a frame that comes again is not stored twice."""

    def __init__(self, store: EventStore, stats: Stats) -> None:
        self._store = store
        self._stats = stats

    def setup(self) -> None:
        """Make the indexes."""
        self._store.setup()

    def add(self, frames: Sequence[ClassifiedFrame]) -> None:
        """Store the frames' events."""
        stored = self._store.add([event for frame in frames for event in frame.events])
        self._stats.count("stored", stored.new)
        self._stats.count("duplicates", stored.duplicates)
        self._stats.count("refused", len(stored.refused))
        for event, reason in stored.refused:
            _log.error("dropped: event %s: the store does not take it: %s", event.id, reason)
