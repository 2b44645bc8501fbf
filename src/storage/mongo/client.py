"""The MongoDB client, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pymongo
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, ConfigurationError, ConnectionFailure, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from framewatch.errors import SettingError, StoreRefused, StoreUnavailable
from framewatch.storage.interface import Document

_MAX_REASON: Final = 300  # characters of what the driver says

# Each gives way to the same option of the address.
_DEFAULTS: Final[Mapping[str, Any]] = {
    "appname": "framewatch",
    # Ours can be repeated as they are, and the embedded store has no sessions to retry in.
    "retryWrites": False,
    # So that a store that is away is noticed within seconds.
    "serverSelectionTimeoutMS": 2_000,
    "connectTimeoutMS": 2_000,
    "socketTimeoutMS": 20_000,
    "maxPoolSize": 16,
}

# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
_NO_RIGHTS: Final = frozenset({13})
_NO_LOGIN: Final = frozenset({11, 18, 8000})  # no such user, wrong password; the last is Atlas's own
INDEX_CONFLICTS: Final = frozenset({85, 86})
_OTHER_REFUSALS: Final = frozenset(
    # Bad values and options, commands and stages that the server does not know, a collection that is a view or
    # capped, an index that cannot be made.
    {2, 9, 14, 20, 48, 59, 61, 67, 68, 72, 73, 76, 115, 166, 167, 197, 238, 303, 323, 10003, 40324, 40415, 40573}
)
DOCUMENT_REFUSALS: Final = frozenset(
    # Of one document: overflow, invalid BSON, field names, a validator, too large, keys of an index, shard key.
    {2, 14, 15, 16, 22, 52, 57, 61, 121, 171, 10334, 17280, 17419, 17420, 16755}
)
REFUSALS: Final = _NO_RIGHTS | _NO_LOGIN | INDEX_CONFLICTS | _OTHER_REFUSALS | DOCUMENT_REFUSALS
_TO_DO: Final[Mapping[frozenset[int], str]] = {
    _NO_RIGHTS: "give the user of MONGODB_URI the role readWrite on the database",
    _NO_LOGIN: "check user, password and authSource of MONGODB_URI",
    INDEX_CONFLICTS: "drop that index, or name another database by FRAMEWATCH_DATABASE",
}


def connect(uri: str) -> pymongo.MongoClient[Document]:
    """A client that notices within seconds that the store is away; it connects at the first use.

    Options of the address come before ours, but for how values are read. Writes must be acknowledged.

    Raises:
        SettingError: the address cannot be used.
    """
    named = {option.partition("=")[0].lower() for option in re.split("[&;]", uri.partition("?")[2])}
    try:
        client: pymongo.MongoClient[Document] = pymongo.MongoClient(
            uri,
            tz_aware=True,
            # A document of another program with half a character or the year 20000 must not end a whole list.
            unicode_decode_error_handler="replace",
            datetime_conversion="DATETIME_AUTO",
            **{name: value for name, value in _DEFAULTS.items() if name.lower() not in named},
        )
    except (PyMongoError, ValueError, OSError) as error:
        raise SettingError(f"the store's address (MONGODB_URI) cannot be used: {_guarded(str(error), uri)}") from None
    if not client.write_concern.acknowledged:
        client.close()
        raise SettingError(
            "the store's address (MONGODB_URI) cannot be used: got w=0, by which a lost event goes unnoticed: "
            "leave it out, or use w=majority"
        )
    return client


def primary(database: Database[Document], name: str) -> Collection[Document]:
    """The collection as its primary has it now, whatever ``readPreference`` and ``readConcernLevel`` say.

    For all that is written again from what was read: counts, deletions, what a worker goes on with.
    """
    return database.get_collection(name, read_preference=pymongo.ReadPreference.PRIMARY, read_concern=ReadConcern())


def _guarded(text: str, uri: str) -> str:
    """The text, or less when a part of the address's user name or password stands in it."""
    secrets = re.split(r"[:/@]+", uri.partition("://")[2].rpartition("@")[0])
    return "it is no MongoDB address" if any(len(s) > 2 and s in text for s in secrets) else text


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn what the driver raises into one line: what was being done, what is wrong and, if known, what to do.

    Raises:
        StoreUnavailable: the same may go well later.
        StoreRefused: it will not.
    """
    try:
        yield
    except ConnectionFailure as error:
        raise StoreUnavailable(f"{doing}: the store does not answer: {_reason(error)}") from error
    except PyMongoError as error:
        kind = StoreRefused if _is_refusal(error) else StoreUnavailable
        raise kind(f"{doing}: {_reason(error)}{_to_do(error)}") from error


def _is_refusal(error: PyMongoError) -> bool:
    """Whether the same will be refused again, however often it is tried."""
    if isinstance(error, ConnectionFailure) or error.timeout:
        return False
    if isinstance(error, ConfigurationError):  # such as a server that is too old for the driver
        return True
    return any(code in REFUSALS for code in _codes(error))


def _codes(error: PyMongoError) -> list[int]:
    if isinstance(error, BulkWriteError):
        return [int(refused.get("code") or 0) for refused in error.details.get("writeErrors") or ()]
    return [error.code] if isinstance(error, OperationFailure) and error.code is not None else []


def _to_do(error: PyMongoError) -> str:
    found = [what for codes, what in _TO_DO.items() if codes & set(_codes(error))]
    return f": {found[0]}" if found else ""


def _reason(error: PyMongoError) -> str:
    """What is wrong, without the driver's picture of the topology and without whole documents."""
    text = str(error)
    if isinstance(error, BulkWriteError) and (refused := error.details.get("writeErrors")):
        text = str(refused[0].get("errmsg"))
    first = re.split(r", Timeout:| \(configured timeouts|, full error:", text, maxsplit=1)[0]
    return " ".join(first.split())[:_MAX_REASON]
