"""Pictures in a bucket (S3, MinIO and their like), one after another."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import Final

from framewatch.errors import SettingError, SourceError
from framewatch.objects.base import Objects, patiently
from framewatch.objects.open import open_objects
from framewatch.producer.sources.base import Picture, Request, Source
from framewatch.producer.sources.pictures import PICTURES, decoded, own_name

_log = logging.getLogger(__name__)

_AHEAD: Final = 4  # objects asked for before they are needed
_LOOK_UP_S: Final = 0.1

Sleep = Callable[[float], object]


def open_bucket(request: Request) -> Source:
    """The pictures of ``s3://bucket/prefix/`` in the order of their names, or the one of ``s3://bucket/name.jpg``.

    An object store that stops answering is waited for, however long it takes; no picture is left out for it.

    Raises:
        SourceError: the bucket cannot be read, or has no pictures there.
        ObjectsUnavailable: no answer in that time.
    """
    text, sleep = request.text, request.sleep
    folder, _, last = text.rpartition("/")
    only = last if _is_picture(last) else None
    with _as_source_errors():
        objects = open_objects(text if only is None else f"{folder}/", request.access)

    def listed(wait_s: float | None) -> list[str]:
        with _as_source_errors():
            return _pictures_of(objects, [only] if only else patiently(objects.names, sleep, wait_s))

    names = listed(request.wait_s)
    opened = iter([names])

    def read() -> Iterator[Picture]:
        """Listed anew each time round, for pictures may have come since."""
        yield from _pictures(objects, next(opened, []) or listed(None), sleep, request.max_side)

    return Source(objects.location, live=False, fps=None, count=len(names), read=read)


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in PICTURES


def _pictures_of(objects: Objects, names: list[str]) -> list[str]:
    """Those right below the prefix that are pictures, as of a folder."""
    pictures = [name for name in names if "/" not in name and _is_picture(name)]
    if not pictures:
        raise SourceError(f"{objects.location}: no pictures there ({', '.join(sorted(PICTURES))})")
    if others := len(names) - len(pictures):
        _log.info("%s: %d others are no pictures, or further down: passed over", objects.location, others)
    return pictures


def _pictures(objects: Objects, names: list[str], sleep: Sleep, max_side: int) -> Iterator[Picture]:
    """All pictures, a few read ahead; one that cannot be read is named and passed over, and the end says how many."""
    broken = 0
    pool = ThreadPoolExecutor(_AHEAD, "objects")
    asked: dict[str, Future[Picture | SourceError]] = {}

    def answer(name: str) -> Picture | SourceError:
        future = asked.pop(name, None) or pool.submit(_fetched, objects, name, max_side)
        while wait([future], _LOOK_UP_S).not_done:
            sleep(0)  # ends it when it is to stop, whatever the server does
        return future.result()

    try:
        for k, name in enumerate(names):
            for ahead in names[k : k + _AHEAD]:
                if ahead not in asked:
                    asked[ahead] = pool.submit(_fetched, objects, ahead, max_side)
            with _as_source_errors():
                picture = patiently(partial(answer, name), sleep)
            if isinstance(picture, SourceError):
                broken += 1
                _log.warning("%s", picture)
            else:
                yield picture
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if broken:
        raise SourceError(f"{objects.location}: {broken} of {len(names)} pictures could not be read whole")


def _fetched(objects: Objects, name: str, max_side: int) -> Picture | SourceError:
    """The picture, or what is wrong with it; raises what is wrong with the object store."""
    try:
        return Picture(decoded(objects.read(name), objects.address(name), max_side), own_name(name))
    except SourceError as error:
        return error


@contextmanager
def _as_source_errors() -> Iterator[None]:
    try:
        yield
    except SettingError as error:
        raise SourceError(str(error)) from None
