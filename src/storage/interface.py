"""What a store can do, and the values that go in and come out. It knows no driver.

Whoever reads or writes the store is handed these protocols; ``storage.open`` makes the real one. Every method that
asks something of the store raises StoreUnavailable when it does not answer now and may later, and StoreRefused when
asking again is of no use: no rights, an index of the same name made otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self

from framewatch.model.alert import Alert, Webhook
from framewatch.model.episode import Episode
from framewatch.model.event import Event
from framewatch.model.filters import EventFilter
from framewatch.model.upload import Upload

MAX_PAGE: Final = 500

Document = dict[str, Any]
"""What is stored, field by field, as any program may have written it."""


class Refused(NamedTuple):
    """An event that the store can never take, such as one that is too large, and why."""

    event: Event
    reason: str


class Stored(NamedTuple):
    """What became of the events given.

    Attributes:
        new: how many were stored now.
        duplicates: how many the store had already.
        refused: those that it can never take; all others are stored.
    """

    new: int
    duplicates: int
    refused: Sequence[Refused] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Events, newest first, and the cursor of the next page or None at the end."""

    events: Sequence[Event]
    cursor: int | None


@dataclass(frozen=True, slots=True)
class EpisodePage:
    """Episodes, newest start first, and the cursor of the next page or None at the end."""

    episodes: Sequence[Episode]
    cursor: int | None


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Alerts, newest start first, and the cursor of the next page or None at the end."""

    alerts: Sequence[Alert]
    cursor: int | None


@dataclass(frozen=True, slots=True)
class Erased:
    """How many of each were deleted; of the episodes also those that were cut."""

    events: int
    episodes: int
    alerts: int


class EventQueries(Protocol):
    """Events found again."""

    def page(self, where: EventFilter, limit: int = 50, cursor: int | None = None) -> Page:
        """About ``limit`` events without their crops, newest first, older than the cursor.

        All events of one capture time stand on one page, so a page can be longer than the limit. A document that
        is no event is left out and logged, so a page can be shorter, too.

        Args:
            where: which events.
            limit: 1 to ``MAX_PAGE``; a number outside counts as the nearer end.
            cursor: of the page before, or None for the first page.
        """

    def get(self, event_id: str, crop: bool = True) -> Event | None:
        """The event, with its crop if that is asked for, or None.

        Raises:
            ValueError: what is stored under this id is no event.
        """

    def documents(self, where: EventFilter, limit: int | None = None, crops: bool = True) -> Iterator[Document]:
        """Stored documents as they are, of other programs too, newest first; a page at a time is held in memory."""

    def untimed(self, limit: int) -> list[Any]:
        """Ids of documents, at most so many, that no list gives since their ``time_us`` is no number."""

    def counts(self, where: EventFilter) -> dict[str, int]:
        """Events of each label, most first."""


class EventStore(EventQueries, Protocol):
    """Events stored once, found again, and deleted."""

    def setup(self) -> None:
        """Make ready for writing, indexes too. Doing it again changes nothing."""

    def problem(self, timeout_s: float = 1.0) -> str | None:
        """Why events cannot be stored now, in one line; None when they can. Answers about within the time."""

    def ping(self, timeout_s: float = 1.0) -> bool:
        """Whether there is no problem."""

    def add(self, events: Sequence[Event]) -> Stored:
        """Store the events that are not stored yet, and count them. Doing it again changes nothing.

        Raises:
            StoreUnavailable: not all are stored and counted; call again with the same events.
            StoreRefused: the store takes no event at all.
        """

    def delete(self, where: EventFilter) -> int:
        """Delete these events with their crops, and bring the counts up to date; return how many.

        What is stored in the same minutes at the same time may be counted wrongly: meant for what is past.
        """

    def prune(self, before_us: int) -> int:
        """Delete the events of the whole minutes before the time; return how many."""


class EpisodeStore(Protocol):
    """Episodes saved as they grow, found again, cut and deleted."""

    def setup(self) -> None:
        """Make ready for writing, indexes too. Doing it again changes nothing."""

    def save(self, episodes: Sequence[Episode]) -> None:
        """Store the episodes as they are by now; those known by their id only grow: an older state changes nothing.

        What was erased stays so, though a worker goes on with an episode that began before.
        """

    def latest(self, stream: str, since_us: int) -> list[Episode]:
        """Episodes of the stream that ended at or after the time, oldest first: what a worker goes on with."""

    def page(self, where: EventFilter, limit: int = 50, cursor: int | None = None) -> EpisodePage:
        """About ``limit`` episodes that reach into the period, newest start first, begun before the cursor.

        Args:
            where: which episodes; ``min_confidence`` is of the peak.
            limit: 1 to ``MAX_PAGE``; a number outside counts as the nearer end. All of one start stand on one page.
            cursor: of the page before, or None for the first page.
        """

    def within(self, where: EventFilter) -> Iterator[Episode]:
        """All episodes that reach into the period, newest start first."""

    def count(self, where: EventFilter) -> int:
        """How many episodes reach into the period."""

    def delete(self, where: EventFilter) -> int:
        """Delete the episodes of the period, and cut off what lies in it of those that are longer.

        Returns:
            How many were deleted or cut.

        Raises:
            ValueError: the filter has a ``min_confidence``: an episode has many confidences.
        """

    def erased_after(self, time_us: int) -> list[tuple[EventFilter, bool]]:
        """The periods erased at the time or later, by whomever, each with whether the erasing itself was its end."""

    def prune(self, before_us: int) -> int:
        """Delete the episodes that ended before the time; return how many."""


class AlertStore(Protocol):
    """Alerts stored once, ended, marked as sent, found again and deleted.

    An alert belongs to a period when it starts in it. It has no confidence: ``min_confidence`` does not count.
    """

    def setup(self) -> None:
        """Make ready for writing, indexes too. Doing it again changes nothing."""

    def add(self, alert: Alert) -> bool:
        """Store the alert; False, and nothing changed, where one of this id is stored."""

    def end(self, alert_id: str, until_us: int) -> None:
        """Set when the breach was over; nothing where the alert was deleted meanwhile."""

    def mark(self, alert_id: str, webhook: Webhook, attempts: int, error: str) -> None:
        """Set how far the webhook has been told; nothing where the alert was deleted meanwhile."""

    def get(self, alert_id: str) -> Alert | None:
        """The alert, or None.

        Raises:
            ValueError: what is stored under this id is no alert.
        """

    def open(self) -> list[Alert]:
        """All alerts that are ongoing, newest first."""

    def waiting(self, limit: int = 100) -> list[Alert]:
        """Alerts that the webhook is to be told, the longest waiting first."""

    def page(
        self,
        where: EventFilter,
        rule: str | None = None,
        open_only: bool = False,
        limit: int = 50,
        cursor: int | None = None,
    ) -> AlertPage:
        """About ``limit`` alerts, newest start first, started before the cursor.

        Args:
            where: which alerts.
            rule: only of this rule.
            open_only: only those that are ongoing.
            limit: 1 to ``MAX_PAGE``; a number outside counts as the nearer end. All of one start stand on one page.
            cursor: of the page before, or None for the first page.
        """

    def count(self, where: EventFilter) -> int:
        """How many alerts start in the period."""

    def delete(self, where: EventFilter) -> int:
        """Delete the alerts that start in the period; return how many."""

    def prune(self, before_us: int) -> int:
        """Delete the alerts that started before the time, also those that are ongoing; return how many."""


class UploadStore(Protocol):
    """Uploads saved as they go on, found again and deleted."""

    def setup(self) -> None:
        """Make ready for writing, indexes too. Doing it again changes nothing."""

    def save(self, upload: Upload) -> None:
        """Store the upload as it is by now."""

    def get(self, upload_id: str) -> Upload | None:
        """The upload, or None.

        Raises:
            ValueError: what is stored under this id is no upload.
        """

    def newest(self, limit: int = 50) -> list[Upload]:
        """About so many uploads, newest first; all of one time are given together."""

    def delete(self, upload_id: str) -> bool:
        """Delete the upload, and nothing of its stream; whether there was one."""

    def prune(self, before_us: int) -> int:
        """Delete the uploads that came before the time; return how many."""


class Store(Protocol):
    """All that is kept of what was seen. Made without asking anything of a server: the first use connects."""

    @property
    def events(self) -> EventStore:
        """One for each thing seen in a frame."""

    @property
    def episodes(self) -> EpisodeStore:
        """One for each unbroken stretch of a label on a stream."""

    @property
    def alerts(self) -> AlertStore:
        """One for each breach of a rule."""

    @property
    def uploads(self) -> UploadStore:
        """One for each file that somebody uploaded."""

    def erase(self, where: EventFilter) -> Erased:
        """Delete events with their crops, what of the episodes lies in the period, and the alerts that start in it.

        With a ``min_confidence`` only events: episodes and alerts are of many confidences. Of a stream that is
        being written, what was captured before and is stored after stays: meant for what is past.

        Raises:
            StoreUnavailable: some may be deleted already; call again.
        """

    def erasable(self, where: EventFilter) -> Erased:
        """How many ``erase`` would delete."""

    def setup(self) -> None:
        """Make all of it ready for writing."""

    def close(self) -> None:
        """End the connections."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
