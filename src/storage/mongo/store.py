"""All collections of one database: the store that the rest of the program is handed."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from pymongo.database import Database

from framewatch.model.filters import EventFilter
from framewatch.storage.interface import Document, Erased
from framewatch.storage.mongo.alerts import AlertStore
from framewatch.storage.mongo.client import connect
from framewatch.storage.mongo.episodes import EpisodeStore
from framewatch.storage.mongo.events import EventStore
from framewatch.storage.mongo.uploads import UploadStore


class MongoStore:
    """Events, episodes, alerts and uploads of one database: see ``storage.interface.Store``."""

    def __init__(self, database: Database[Document]) -> None:
        """Nothing is asked of the server yet.

        Args:
            database: whose client is closed with this store.
        """
        self._client = database.client
        self.events = EventStore(database)
        self.episodes = EpisodeStore(database)
        self.alerts = AlertStore(database)
        self.uploads = UploadStore(database)

    def setup(self) -> None:
        """Make the indexes that are not there yet."""
        for part in (self.events, self.episodes, self.alerts, self.uploads):
            part.setup()

    def erase(self, where: EventFilter) -> Erased:
        """Delete events with their crops, what of the episodes lies in the period, and the alerts that start in it.

        With a ``min_confidence`` only events: episodes and alerts are of many confidences. Of a stream that is
        being written, what was captured before and is stored after stays: meant for what is past.

        Raises:
            StoreUnavailable: some may be deleted already; call again.
        """
        if where.min_confidence is not None:
            return Erased(self.events.delete(where), 0, 0)
        # Alerts and episodes first: they are few, and tell as much as the events.
        alerts = self.alerts.delete(where)
        episodes = self.episodes.delete(where)
        return Erased(self.events.delete(where), episodes, alerts)

    def erasable(self, where: EventFilter) -> Erased:
        """How many ``erase`` would delete."""
        events = sum(self.events.counts(where).values())
        if where.min_confidence is not None:
            return Erased(events, 0, 0)
        episodes = 0 if where.is_empty else self.episodes.count(where)
        return Erased(events, episodes, self.alerts.count(where))

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_mongo(uri: str, database: str) -> MongoStore:
    """The store in this database of the server; it connects at the first use.

    Raises:
        SettingError: the address cannot be used.
    """
    return MongoStore(connect(uri)[database])
