"""The objects of a bucket, by pyarrow's S3 client. Use ``objects.open_objects``, which imports this when needed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

from pyarrow import ArrowInvalid
from pyarrow.fs import AwsStandardS3RetryStrategy, FileInfo, FileSelector, FileType, S3FileSystem

from framewatch.errors import ObjectsUnavailable, SettingError, SourceError
from framewatch.objects.base import MAX_OBJECT_BYTES, SCHEME, Access, Objects, natural_key

_CONNECT_S: Final = 3.0
_SILENCE_S: Final = 5.0  # without a byte from the server

_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_AWS_ERROR: Final = re.compile(r"AWS Error (\w+)(?: \(HTTP status (\d+)\))? during \w+ operation: (.*)", re.DOTALL)
_PASSING: Final = frozenset(
    {"NETWORK_CONNECTION", "INTERNAL_FAILURE", "SERVICE_UNAVAILABLE", "SLOW_DOWN", "THROTTLING", "REQUEST_TIMEOUT"}
)
_PASSING_STATUS: Final = frozenset({408, 425, 429})
_KEYS: Final = "is AWS_ACCESS_KEY_ID with its AWS_SECRET_ACCESS_KEY right, and may it list, read and write here?"
_REGION: Final = "is AWS_REGION the bucket's region, and AWS_ENDPOINT_URL the server's address?"


class Bucket(Objects):
    """The objects below a prefix of a bucket; see ``objects.Objects``."""

    def __init__(self, address: str, access: Access) -> None:
        """Take the address apart; nothing is connected to.

        Args:
            address: ``bucket/prefix/``.
            access: to the server.

        Raises:
            SettingError: either cannot be used; what may be a secret is not shown.
        """
        bucket, _, prefix = address.partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise SettingError(
                "expected s3://bucket/prefix/ with a bucket's name of 3 to 63 letters, digits, dots or hyphens; keys "
                "stand in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the server in AWS_ENDPOINT_URL"
            )
        parts = [part for part in prefix.split("/") if part]
        if not {".", ".."}.isdisjoint(parts) or not prefix.isprintable():
            raise SettingError(f"{SCHEME}{bucket}: got {prefix!r}: expected a prefix without . and .. such as test/")
        _check(access)
        self._bucket = bucket
        self._root = "/".join((bucket, *parts))
        self._access = access
        super().__init__(f"{SCHEME}{self._root}/")

    @cached_property
    def _files(self) -> S3FileSystem:
        access = self._access
        return S3FileSystem(
            access_key=access.key_id,
            secret_key=access.secret,
            session_token=access.token,
            region=access.region or ("us-east-1" if access.endpoint else None),
            endpoint_override=access.endpoint.rstrip("/") if access.endpoint else None,
            connect_timeout=_CONNECT_S,
            request_timeout=_SILENCE_S,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=1),  # we try again ourselves, and can be stopped
            allow_delayed_open=True,  # what is small goes in one request: it is there whole or not at all
        )

    def prepare(self) -> None:
        """Know that the bucket is there."""
        with self._answering():
            found = self._files.get_file_info(self._bucket).type
        if found != FileType.Directory:
            raise self._missing()

    def versions(self) -> dict[str, str]:
        """Names of all objects below the prefix, each with its size and time."""
        try:
            with self._answering():
                infos: list[FileInfo] = self._files.get_file_info(FileSelector(self._root, recursive=True))
        except FileNotFoundError:  # a prefix is there when something is below it
            self.prepare()
            return {}
        found = {info.path[len(self._root) + 1 :]: f"{info.size} {info.mtime_ns}" for info in infos if info.is_file}
        return {name: found[name] for name in sorted(found, key=natural_key)}

    def find(self, name: str, at_most: int = MAX_OBJECT_BYTES) -> bytes | None:
        """The whole object, or None where there is none."""
        path = f"{self._root}/{self.checked(name)}"
        try:
            with self._answering(), self._files.open_input_file(path) as file:
                if (size := file.size()) > at_most:
                    raise SourceError(f"{self.address(name)}: {size} bytes, at most {at_most}")
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes, kind: str = "application/octet-stream") -> None:
        """Put the object there."""
        path = f"{self._root}/{self.checked(name)}"
        with self._answering(), self._files.open_output_stream(path, metadata={"Content-Type": kind}) as file:
            file.write(content)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Errors as ours; that something is not there stays FileNotFoundError."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._error(error) from None
        except ArrowInvalid as error:  # such as of a thread that still asks while the program ends
            raise ObjectsUnavailable(f"{self.location}: {_one_line(str(error))}") from None

    def _error(self, error: OSError) -> ObjectsUnavailable | SettingError:
        found = _AWS_ERROR.search(str(error))
        if not found:
            return ObjectsUnavailable(f"{self.location}: {_one_line(str(error))}")
        code, status, detail = found[1], int(found[2] or 0), _one_line(found[3])
        said = f"{status} {detail}" if status else f"{code.lower().replace('_', ' ')}: {detail}"
        if code in _PASSING or status in _PASSING_STATUS or status >= 500:
            return ObjectsUnavailable(f"{self.location}: the object store does not answer as it should ({said})")
        if code == "NO_SUCH_BUCKET":
            return self._missing()
        return SettingError(f"{self.location}: refused ({said}): {_REGION if status in (301, 307, 400) else _KEYS}")

    def _missing(self) -> SettingError:
        return SettingError(f"{self.location}: there is no bucket {self._bucket!r}: make it first")


def _check(access: Access) -> None:
    if (access.key_id is None) != (access.secret is None):
        raise SettingError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: one is set, the other is not")
    if access.endpoint is None:
        return
    try:
        parts = urlsplit(access.endpoint)
        good = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.path.strip("/") or parts.query or parts.fragment:
        raise SettingError("AWS_ENDPOINT_URL: expected http://host:port or https://host:port, and nothing else")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
