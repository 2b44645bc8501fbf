"""Outcomes into the store; then, and only then, their offsets may be committed.

Events have ids made of their frame, so storing twice changes nothing; an offset is committed only once its frame's
events are stored, and its result as a file where one is wanted, or the record stands in the rejected topic. So a
death at any point loses nothing and doubles nothing: at worst the last batch is done once more.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_when_event_set, wait_exponential
from tenacity.nap import sleep_using_event

from framewatch.consumer.processing import ClassifiedFrame, DeadLetter, Outcome
from framewatch.consumer.stats import Stats
from framewatch.errors import StoreUnavailable, Unavailable
from framewatch.model.event import Event
from framewatch.model.frame import TopicPartition
from framewatch.storage.mongo.events import Stored

_log = logging.getLogger(__name__)

_MAX_WAITING: Final = 256  # outcomes: about eight seconds of one camera
_MAX_BATCH: Final = 64
_LOOK_UP_S: Final = 0.1
_GATHER_S: Final = 0.04  # a batch waits this long for more, so that a commit is shared


class Store(Protocol):
    """Where events go: see storage.mongo.EventStore."""

    def setup(self) -> None: ...  # noqa: D102

    def add(self, events: Sequence[Event]) -> Stored: ...  # noqa: D102

    def prune(self, before_us: int) -> int: ...  # noqa: D102

    def ping(self) -> bool: ...  # noqa: D102


class Rejects(Protocol):
    """Where records go that are no frames: see consumer.sinks.dead_letters.DeadLetterTopic."""

    def add(self, rejected: Sequence[DeadLetter]) -> None: ...  # noqa: D102


class ResultFiles(Protocol):
    """Where results of named pictures go: see consumer.sinks.results.Results."""

    def setup(self) -> None: ...  # noqa: D102

    def add(self, seen: Sequence[ClassifiedFrame]) -> int: ...  # noqa: D102


class Activity(Protocol):
    """What is made of the events, once they are stored: see consumer.sinks.activity.Activity."""

    def setup(self) -> None: ...  # noqa: D102

    def prepare(self, seen: Sequence[ClassifiedFrame]) -> None: ...  # noqa: D102

    def observe(self, seen: Sequence[ClassifiedFrame]) -> None: ...  # noqa: D102

    def save(self) -> bool: ...  # noqa: D102

    def flush_for_rebalance(self) -> None: ...  # noqa: D102


class Writer:
    """One thread that stores batches of outcomes and lets their offsets be committed, in the order given."""

    def __init__(
        self,
        store: Store,
        rejects: Rejects,
        stats: Stats,
        on_stored: Callable[[ClassifiedFrame], None],
        on_done: Callable[[int, Mapping[TopicPartition, int]], None],
        on_failure: Callable[[BaseException], None],
        retention_us: int,
        results: ResultFiles | None = None,
        activity: Activity | None = None,
        prunes: Sequence[Callable[[int], int]] = (),
    ) -> None:
        """Start the thread.

        Args:
            store: takes the events.
            rejects: takes the records that are no frames.
            stats: counts what was stored.
            on_stored: called for each frame whose events are stored, before its offset is committed.
            on_done: called after each batch with how many outcomes it had, and the offsets that may be committed.
            on_failure: called when the thread ends by an error that is not its to handle.
            retention_us: events older than this are deleted, looked at once an hour.
            results: takes the results of pictures that have a name, where they are wanted.
            activity: keeps episodes and alerts.
            prunes: delete what else is older than the time they are given, microseconds since 1970 UTC.
        """
        self._store = store
        self._rejects = rejects
        self._stats = stats
        self._on_stored = on_stored
        self._on_done = on_done
        self._on_failure = on_failure
        self._retention_us = retention_us
        self._results = results
        self._activity = activity
        self._offsets: dict[TopicPartition, int] = {}  # done with, but for what activity has not stored yet
        self._prunes = [store.prune, *prunes]
        self._handing_over = threading.Event()
        self._handed_over = threading.Event()
        self._next_prune_s = 0.0
        self._abandon = threading.Event()
        self._waiting: queue.Queue[Outcome | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def put(self, outcome: Outcome) -> None:
        """Give an outcome to be stored; waits while there is no room."""
        while not self._abandon.is_set():
            try:
                self._waiting.put(outcome, timeout=0.2)
                return
            except queue.Full:
                continue

    def close(self, timeout_s: float) -> bool:
        """Store what is waiting and end; whether all of it was stored in time. The rest comes again next time."""
        deadline = time.monotonic() + timeout_s
        try:
            self._waiting.put(None, timeout=timeout_s)
            self._thread.join(max(0.0, deadline - time.monotonic()))
        except queue.Full:
            pass
        complete = not self._thread.is_alive()
        self._abandon.set()
        self._thread.join(3)
        return complete

    def flush_for_rebalance(self, timeout_s: float) -> None:
        """Have all stored that is known of the streams, whose next worker reads it; waits so long at most."""
        if self._thread.is_alive() and self._activity is not None:
            self._handed_over.clear()
            self._handing_over.set()
            self._handed_over.wait(timeout_s)

    def _run(self) -> None:
        try:
            self._until_it_answers(self._store.setup)
            if self._results is not None:
                self._until_it_answers(self._results.setup)
            if self._activity is not None:
                self._until_it_answers(self._activity.setup)
            ended = False
            while not (ended or self._abandon.is_set()):
                batch, ended = self._gather()
                if batch:
                    self._write(batch)
                self._offsets |= _offsets_after(batch)
                leaving = ended or self._handing_over.is_set()
                settled = self._activity is None or self._is_settled(self._activity, leaving)
                if batch or (settled and self._offsets):
                    self._on_done(len(batch), self._offsets if settled else {})
                if settled:
                    self._offsets = {}
                if leaving:
                    self._handing_over.clear()
                    self._handed_over.set()
                self._prune_when_due()
        except Unavailable as error:
            if not self._abandon.is_set():
                self._on_failure(error)
        except BaseException as error:
            self._on_failure(error)

    def _gather(self) -> tuple[list[Outcome], bool]:
        """The next batch, and whether it is the last."""
        batch: list[Outcome] = []
        until = time.monotonic() + 1.0  # looks up now and then for what is due by the clock
        while len(batch) < _MAX_BATCH:
            try:
                outcome = self._waiting.get(timeout=min(_LOOK_UP_S, max(0.0, until - time.monotonic())))
            except queue.Empty:
                if self._handing_over.is_set() or time.monotonic() >= until:
                    break
                continue
            if outcome is None:
                return batch, True
            if not batch:
                until = time.monotonic() + _GATHER_S
            batch.append(outcome)
        return batch, False

    def _write(self, batch: Sequence[Outcome]) -> None:
        seen = [outcome for outcome in batch if isinstance(outcome, ClassifiedFrame)]
        rejected = [outcome for outcome in batch if isinstance(outcome, DeadLetter)]
        events = [event for outcome in seen for event in outcome.events]
        stored = Stored(0, 0)

        def store() -> None:
            nonlocal stored
            stored = self._store.add(events)

        self._until_it_answers(store)
        if self._results is not None:
            results = self._results
            self._until_it_answers(lambda: results.add(seen))
        if rejected:
            self._until_it_answers(lambda: self._rejects.add(rejected))
        if self._activity is not None:
            activity = self._activity
            self._until_it_answers(lambda: activity.prepare(seen))
            activity.observe(seen)
        self._stats.count("stored", stored.new)
        self._stats.count("duplicates", stored.duplicates)
        self._stats.count("rejected", len(rejected))
        for outcome in seen:
            self._on_stored(outcome)
        self._stats.count("done", len(batch))

    def _is_settled(self, activity: Activity, leaving: bool) -> bool:
        """Store what has become due, or all of it for the next worker; whether all is stored."""
        if leaving:
            self._until_it_answers(activity.flush_for_rebalance)
            return True
        settled = False

        def save() -> None:
            nonlocal settled
            settled = activity.save()

        self._until_it_answers(save)
        return settled

    def _prune_when_due(self) -> None:
        if time.monotonic() < self._next_prune_s:
            return
        self._next_prune_s = time.monotonic() + 3600
        before_us = time.time_ns() // 1000 - self._retention_us
        try:
            if deleted := sum(prune(before_us) for prune in self._prunes):
                _log.info("%d documents older than the retention deleted", deleted)
        except StoreUnavailable as error:
            _log.warning("%s; tried again in an hour", error)

    def _until_it_answers(self, do: Callable[[], object]) -> None:
        """Do it, again and again while the server is away, each wait twice the last up to five seconds.

        Raises:
            Unavailable: the writer was told to end meanwhile.
        """
        Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential(multiplier=0.2, max=5),
            stop=stop_when_event_set(self._abandon),
            sleep=sleep_using_event(self._abandon),
            before_sleep=_say_once,
            reraise=True,
        )(do)


def _offsets_after(batch: Sequence[Outcome]) -> dict[TopicPartition, int]:
    """Offset of the next record to read, of each topic and partition in the batch."""
    return {o.received.topic_partition: o.received.offset + 1 for o in batch}


def _say_once(state: RetryCallState) -> None:
    if state.attempt_number == 1 and state.outcome is not None:
        _log.warning("%s; waiting for it", state.outcome.exception())
