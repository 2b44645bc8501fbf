"""Uploads in MongoDB: one small document for each, and how far its stream has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import pymongo
from pymongo.database import Database

from framewatch.model.upload import Upload
from framewatch.storage.interface import Document
from framewatch.storage.mongo.client import primary, store_errors
from framewatch.storage.mongo.indexes import Keys, make_indexes
from framewatch.storage.mongo.query import between
from framewatch.storage.mongo.timeline import Timeline, readable

UPLOADS = "uploads"


_INDEXES: Sequence[Keys] = ([("time_us", pymongo.DESCENDING)],)


class UploadStore:
    """Uploads written and found again. Every method raises StoreUnavailable when the store does not answer."""

    def __init__(self, database: Database[Document]) -> None:
        self._uploads = primary(database, UPLOADS)
        self._timeline = Timeline(self._uploads, "time_us")

    def setup(self) -> None:
        """Make the indexes that are not there yet."""
        make_indexes(self._uploads, _INDEXES)

    def save(self, upload: Upload) -> None:
        """Store the upload as it is by now."""
        fields = asdict(upload)
        with store_errors("storing an upload"):
            self._uploads.update_one({"_id": fields.pop("id")}, {"$set": fields}, upsert=True)

    def get(self, upload_id: str) -> Upload | None:
        """The upload, or None.

        Raises:
            ValueError: the document of this id is no upload.
        """
        with store_errors("reading an upload"):
            document = self._uploads.find_one({"_id": {"$eq": upload_id}})
        return _from_document(document) if document else None

    def newest(self, limit: int = 50) -> list[Upload]:
        """About so many uploads, newest first; see Timeline.page."""
        with store_errors("reading uploads"):
            rows, _ = self._timeline.page({"time_us": between(None, None)}, limit)
        return list(readable(rows, _from_document))

    def delete(self, upload_id: str) -> bool:
        """Delete the upload, and nothing of its stream; whether there was one."""
        with store_errors("deleting an upload"):
            return self._uploads.delete_one({"_id": upload_id}).deleted_count > 0

    def prune(self, before_us: int) -> int:
        """Delete the uploads that came before the time, a batch at a time; return how many."""
        with store_errors("deleting uploads"):
            return self._timeline.delete({"time_us": between(None, before_us)})


def _from_document(document: Document) -> Upload:
    try:
        total = document["total"]
        return Upload(
            id=str(document["_id"]),
            stream=str(document["stream"]),
            title=str(document["title"]),
            kind=document["kind"],
            time_us=int(document["time_us"]),
            state=document["state"],
            total=None if total is None else int(total),
            sent=int(document["sent"]),
            classified=int(document["classified"]),
            error=str(document["error"]),
            bytes=int(document["bytes"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"document {document.get('_id')!r} is no upload: {error}") from None
