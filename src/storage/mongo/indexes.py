"""Indexes made where they are missing, and told of where another one is in the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from framewatch.storage.interface import Document
from framewatch.storage.mongo.client import INDEX_CONFLICTS, store_errors

Keys = Sequence[tuple[str, int]]

# Options by which an index holds other documents than ours would, refuses some, or deletes them.
_CHANGE_IT: Final = {"unique", "sparse", "partialFilterExpression", "expireAfterSeconds", "collation", "hidden"}


def make_indexes(collection: Collection[Document], indexes: Sequence[Keys]) -> None:
    """Make the indexes that are not there yet; one with the same keys and another name does as well.

    Raises:
        StoreUnavailable: the store did not answer.
        StoreRefused: an index of this name has other keys or options, or the user may make none.
    """
    for keys in indexes:
        name = "_".join(f"{field}_{order}" for field, order in keys)
        with store_errors(f"making the index {name} of {collection.full_name}"):
            try:
                collection.create_index(keys)
            except OperationFailure as error:
                if error.code not in INDEX_CONFLICTS or not _is_there(collection, keys):
                    raise


def _is_there(collection: Collection[Document], keys: Keys) -> bool:
    return any(
        list(index["key"]) == list(keys) and not any(index.get(option) for option in _CHANGE_IT)
        for index in collection.index_information().values()
    )
