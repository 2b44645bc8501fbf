"""Objects by their names: below a prefix of a bucket (S3, MinIO and their like), or in a folder of this machine.

    objects = open_objects("s3://lake/training/", Access(endpoint="http://127.0.0.1:9000"))
    for name in objects.names():
        content = objects.read(name)

Opening connects to nothing. Every request ends within seconds, whatever the server does; one that it did not answer
is worth trying again (``ObjectsUnavailable``, see ``patiently``), one that it refused is not (``SettingError``).
"""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from framewatch.errors import ObjectsUnavailable, SourceError

T = TypeVar("T")
_log = logging.getLogger(__name__)

SCHEME: Final = "s3://"
MAX_OBJECT_BYTES: Final = 64 * 1024**2  # larger ones are not read: a picture is smaller


_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Access:
    """How an object store is reached. Keys that are None are looked for where AWS's own programs look for them.

    Attributes:
        endpoint: the server's address, such as ``http://127.0.0.1:9000``; None for AWS.
        key_id: access key.
        secret: its secret; never in messages.
        token: session token of keys that are lent for a time.
        region: of the bucket; None for us-east-1 at an endpoint, and at AWS for what its own programs are set to.
    """

    endpoint: str | None = None
    key_id: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    region: str | None = None


class Objects(ABC):
    """The objects below one location, which any thread may ask for. Made by ``open_objects``.

    Every verb raises ObjectsUnavailable when there was no answer (of a write, nobody knows then what became of it),
    and SettingError when the location is not there or may not be used.

    Attributes:
        location: for messages: ``s3://bucket/prefix/`` or the folder.
    """

    def __init__(self, location: str) -> None:
        self.location = location

    @abstractmethod
    def prepare(self) -> None:
        """Know that the bucket is there; make the folder where it is one."""

    def names(self) -> list[str]:
        """Names of all objects below the location, also in folders there (``smoking/2.jpg``), 2 before 10."""
        return list(self.versions())

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """For each of the names a text that is another one once the object has changed: its size and time."""

    def reachable(self) -> dict[str, str]:
        """The ``versions`` of what can be read, once each: for who knows by name what it needs."""
        return self.versions()

    @abstractmethod
    def find(self, name: str, at_most: int = MAX_OBJECT_BYTES) -> bytes | None:
        """The whole object, or None where there is none.

        Raises:
            SourceError: it is larger than ``at_most`` bytes, or no object of that name can be read.
        """

    @abstractmethod
    def write(self, name: str, content: bytes, kind: str = "application/octet-stream") -> None:
        """Put the object there, in place of what stands there; readers see the old one or the new one whole.

        Args:
            name: below the location.
            content: of the object.
            kind: its media type.
        """

    def read(self, name: str, at_most: int = MAX_OBJECT_BYTES) -> bytes:
        """The whole object.

        Raises:
            SourceError: as ``find`` does, or it is not there.
        """
        content = self.find(name, at_most)
        if content is None:
            raise SourceError(f"{self.address(name)}: it is not there (any more)")
        return content

    def address(self, name: str) -> str:
        """The object's address, for messages: whatever is in its name, it is one line."""
        return f"{self.location}{name}" if name.isprintable() else f"{self.location}{name!a}"

    def checked(self, name: str) -> str:
        """The name, which leads to nothing outside the location."""
        if not {"", ".", ".."}.isdisjoint(name.split("/")) or "\0" in name:
            raise SourceError(f"{self.address(name)}: an object of that name cannot be reached")
        return name


def patiently(do: Callable[[], T], sleep: Callable[[float], object], wait_s: float | None = None) -> T:
    """Do it, again and again while the object store does not answer, each wait twice the last up to ten seconds.

    Args:
        do: asks the store.
        sleep: waits the given seconds; raising ends it.
        wait_s: seconds to wait in all, or None for as long as it takes.

    Raises:
        ObjectsUnavailable: no answer in that time.
    """
    waited_s, next_s = 0.0, _FIRST_WAIT_S
    while True:
        try:
            return do()
        except ObjectsUnavailable as error:
            if wait_s is not None and waited_s >= wait_s:
                raise
            _log.warning("%s; trying again in %.1f s", error, next_s)
        sleep(next_s)
        waited_s, next_s = waited_s + next_s, min(_LONGEST_WAIT_S, 2 * next_s)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which ``frame2`` stands before ``frame10``; never the same for two names."""
    parts = re.findall(r"\d+|\D+", name)
    return [*(_value(part) if part.isdecimal() else (1, 0, part) for part in parts), (-1, 0, name)]


def _value(number: str) -> tuple[int, int, str]:
    """A number's rank among others, of any script, and of more digits than ``int`` takes."""
    digits = "".join(str(int(digit)) for digit in number).lstrip("0")
    return 0, len(digits), digits
