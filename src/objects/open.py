"""The location that an address names: a bucket or a folder."""

from __future__ import annotations

from pathlib import Path

from framewatch.errors import SettingError, install_hint
from framewatch.objects.base import SCHEME, Access, Objects
from framewatch.objects.folder import Folder


def is_bucket(text: str) -> bool:
    """Whether the text is meant as the address of something in a bucket."""
    return text[: len(SCHEME)].lower() == SCHEME


def open_objects(text: str, access: Access) -> Objects:
    """The objects at ``s3://bucket/prefix/`` or in a folder; nothing is connected to.

    Raises:
        SettingError: the text or the access cannot be used; what may be a secret is not shown.
    """
    if is_bucket(text):
        try:
            from framewatch.objects.s3 import Bucket  # noqa: PLC0415 - only who uses an object store pays for its client
        except ModuleNotFoundError as error:
            raise SettingError(f"a bucket needs {error.name}, which is not installed: {install_hint('s3')}") from None
        return Bucket(text[len(SCHEME) :], access)
    if "://" in text or not text:
        raise SettingError(f"got {text.partition('://')[0][:20]!r}: expected s3://bucket/prefix/ or a folder")
    return Folder(Path(text).absolute())
