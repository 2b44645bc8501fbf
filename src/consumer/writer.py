"""Classified frames into the sinks; then, and only then, their offsets may be committed.

Events have ids made of their frame, so taking a frame twice changes nothing; an offset is committed only once every
sink has taken its frame and was flushed. So a death at any point loses nothing and doubles nothing: at worst the
frames since the last flush are done once more.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_when_event_set, wait_exponential
from tenacity.nap import sleep_using_event

from framewatch.consumer.processing import ClassifiedFrame, DeadLetter, Outcome
from framewatch.consumer.sinks.base import Sink
from framewatch.consumer.stats import Stats
from framewatch.errors import Unavailable
from framewatch.model.frame import TopicPartition

_log = logging.getLogger(__name__)

_MAX_WAITING: Final = 256  # outcomes: about eight seconds of one camera
_MAX_BATCH: Final = 64
_GATHER_S: Final = 0.04  # a batch waits this long for more, so that a commit is shared
_FLUSH_EVERY_S: Final = 0.5
_POLL_S: Final = 0.1
_PATIENCE_S: Final = 3.0  # a server that is away for less is no problem worth telling

_END: Final = None


@dataclass(eq=False)
class Handover:
    """A mark between frames: those before it are stored and flushed, and their streams forgotten, once it is done."""

    done: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class _Retry:
    since_s: float
    reason: str


class Writer:
    """One thread that hands batches of outcomes to the sinks and lets their offsets be committed, in order."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        stats: Stats,
        on_done: Callable[[int, Mapping[TopicPartition, int]], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """Start the thread.

        Args:
            sinks: take each batch, in their order.
            stats: counts dead letters and what is done.
            on_done: called with how many more outcomes every sink has taken, and the offsets that may be committed.
            on_failure: called when the thread ends by an error that no retry helps.
        """
        self._sinks = sinks
        self._stats = stats
        self._on_done = on_done
        self._on_failure = on_failure
        self._offsets: dict[TopicPartition, int] = {}  # taken by every sink, not flushed yet
        self._flushed_s = time.monotonic()
        self._retry: _Retry | None = None
        self._abandon = threading.Event()
        self._waiting: queue.Queue[Outcome | Handover | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def put(self, item: Outcome | Handover) -> None:
        """Give an outcome to the sinks, or mark a handover; waits while the queue is full."""
        while not self._abandon.is_set():
            try:
                self._waiting.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    def problem(self) -> str | None:
        """Why no frame is stored any more, once that has lasted a few seconds; None while all is well."""
        retry = self._retry
        return retry.reason if retry and time.monotonic() - retry.since_s >= _PATIENCE_S else None

    def close(self, timeout_s: float) -> bool:
        """Store what is waiting and end; whether all of it was stored in time. The rest comes again next time."""
        deadline = time.monotonic() + timeout_s
        try:
            self._waiting.put(_END, timeout=timeout_s)
            self._thread.join(max(0.0, deadline - time.monotonic()))
        except queue.Full:
            pass
        complete = not self._thread.is_alive()
        self._abandon.set()
        self._thread.join(3)
        return complete

    def _run(self) -> None:
        try:
            for sink in self._sinks:
                self._until_it_answers(sink.setup)
            ended = False
            while not (ended or self._abandon.is_set()):
                ended = self._step()
        except Unavailable as error:
            if not self._abandon.is_set():
                self._on_failure(error)
        except BaseException as error:
            self._on_failure(error)
        finally:
            self._close_sinks()

    def _step(self) -> bool:
        """One batch; whether it was the last."""
        batch, mark, ended = self._gather()
        if batch:
            self._write(batch)
        is_due = time.monotonic() - self._flushed_s >= _FLUSH_EVERY_S
        if ended or mark is not None or (self._offsets and is_due):
            self._flush()
        if mark is not None:
            for sink in self._sinks:
                sink.forget()
            mark.done.set()
        return ended

    def _gather(self) -> tuple[list[Outcome], Handover | None, bool]:
        """The next batch, what ended it if it was a handover, and whether it is the last batch."""
        batch: list[Outcome] = []
        until_s = time.monotonic() + _FLUSH_EVERY_S
        while len(batch) < _MAX_BATCH:
            try:
                item = self._waiting.get(timeout=min(_POLL_S, max(0.0, until_s - time.monotonic())))
            except queue.Empty:
                if time.monotonic() >= until_s:
                    break
                continue
            if item is _END:
                return batch, None, True
            if isinstance(item, Handover):
                return batch, item, False
            if not batch:
                until_s = time.monotonic() + _GATHER_S
            batch.append(item)
        return batch, None, False

    def _write(self, batch: Sequence[Outcome]) -> None:
        frames = [outcome for outcome in batch if isinstance(outcome, ClassifiedFrame)]
        dead_letters = [outcome for outcome in batch if isinstance(outcome, DeadLetter)]
        for sink in self._sinks:
            if frames:
                self._until_it_answers(partial(sink.add, frames))
            if dead_letters:
                self._until_it_answers(partial(sink.add_dead_letters, dead_letters))
        self._offsets |= {outcome.consumed.topic_partition: outcome.consumed.offset + 1 for outcome in batch}
        self._stats.count("dead_letters", len(dead_letters))
        self._stats.count("done", len(batch))
        self._on_done(len(batch), {})

    def _flush(self) -> None:
        for sink in self._sinks:
            self._until_it_answers(sink.flush)
        self._flushed_s = time.monotonic()
        if self._offsets:
            self._on_done(0, self._offsets)
            self._offsets = {}

    def _close_sinks(self) -> None:
        for sink in self._sinks:
            try:
                sink.close()
            except Exception:
                _log.exception("a sink could not be closed")

    def _until_it_answers(self, do: Callable[[], object]) -> None:
        """Do it, again and again while a server is away, each wait twice the last up to five seconds.

        Raises:
            Unavailable: the writer was told to end meanwhile.
        """
        Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential(multiplier=0.2, max=5),
            stop=stop_when_event_set(self._abandon),
            sleep=sleep_using_event(self._abandon),
            before_sleep=self._note_retry,
            reraise=True,
        )(do)
        self._retry = None

    def _note_retry(self, state: RetryCallState) -> None:
        assert state.outcome is not None  # it failed
        reason = str(state.outcome.exception())
        if self._retry is None:
            _log.warning("%s; retrying", reason)
        self._retry = _Retry(self._retry.since_s if self._retry else time.monotonic(), reason)
