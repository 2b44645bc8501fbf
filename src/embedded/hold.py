"""One set of services at a time in a home."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from framewatch.embedded.home import Home
from framewatch.errors import ServiceError


@contextmanager
def held(home: Home) -> Iterator[None]:
    """Be the only one that runs services in this home. The lock ends with the process, however that ends.

    Raises:
        ServiceError: somebody else does.
    """
    holder = home.pids / "holder"
    lock = FileLock(home.pids / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        process = _read(holder)
        by = f"by Ctrl-C or `kill {process}`" if process.isdecimal() else "by Ctrl-C"
        raise ServiceError(
            f"the services of {home.folder} are running already (process {process}): "
            f"end it {by}, or name another home by --home"
        ) from None
    try:
        holder.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return "unknown"
