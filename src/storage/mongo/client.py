"""The MongoDB client, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pymongo
from pymongo.errors import BulkWriteError, ConnectionFailure, PyMongoError

from framewatch.errors import SettingError, StoreUnavailable
from framewatch.storage.mongo.documents import Document

_MAX_REASON = 300  # characters of what the driver says


def connect(uri: str) -> pymongo.MongoClient[Document]:
    """A client that notices within seconds that the store is away; it connects at the first use.

    Writes are not retried by the driver: ours can be repeated as they are, and the embedded store has no
    sessions to retry in.

    Raises:
        SettingError: the address cannot be used.
    """
    try:
        return pymongo.MongoClient(
            uri,
            appname="framewatch",
            tz_aware=True,
            retryWrites=False,
            serverSelectionTimeoutMS=2_000,
            connectTimeoutMS=2_000,
            socketTimeoutMS=20_000,
            maxPoolSize=16,
            # A document of another program with half a character or the year 20000 must not end a whole list.
            unicode_decode_error_handler="replace",
            datetime_conversion="DATETIME_AUTO",
        )
    except (PyMongoError, ValueError, OSError) as error:
        raise SettingError(f"the store's address (MONGODB_URI) cannot be used: {_guarded(str(error), uri)}") from None


def _guarded(text: str, uri: str) -> str:
    """The text, or less when a part of the address's user name or password stands in it."""
    secrets = re.split(r"[:/@]+", uri.partition("://")[2].rpartition("@")[0])
    return "it is no MongoDB address" if any(len(s) > 2 and s in text for s in secrets) else text


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn what the driver raises into StoreUnavailable, saying in one line what was being done and what is wrong."""
    try:
        yield
    except ConnectionFailure as error:
        raise StoreUnavailable(f"{doing}: the store does not answer: {_reason(error)}") from error
    except PyMongoError as error:
        raise StoreUnavailable(f"{doing}: {_reason(error)}") from error


def _reason(error: PyMongoError) -> str:
    """What is wrong, without the driver's picture of the topology and without whole documents."""
    text = str(error)
    if isinstance(error, BulkWriteError) and (refused := error.details.get("writeErrors")):
        text = str(refused[0].get("errmsg"))
    first = re.split(r", Timeout:| \(configured timeouts|, full error:", text, maxsplit=1)[0]
    return " ".join(first.split())[:_MAX_REASON]
