"""How far uploads are: computed from the offsets that the group has committed, and written to the store."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from framewatch.model.filters import EventFilter
from framewatch.storage.interface import Erased, UploadStore
from framewatch.uploads.jobs import OPEN, Job, Sent

_log = logging.getLogger(__name__)

_SAVE_S: Final = 1.0  # between two of the same upload
_STALLED_S: Final = 6 * 3600.0  # without a frame classified
_LOST_US: Final = 24 * 3600 * 1_000_000  # after which an upload that nobody has is given up
_NEWEST: Final = 200  # uploads of the store among which such ones are sought


class Progress:
    """Follows uploads. Every method raises StoreUnavailable."""

    def __init__(
        self,
        store: UploadStore,
        committed: Callable[[int], int | None],
        erase: Callable[[EventFilter], Erased],
        on_end: Callable[[str], None],
    ) -> None:
        """Follow no upload yet. For the arguments see ``Uploads``."""
        self._store, self._committed, self._erase, self._on_end = store, committed, erase, on_end
        self._saving = threading.Lock()

    def update(self, job: Job) -> bool:
        """Update the job and its record in the store; whether it has ended and needs no more updates."""
        upload = job.upload
        sent = job.sent  # read after the upload: it is complete before the state becomes classifying
        if upload.state in {"sending", "classifying"} and sent.last_offset is not None:
            classified = self._classified(sent)
            if classified > upload.classified:
                job.moved_s = time.monotonic()
                job.change(classified=classified)
            if upload.state == "classifying":
                if classified >= sent.delivered:
                    job.change(state="failed" if upload.error else "done")
                elif time.monotonic() - job.moved_s > _STALLED_S:
                    why = f"none of its frames was classified for {_STALLED_S / 3600:g} h"
                    job.change(state="failed", error=why)
        ended = job.upload.state not in OPEN
        if job.deleted:
            if ended:
                self._erase(EventFilter(stream=job.upload.id))
            return ended
        if ended and job.saved != job.upload:
            self._on_end(job.upload.id)
        if job.saved != job.upload and (ended or time.monotonic() - job.saved_s > _SAVE_S):
            self.save(job)
        return ended and job.saved == job.upload

    def save(self, job: Job) -> None:
        """Write it to the store if it has changed."""
        with self._saving:
            upload = job.upload
            if not job.deleted and job.saved != upload:
                self._store.save(upload)
                job.saved, job.saved_s = upload, time.monotonic()

    def delete(self, upload_id: str) -> Erased:
        """Delete the upload with its events, episodes and alerts. Of a job set ``deleted`` before."""
        with self._saving:  # so that nobody saves it just after
            erased = self._erase(EventFilter(stream=upload_id))
            self._store.delete(upload_id)
            return erased

    def fail_orphans(self, ours: Collection[str]) -> None:
        """Fail uploads whose servers are gone with their files."""
        for upload in self._store.newest(_NEWEST):
            old = upload.time_us < time.time_ns() // 1000 - _LOST_US
            if old and upload.state in OPEN and upload.id not in ours:
                self._on_end(upload.id)
                self._store.save(replace(upload, state="failed", error="the server that had it is gone"))

    def _classified(self, sent: Sent) -> int:
        """Frames of it that are stored: exact at the end only, for frames of other streams lie between them."""
        if sent.partition is None or sent.first_offset is None or sent.last_offset is None:
            return 0
        offset = self._committed(sent.partition)
        if offset is None or offset <= sent.first_offset:
            return 0
        done = min(1.0, (offset - sent.first_offset) / (sent.last_offset + 1 - sent.first_offset))
        return int(done * sent.delivered)
