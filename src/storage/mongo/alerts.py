"""Alerts in MongoDB: where and when a rule was broken, until when, and whether the webhook knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import pymongo
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from framewatch.model.alert import Alert, Webhook
from framewatch.model.filters import EventFilter
from framewatch.storage.interface import AlertPage, Document
from framewatch.storage.mongo.client import primary, store_errors
from framewatch.storage.mongo.indexes import Keys, make_indexes
from framewatch.storage.mongo.query import between, name_query
from framewatch.storage.mongo.timeline import Timeline, readable

ALERTS = "alerts"


_INDEXES: Sequence[Keys] = (
    [("start_us", pymongo.DESCENDING)],
    *(
        [(field, pymongo.ASCENDING), ("start_us", pymongo.DESCENDING)]
        for field in ("stream", "rule", "open", "webhook")
    ),
)


class AlertStore:
    """Alerts written and found again. Every method raises StoreUnavailable when the store does not answer.

    An alert belongs to a period when it starts in it. It has no confidence: ``min_confidence`` is not looked at.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._alerts = primary(database, ALERTS)
        self._timeline = Timeline(self._alerts, "start_us")
        self._lists = Timeline(database[ALERTS], "start_us")  # wherever the address says that is read

    def setup(self) -> None:
        """Make the indexes that are not there yet."""
        make_indexes(self._alerts, _INDEXES)

    def add(self, alert: Alert) -> bool:
        """Store the alert; False, and nothing changed, where one of this id is stored."""
        with store_errors("storing an alert"):
            try:
                self._alerts.insert_one(_to_document(alert))
            except DuplicateKeyError:
                return False
        return True

    def end(self, alert_id: str, until_us: int) -> None:
        """Set when the breach was over; nothing where the alert was deleted meanwhile."""
        self._set(alert_id, {"until_us": until_us, "open": 0})

    def mark(self, alert_id: str, webhook: Webhook, attempts: int, error: str) -> None:
        """Set how far the webhook has been told; nothing where the alert was deleted meanwhile."""
        self._set(alert_id, {"webhook": webhook, "attempts": attempts, "error": error})

    def get(self, alert_id: str) -> Alert | None:
        """The alert, or None.

        Raises:
            ValueError: the document of this id is no alert.
        """
        with store_errors("reading an alert"):
            document = self._alerts.find_one({"_id": {"$eq": alert_id}})
        return _from_document(document) if document else None

    def open(self) -> list[Alert]:
        """All alerts that last, newest first."""
        with store_errors("reading alerts"):
            return list(readable(self._timeline.rows(_query(EventFilter(), open={"$eq": 1})), _from_document))

    def waiting(self, limit: int = 100) -> list[Alert]:
        """Alerts that the webhook is to be told, the longest waiting first."""
        query = _query(EventFilter(), webhook={"$eq": "waiting"})
        with store_errors("reading alerts"):
            rows = self._alerts.find(query).sort("start_us", pymongo.ASCENDING).batch_size(max(2, limit))
            return list(islice(readable(rows, _from_document), max(1, limit)))

    def page(
        self,
        where: EventFilter,
        rule: str | None = None,
        open_only: bool = False,
        limit: int = 50,
        cursor: int | None = None,
    ) -> AlertPage:
        """About ``limit`` alerts, newest start first, started before the cursor.

        All alerts of one start stand on one page, so a page can be longer than the limit.

        Args:
            where: which alerts.
            rule: only of this rule.
            open_only: only those that last.
            limit: 1 to ``MAX_PAGE``; a number outside counts as the nearer end.
            cursor: of the page before, or None for the first page.
        """
        more = ({} if rule is None else {"rule": {"$eq": rule}}) | ({"open": {"$eq": 1}} if open_only else {})
        with store_errors("reading alerts"):
            rows, cursor = self._lists.page(_query(where, cursor, **more), limit)
        return AlertPage(list(readable(rows, _from_document)), cursor)

    def count(self, where: EventFilter) -> int:
        """How many alerts start in the period."""
        with store_errors("counting alerts"):
            return self._timeline.count(_query(where))

    def delete(self, where: EventFilter) -> int:
        """Delete the alerts that start in the period; return how many."""
        with store_errors("deleting alerts"):
            return self._timeline.delete(_query(where))

    def prune(self, before_us: int) -> int:
        """Delete the alerts that started before the time, also those that last; return how many."""
        return self.delete(EventFilter(until_us=before_us))

    def _set(self, alert_id: str, fields: dict[str, Any]) -> None:
        with store_errors("storing an alert"):
            self._alerts.update_one({"_id": alert_id}, {"$set": fields})


def _query(where: EventFilter, before_us: int | None = None, **more: Document) -> Document:
    ends = [end for end in (where.until_us, before_us) if end is not None]
    return name_query(where) | more | {"start_us": between(where.since_us, min(ends, default=None))}


def _to_document(alert: Alert) -> Document:
    """The alert as stored; ``open`` is for looking up, since no index finds what is not there."""
    return {"_id": alert.id, "open": int(alert.until_us is None)} | asdict(alert) | {"seconds": float(alert.seconds)}


def _from_document(document: Document) -> Alert:
    try:
        until_us = document["until_us"]
        alert = Alert(
            rule=str(document["rule"]),
            stream=str(document["stream"]),
            label=str(document["label"]),
            start_us=int(document["start_us"]),
            since_us=int(document["since_us"]),
            seconds=float(document["seconds"]),
            text=str(document["text"]),
            until_us=None if until_us is None else int(until_us),
            webhook=document["webhook"],
            attempts=int(document["attempts"]),
            error=str(document["error"]),
        )
        if alert.id != document["_id"]:
            raise ValueError(f"its _id is not {alert.id!r}")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"document {document.get('_id')!r} is no alert: {error}") from None
    return alert
