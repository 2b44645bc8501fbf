"""Uploaded files on their way: received, sent to Kafka by a producer process each, classified like any frame.

    waiting ──► sending ──► classifying ──► done
                   └────────────┴─────────► failed

Pictures, short videos and long videos wait in a queue each, and each queue has one producer process at a time: a
picture never waits for a video, nor a clip for a film. Within a queue the order is that of arrival.

Done means that the group has committed the last of its frames, so that their events are stored, by whichever worker.
What was not done when a server ended is resumed when it is started again: frames that are sent twice are stored once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from framewatch.errors import StoreRefused, StoreUnavailable
from framewatch.model.filters import EventFilter
from framewatch.model.names import new_run_id, new_upload_id
from framewatch.model.upload import Kind, Upload
from framewatch.storage.interface import Erased, UploadStore
from framewatch.uploads.folder import IncomingFile, UploadFolder, UploadRefused
from framewatch.uploads.jobs import QUEUES, Job, QueueName, Send, Sent, UploadLimits, clean_title
from framewatch.uploads.progress import Progress

_log = logging.getLogger(__name__)

_WATCH_S: Final = 0.5
_ATTEMPTS: Final = 3  # at sending one, by servers that ended meanwhile
_MAX_ERROR: Final = 300  # characters
_FORM_BYTES: Final = 100_000  # that a request may be longer than its file


@dataclass(slots=True)
class _Queue:
    """Files of one queue, guarded by the lock of ``Uploads``.

    Attributes:
        waiting: to be sent, in the order they came.
        receiving: how many are being received.
    """

    waiting: deque[Job] = field(default_factory=deque)
    receiving: int = 0


class Uploads:
    """Takes files, has them sent, one of each queue at a time, and knows how far each is."""

    def __init__(
        self,
        folder: UploadFolder,
        store: UploadStore,
        send: Send,
        committed: Callable[[int], int | None],
        erase: Callable[[EventFilter], Erased],
        limits: UploadLimits | None = None,
        on_end: Callable[[str], None] = lambda stream: None,
    ) -> None:
        """Make it; ``start`` starts its threads.

        Args:
            folder: of the files; closed with this.
            store: of the uploads.
            send: sends a file; called by a thread for each queue.
            committed: offset that the group has committed for a partition of the topic: that of the next record. None
                where there is none, or Kafka does not answer.
            erase: deletes events, episodes and alerts; raises StoreUnavailable.
            limits: of what is accepted.
            on_end: called with the stream of an upload none of whose frames will come any more; raises
                StoreUnavailable to be called again.
        """
        self.limits = limits or UploadLimits()
        self._folder, self._store = folder, store
        self._send = send
        self._progress = Progress(store, committed, erase, on_end)
        self._jobs: dict[str, Job] = {}
        self._queues: dict[QueueName, _Queue] = {name: _Queue() for name in QUEUES}
        self._receiving = self._receiving_large = 0
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._threads = [
            *(
                threading.Thread(target=self._send_all, args=(name,), name=f"upload-{name}", daemon=True)
                for name in QUEUES
            ),
            threading.Thread(target=self._watch, name="upload-watch", daemon=True),
        ]

    def start(self) -> Uploads:
        """Resume what an earlier server has left, and take new files."""
        for note in self._folder.notes():
            with suppress(KeyError, TypeError, ValueError):
                self._resume(note)
        for thread in self._threads:
            thread.start()
        return self

    def close(self) -> None:
        """End; what is being sent is stopped, and sent again by the next server."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(20)
        self._folder.close()

    @contextmanager
    def receiving(self, size: int) -> Iterator[IncomingFile]:
        """A file to write to; it is deleted at the end unless it was accepted.

        Args:
            size: that it is said to have, in bytes.

        Raises:
            UploadRefused: too many files are under way, or the disk has no space. Where it depends on the file's
                kind it is raised by the write by which that is known.
        """
        with self._receive_slot(size), ExitStack() as reserved:

            def admit(kind: Kind) -> int:
                reserved.enter_context(self._reserved(self.limits.queue(kind, size)))
                return self.limits.max_bytes(kind)

            file = self._folder.receive(new_upload_id(), size, admit)
            try:
                yield file
            finally:
                file.discard()

    @contextmanager
    def _receive_slot(self, size: int) -> Iterator[None]:
        """Count a file among those that are being received."""
        limits = self.limits
        large = size > limits.image_bytes + _FORM_BYTES
        with self._changed:
            full = self._receiving >= limits.receiving
            full = full or (large and self._receiving_large >= max(1, limits.receiving - 1))
            if full or self._closed.is_set():
                raise UploadRefused("busy", f"{self._receiving} files are being received: try again")
            if all(map(self._is_full, QUEUES)):
                raise UploadRefused("busy", "too many files wait to be sent: try again")
            self._receiving += 1
            self._receiving_large += large
        try:
            yield
        finally:
            with self._changed:
                self._receiving -= 1
                self._receiving_large -= large

    @contextmanager
    def _reserved(self, name: QueueName) -> Iterator[None]:
        """Keep a slot of the queue for a file that is being received."""
        with self._changed:
            if self._is_full(name):
                raise UploadRefused("busy", f"too many {name.replace('-', ' ')} wait to be sent: try again")
            self._queues[name].receiving += 1
        try:
            yield
        finally:
            with self._changed:
                self._queues[name].receiving -= 1

    def _is_full(self, name: QueueName) -> bool:
        queue, limits = self._queues[name], self.limits
        unfinished = sum(self._queue_of(job.upload) == name for job in list(self._jobs.values()))
        waiting = len(queue.waiting) + queue.receiving
        return waiting >= limits.waiting or unfinished + queue.receiving >= limits.unfinished

    def _queue_of(self, upload: Upload) -> QueueName:
        return self.limits.queue(upload.kind, upload.bytes)

    def accept(self, file: IncomingFile, title: str) -> Upload:
        """Have a file sent that was received whole.

        Args:
            file: as ``receiving`` gave it.
            title: what the client calls it.

        Raises:
            UploadRefused: it is neither picture nor video, or too many are under way.
            StoreUnavailable: the store did not take it; nothing of it is kept.
        """
        path = file.finish()
        try:
            assert file.type is not None
            kind, now_us = file.type.kind, time.time_ns() // 1000
            upload = Upload(path.stem, path.stem, clean_title(title) or kind, kind, now_us, bytes=file.count)
            job = Job(upload, new_run_id())
            self._folder.note(upload.id, job.as_note())
            self._store.save(upload)
        except BaseException:
            self._folder.delete(path.stem)
            raise
        with self._changed:
            self._jobs[upload.id] = job
            self._queues[self._queue_of(upload)].waiting.append(job)
            self._changed.notify_all()
        return upload

    def get(self, upload_id: str) -> Upload | None:
        """The upload; raises StoreUnavailable."""
        job = self._jobs.get(upload_id)
        if job is not None and not job.deleted:
            return job.upload
        try:
            return self._store.get(upload_id)
        except ValueError as error:
            _log.warning("%s", error)
            return None

    def newest(self, limit: int = 50) -> list[Upload]:
        """About so many, newest first; raises StoreUnavailable."""
        found = (self.get(upload.id) if upload.id in self._jobs else upload for upload in self._store.newest(limit))
        return [upload for upload in found if upload is not None]

    def remove(self, upload_id: str) -> Erased | None:
        """Stop it, and delete its record, events, episodes and alerts; None where there is no such upload.

        Events of its frames that are on their way to be classified are deleted when they have been.

        Raises:
            StoreUnavailable: some may be deleted already; call again.
        """
        job = self._jobs.get(upload_id)
        if job is None and self.get(upload_id) is None:
            return None
        if job is not None:
            with self._changed:
                waiting = self._queues[self._queue_of(job.upload)].waiting
                if job in waiting:
                    waiting.remove(job)
                    job.deleted = True
                    self._drop(job)
                else:
                    self._folder.note(upload_id, {**job.as_note(), "deleted": True})
                    job.deleted = True
        return self._progress.delete(upload_id)

    def _resume(self, note: dict[str, Any]) -> None:
        """Continue an upload where an earlier server ended."""
        job = Job.from_note(note)
        has_file = self._folder.file(job.upload.id) is not None
        self._jobs[job.upload.id] = job
        if job.upload.state == "classifying":
            return
        if has_file and not job.deleted and job.attempts < _ATTEMPTS:
            job.change(state="waiting", sent=0, classified=0, total=None)
            self._queues[self._queue_of(job.upload)].waiting.append(job)
        else:
            why = "the server ended while it was sent" + (f", {job.attempts} times" if job.attempts > 1 else "")
            self._sent(job, replace(job.sent, error=why))

    def _send_all(self, name: QueueName) -> None:
        waiting = self._queues[name].waiting
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed.is_set() or waiting)
                if self._closed.is_set():
                    return
                job = waiting.popleft()
            try:
                self._send_one(job)
            except Exception as error:
                _log.exception("upload %s", job.upload.id)
                self._sent(job, replace(job.sent, error=f"it could not be sent: {type(error).__name__}"))

    def _send_one(self, job: Job) -> None:
        file = self._folder.file(job.upload.id)
        if file is None:
            self._sent(job, Sent(error="the file is not there any more"))
            return
        job.attempts += 1
        job.change(state="sending")
        self._folder.note(job.upload.id, job.as_note())

        def on_progress(sent: Sent) -> None:
            job.sent = sent
            job.change(total=sent.total, sent=sent.delivered)

        def stopped() -> bool:
            return self._closed.is_set() or job.deleted

        sent = self._send(file, job.upload, job.run, on_progress, stopped)
        if self._closed.is_set() and not job.deleted:
            return  # the file and the note stay: the next server sends it
        self._sent(job, sent)

    def _sent(self, job: Job, sent: Sent) -> None:
        """Note that all of it that could be sent is on the topic."""
        job.sent, job.moved_s = sent, time.monotonic()
        state = "failed" if sent.last_offset is None else "classifying"
        total = sent.total if sent.error else sent.delivered
        changes = {"state": state, "sent": sent.delivered, "total": total, "error": sent.error[:_MAX_ERROR]}
        # Noted first: once its state has changed, it may end, and its note be deleted, at any moment.
        self._folder.note(job.upload.id, job.as_note(**changes))
        job.change(**changes)
        self._folder.delete(job.upload.id, note=False)

    def _watch(self) -> None:
        swept = False
        while not self._closed.wait(_WATCH_S):
            for job in list(self._jobs.values()):
                try:
                    if self._progress.update(job):
                        self._drop(job)
                except (StoreRefused, StoreUnavailable) as error:
                    _log.debug("upload %s: %s", job.upload.id, error)  # tried again
                except Exception:
                    _log.exception("upload %s", job.upload.id)
            with suppress(StoreRefused, StoreUnavailable):
                if not swept:
                    self._store.setup()
                    self._progress.fail_orphans(self._jobs)
                    swept = True
        with suppress(StoreRefused, StoreUnavailable):
            for job in list(self._jobs.values()):
                self._progress.save(job)

    def _drop(self, job: Job) -> None:
        self._jobs.pop(job.upload.id, None)
        self._folder.delete(job.upload.id)
