"""All that is stored, as the web looks at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from framewatch.model.event import Event
from framewatch.model.filters import EventFilter
from framewatch.storage.interface import AlertStore, EpisodeStore, Erased, EventQueries


@dataclass(frozen=True, slots=True)
class Records:
    """Where the web reads what was seen, and how it has it deleted.

    Attributes:
        events: of all streams.
        episodes: stretches of one label.
        alerts: where rules were broken.
        erase: deletes events with their crops, episodes and alerts; raises StoreUnavailable.
        read_frame: the whole frame of an event as a JPEG file, from Kafka; raises FrameGone when Kafka has it no
            more, BrokerUnavailable when it does not answer.
        retention_us: microseconds for which all of this is kept; None: for ever.
    """

    events: EventQueries
    episodes: EpisodeStore
    alerts: AlertStore
    erase: Callable[[EventFilter], Erased]
    read_frame: Callable[[Event], bytes]
    retention_us: int | None = None
