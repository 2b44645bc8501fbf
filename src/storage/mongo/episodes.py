"""Episodes in MongoDB: one small document for each unbroken stretch of one label on one stream."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pymongo
from pymongo.database import Database

from framewatch.model.episode import Episode, remains
from framewatch.model.filters import EventFilter
from framewatch.storage.interface import Document, EpisodePage
from framewatch.storage.mongo.client import primary, store_errors
from framewatch.storage.mongo.indexes import Keys, make_indexes
from framewatch.storage.mongo.query import at_least, between, name_query
from framewatch.storage.mongo.timeline import Timeline, readable

EPISODES = "episodes"
ERASURES = "erasures"

_SPAN = [("start_us", pymongo.DESCENDING), ("end_us", pymongo.DESCENDING)]
_INDEXES: Sequence[Keys] = (
    # With the end in them: whether an episode reaches into a period is then known without reading it.
    _SPAN,
    [("stream", pymongo.ASCENDING), *_SPAN],
    [("label", pymongo.ASCENDING), *_SPAN],
    [("stream", pymongo.ASCENDING), ("label", pymongo.ASCENDING), *_SPAN],
)


class EpisodeStore:
    """Episodes written and found again. Every method raises StoreUnavailable when the store does not answer."""

    def __init__(self, database: Database[Document], clock: Callable[[], float] = time.time) -> None:
        """Nothing is asked of the store yet.

        Args:
            database: of the store.
            clock: seconds since 1970 UTC: when a period is erased, and the end of one that has none.
        """
        self._episodes = primary(database, EPISODES)
        self._erasures = primary(database, ERASURES)
        self._timeline = Timeline(self._episodes, "start_us")
        self._lists = Timeline(database[EPISODES], "start_us")  # wherever the address says that is read
        self._erased = Timeline(self._erasures, "until_us")
        self._latest_erased = Timeline(self._erasures, "erased_us")
        self._clock = clock

    def setup(self) -> None:
        """Make the indexes that are not there yet."""
        make_indexes(self._episodes, _INDEXES)
        make_indexes(self._erasures, [[(field, pymongo.DESCENDING)] for field in ("until_us", "erased_us")])

    def save(self, episodes: Sequence[Episode]) -> None:
        """Store the episodes as they are by now; those known by their id only grow: an older state changes nothing.

        What was erased stays so, though a worker goes on with an episode that began before.
        """
        if not episodes:
            return
        with store_errors(f"storing {len(episodes)} episodes"):
            self._write(episodes)

    def latest(self, stream: str, since_us: int) -> list[Episode]:
        """Episodes of the stream that ended at or after the time, oldest first: what a worker goes on with."""
        return list(self.within(EventFilter(stream, since_us=since_us)))[::-1]

    def page(self, where: EventFilter, limit: int = 50, cursor: int | None = None) -> EpisodePage:
        """About ``limit`` episodes that reach into the period, newest start first, begun before the cursor.

        All episodes with one start stand on one page, so a page can be longer than the limit. A document that is
        no episode is left out and logged.

        Args:
            where: which episodes; ``min_confidence`` is of the peak.
            limit: 1 to ``MAX_PAGE``; a number outside counts as the nearer end.
            cursor: of the page before, or None for the first page.
        """
        with store_errors("reading episodes"):
            rows, cursor = self._lists.page(_overlapping(where, cursor), limit)
        return EpisodePage(list(readable(rows, from_document)), cursor)

    def within(self, where: EventFilter) -> Iterator[Episode]:
        """All episodes that reach into the period, newest start first; a page at a time is held in memory."""
        with store_errors("reading episodes"):
            yield from readable(self._timeline.rows(_overlapping(where)), from_document)

    def count(self, where: EventFilter) -> int:
        """How many episodes reach into the period."""
        with store_errors("counting episodes"):
            return self._timeline.count(_overlapping(where))

    def delete(self, where: EventFilter) -> int:
        """Delete the episodes of the period, and cut off what lies in it of those that are longer.

        Of an episode that is cut, the frames are estimated by time, since nobody counted them apart. An episode
        that a worker still goes on with is cut as well: see ``save``.

        Returns:
            How many were deleted or cut.

        Raises:
            ValueError: the filter has a ``min_confidence``: an episode has many confidences.
        """
        if where.min_confidence is not None:
            raise ValueError("got a min_confidence: expected none, episodes are not deleted by confidence")
        if where.is_empty:
            return 0
        with store_errors("deleting episodes"):
            self._remember(where)
            return self._take_out(where)

    def erased_after(self, time_us: int) -> list[tuple[EventFilter, bool]]:
        """The periods erased at the time or later, by whomever, each with whether the erasing itself was its end."""
        with store_errors("reading what was erased"):
            return list(readable(self._latest_erased.rows({"erased_us": between(time_us, None)}), _erased_until))

    def prune(self, before_us: int) -> int:
        """Delete the episodes that ended before the time, a batch at a time; return how many."""
        ended = {"start_us": between(None, before_us), "end_us": between(None, before_us)}
        with store_errors("deleting episodes"):
            self._erased.delete({"until_us": between(None, before_us)})
            return self._timeline.delete(ended)

    def _write(self, episodes: Sequence[Episode]) -> None:
        """Write what nobody has erased of them."""
        if not episodes:
            return
        erased = self._erased_since(episodes)
        if left := remains(episodes, erased):
            self._episodes.bulk_write([_growth(episode) for episode in left], ordered=False)
        for where in self._erased_since(episodes) - erased:
            self._take_out(where)  # erased in between: the erasing may not have seen what was just written

    def _take_out(self, where: EventFilter) -> int:
        """Cut the episodes that reach over an end of the period and delete those that begin in it.

        What is left behind the period is written first, so that doing it again after a failure loses nothing.
        """
        since_us, until_us = where.since_us, where.until_us
        cut = 0
        if until_us is not None:
            beyond = _overlapping(where) | {"end_us": between(until_us, None)}
            for episode in readable(list(self._timeline.rows(beyond)), from_document):
                self._write([piece for piece in remains([episode], [where]) if piece.start_us >= until_us])
        if since_us is not None:
            before = name_query(where) | {"start_us": between(None, since_us), "end_us": between(since_us, None)}
            for episode in readable(list(self._timeline.rows(before)), from_document):
                for left in remains([episode], [where]):
                    if left.id == episode.id:
                        # By $min: what another erasing has cut meanwhile stays cut.
                        fewer = {"$min": {"end_us": left.end_us, "frames": left.frames}}
                        self._episodes.update_one({"_id": episode.id}, fewer)
                cut += 1
        inside = name_query(where) | {"start_us": between(since_us, until_us)}
        return cut + self._timeline.delete(inside)

    def _remember(self, where: EventFilter) -> None:
        """Let ``save`` know what was erased; what is captured after now is no part of it."""
        now_us = int(self._clock() * 1_000_000)
        until_us = now_us if where.until_us is None else min(now_us, where.until_us)
        period = {"since_us": where.since_us or 0, "until_us": until_us, "erased_us": now_us}
        names = {"stream": where.stream, "label": where.label}
        self._erasures.insert_one({"_id": secrets.token_hex(12)} | names | period)

    def _erased_since(self, episodes: Sequence[Episode]) -> set[EventFilter]:
        """What was erased of the time since the first of the episodes began."""
        first_us = min(episode.start_us for episode in episodes)
        rows = self._erased.rows({"until_us": between(first_us + 1, None)})
        return set(readable(rows, _erasure))


def _overlapping(where: EventFilter, before_us: int | None = None) -> Document:
    """Those that reach into the period: begun before its end and the cursor, and not ended before it began."""
    ends = [end for end in (where.until_us, before_us) if end is not None]
    reaching = {} if where.since_us is None else {"end_us": between(where.since_us, None)}
    started = {"start_us": between(None, min(ends, default=None))}
    return name_query(where) | started | reaching | at_least("peak", where.min_confidence)


def _growth(episode: Episode) -> pymongo.UpdateOne:
    """By ``$max``: an older state, however late it comes, takes nothing back."""
    grown: dict[str, Any] = {"end_us": episode.end_us, "frames": episode.frames, "peak": float(episode.peak)}
    fixed: dict[str, Any] = {"stream": episode.stream, "label": episode.label, "start_us": episode.start_us}
    return pymongo.UpdateOne({"_id": episode.id}, {"$max": grown, "$setOnInsert": fixed}, upsert=True)


def _erased_until(document: Document) -> tuple[EventFilter, bool]:
    where = _erasure(document)
    return where, where.until_us == document["erased_us"]


def _erasure(document: Document) -> EventFilter:
    try:
        since_us, until_us = int(document["since_us"]), int(document["until_us"])
        stream, label = document["stream"], document["label"]
        if not all(isinstance(name, str | None) for name in (stream, label)):
            raise ValueError(f"got {stream!r}, {label!r}: expected names or null")
        return EventFilter(stream, label, since_us, until_us)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"document {document.get('_id')!r} is no erasure: {error}") from None


def from_document(document: Document) -> Episode:
    """The episode of a document.

    Raises:
        ValueError: the document is no episode: why.
    """
    try:
        episode = Episode(
            stream=str(document["stream"]),
            label=str(document["label"]),
            start_us=int(document["start_us"]),
            end_us=int(document["end_us"]),
            frames=int(document["frames"]),
            peak=float(document["peak"]),
        )
        if episode.id != document["_id"]:
            raise ValueError(f"its _id is not {episode.id!r}")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"document {document.get('_id')!r} is no episode: {error}") from None
    return episode
