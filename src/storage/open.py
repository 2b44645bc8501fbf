"""The store that an address names: one line for each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from framewatch.errors import SettingError
from framewatch.storage.interface import Store
from framewatch.storage.mongo.store import open_mongo

_KINDS: Final[dict[str, Callable[[str, str], Store]]] = {
    "mongodb": open_mongo,
    "mongodb+srv": open_mongo,
}


def open_store(uri: str, database: str) -> Store:
    """The store at the address; it connects at the first use. Close it, or use it in a ``with``.

    Args:
        uri: such as ``mongodb://127.0.0.1:27017``.
        database: name of the database in it.

    Raises:
        SettingError: the address cannot be used. It may hold a password, so it is not in the message.
    """
    make = _KINDS.get(uri.partition("://")[0].lower())
    if make is None:
        raise SettingError(
            f"the store's address (MONGODB_URI) cannot be used: expected one that begins with "
            f"{' or '.join(f'{kind}://' for kind in _KINDS)}"
        )
    return make(uri, database)
