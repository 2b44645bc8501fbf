"""An event as a MongoDB document."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Final

from framewatch.model.event import Event
from framewatch.model.event_fields import DOCUMENT_FIELDS, READ_FIELDS
from framewatch.storage.interface import Document

__all__ = ["Document", "from_document", "to_document"]

_WITH_DEFAULT: Final = frozenset(field.name for field in fields(Event) if field.default is not MISSING)


def to_document(event: Event) -> Document:
    """The event as stored. ``timestamp`` is for people; ranges, order and paging go by ``time_us``.

    Numbers become Python's own: BSON takes no other library's, and classifiers give them.
    """
    return {field.stored_as or field.name: (field.store or field.value)(event) for field in DOCUMENT_FIELDS}


def from_document(document: Mapping[str, Any]) -> Event:
    """The event of a document; without its crop when the document was read without.

    A document may lack what has a default in ``Event``, as those stored before a field was added do.

    Raises:
        ValueError: the document is no event: which field is missing or cannot be read.
    """
    try:
        there = (field for field in READ_FIELDS if field.name in document or field.name not in _WITH_DEFAULT)
        event = Event(**{field.name: field.read(document) for field in there if field.read})
        if event.id != document["_id"]:
            raise ValueError(f"its _id is not {event.id!r}")
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, binascii.Error) as error:
        what = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"document {document.get('_id')!r} is no event: {what}") from None
    return event
