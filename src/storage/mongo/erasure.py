"""What was seen in a period, forgotten: events with their crops, episodes, alerts."""

from __future__ import annotations

from dataclasses import dataclass

from pymongo.database import Database

from framewatch.model.filters import EventFilter
from framewatch.storage.mongo.alerts import AlertStore
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.episodes import EpisodeStore
from framewatch.storage.mongo.events import EventStore
from framewatch.storage.mongo.queries import EventQueries


@dataclass(frozen=True, slots=True)
class Erased:
    """How many of each were deleted; of the episodes also those that were cut."""

    events: int
    episodes: int
    alerts: int


def erase(database: Database[Document], where: EventFilter) -> Erased:
    """Delete events with their crops, what of the episodes lies in the period, and the alerts that start in it.

    With a ``min_confidence`` only events: episodes and alerts are of many confidences. Of a stream that is being
    written, what was captured before and is stored after stays: meant for what is past.

    Raises:
        StoreUnavailable: some may be deleted already; call again.
    """
    if where.min_confidence is not None:
        return Erased(EventStore(database).delete(where), 0, 0)
    # Alerts and episodes first: they are few, and tell as much as the events.
    alerts = AlertStore(database).delete(where)
    episodes = EpisodeStore(database).delete(where)
    return Erased(EventStore(database).delete(where), episodes, alerts)


def erasable(database: Database[Document], where: EventFilter) -> Erased:
    """How many ``erase`` would delete.

    Raises:
        StoreUnavailable: the store did not answer.
    """
    events = sum(EventQueries(database).counts(where).values())
    if where.min_confidence is not None:
        return Erased(events, 0, 0)
    episodes = 0 if where.is_empty else EpisodeStore(database).count(where)
    return Erased(events, episodes, AlertStore(database).count(where))
