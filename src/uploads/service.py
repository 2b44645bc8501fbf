"""Uploaded files on their way: received, sent to Kafka by a process of its own for each, classified like any frame.

    waiting ──► sending ──► classifying ──► done
                   └────────────┴─────────► failed

Done means that the group has committed the last of its frames, so that their events are stored, by whichever worker.
What was not done when a server ended goes on when it is started again: frames that are sent twice are stored once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final

from framewatch.errors import StoreUnavailable
from framewatch.model.filters import EventFilter
from framewatch.model.names import new_run_id, new_upload_id
from framewatch.model.upload import Upload
from framewatch.storage.interface import Erased, UploadStore
from framewatch.uploads.folder import IncomingFile, UploadFolder, UploadRefused
from framewatch.uploads.jobs import Job, Send, Sent, UploadLimits, shown
from framewatch.uploads.progress import Progress

_log = logging.getLogger(__name__)

_LOOK_S: Final = 0.5
_ATTEMPTS: Final = 3  # at sending one, by servers that ended meanwhile
_MAX_UNDERWAY: Final = 64  # uploads that are not classified yet
_MAX_ERROR: Final = 300  # characters


class Uploads:
    """Takes files, has them sent one after another, and knows how far each is."""

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
            store: of what is known of them.
            send: sends a file.
            committed: offset that the group has committed for a partition of the topic: that of the next record. None
                where there is none, or Kafka does not answer.
            erase: deletes what was seen; raises StoreUnavailable.
            limits: of what is taken.
            on_end: called with the stream of an upload none of whose frames will come any more; raises
                StoreUnavailable to be called again.
        """
        self.limits = limits or UploadLimits()
        self._folder, self._store = folder, store
        self._send = send
        self._progress = Progress(store, committed, erase, on_end)
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._receiving = 0
        self._changed = threading.Condition()
        self._closed = threading.Event()
        targets = {"upload-send": self._send_all, "upload-watch": self._watch}
        self._threads = [threading.Thread(target=target, name=name, daemon=True) for name, target in targets.items()]

    def start(self) -> Uploads:
        """Go on with what an earlier server has left, and take new ones."""
        for known in self._folder.notes():
            with suppress(KeyError, TypeError, ValueError):
                self._resume(known)
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
        """A place to write a file to; what is not accepted until the end is thrown away.

        Args:
            size: that it is said to have, in bytes.

        Raises:
            UploadRefused: there is no place, or no room on the disk.
        """
        with self._changed:
            if self._closed.is_set() or self._receiving >= self.limits.receiving:
                raise UploadRefused("busy", f"{self._receiving} files are being received: try again")
            if len(self._waiting) + self._receiving >= self.limits.waiting or len(self._jobs) >= _MAX_UNDERWAY:
                raise UploadRefused("busy", "too many files wait to be sent: try again")
            self._receiving += 1
        try:
            file = self._folder.incoming(new_upload_id(), size, self.limits.of)
            try:
                yield file
            finally:
                file.abandon()
        finally:
            with self._changed:
                self._receiving -= 1

    def accept(self, file: IncomingFile, title: str) -> Upload:
        """Have a file sent that was received whole.

        Args:
            file: as ``receiving`` gave it.
            title: for people.

        Raises:
            UploadRefused: it is nothing that is taken.
            StoreUnavailable: it cannot be noted; nothing of it is kept.
        """
        path = file.finish()
        try:
            assert file.form is not None
            kind, now_us = file.form.kind, time.time_ns() // 1000
            upload = Upload(path.stem, path.stem, shown(title) or kind, kind, now_us, bytes=file.count)
            job = Job(upload, new_run_id())
            self._folder.note(upload.id, job.as_note())
            self._store.save(upload)
        except BaseException:
            self._folder.forget(path.stem)
            raise
        with self._changed:
            self._jobs[upload.id] = job
            self._waiting.append(job)
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
        """Stop it, and delete all that is known of it and was seen in it; None where there is no such upload.

        Events of its frames that are on their way to be classified are deleted when they have been.

        Raises:
            StoreUnavailable: some may be deleted already; call again.
        """
        job = self._jobs.get(upload_id)
        if job is None and self.get(upload_id) is None:
            return None
        if job is not None:
            with self._changed:
                if job in self._waiting:
                    self._waiting.remove(job)
                    job.deleted = True
                    self._drop(job)
                else:
                    self._folder.note(upload_id, {**job.as_note(), "deleted": True})
                    job.deleted = True
        return self._progress.delete(upload_id)

    def _resume(self, known: dict[str, Any]) -> None:
        """Go on where the server before ended."""
        job = Job.from_note(known)
        has_file = self._folder.file(job.upload.id) is not None
        self._jobs[job.upload.id] = job
        if job.upload.state == "classifying":
            return
        if has_file and not job.deleted and job.attempts < _ATTEMPTS:
            job.change(state="waiting", sent=0, classified=0, total=None)
            self._waiting.append(job)
        else:
            why = "the server ended while it was sent" + (f", {job.attempts} times" if job.attempts > 1 else "")
            self._sent(job, replace(job.sent, error=why))

    def _send_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed.is_set() or self._waiting)
                if self._closed.is_set():
                    return
                job = self._waiting.popleft()
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
        """All of it that can be is on the topic."""
        job.sent, job.moved_s = sent, time.monotonic()
        state = "failed" if sent.last_offset is None else "classifying"
        total = sent.total if sent.error else sent.delivered
        changes = {"state": state, "sent": sent.delivered, "total": total, "error": sent.error[:_MAX_ERROR]}
        # Noted first: once it is told, it may be over, and its note deleted, at any moment.
        self._folder.note(job.upload.id, job.as_note(**changes))
        job.change(**changes)
        self._folder.forget(job.upload.id, note=False)

    def _watch(self) -> None:
        swept = False
        while not self._closed.wait(_LOOK_S):
            for job in list(self._jobs.values()):
                try:
                    if self._progress.look(job):
                        self._drop(job)
                except StoreUnavailable as error:
                    _log.debug("upload %s: %s", job.upload.id, error)  # tried again
                except Exception:
                    _log.exception("upload %s", job.upload.id)
            with suppress(StoreUnavailable):
                if not swept:
                    self._store.setup()
                    self._progress.sweep(self._jobs)
                    swept = True
        with suppress(StoreUnavailable):
            for job in list(self._jobs.values()):
                self._progress.save(job)

    def _drop(self, job: Job) -> None:
        self._jobs.pop(job.upload.id, None)
        self._folder.forget(job.upload.id)
