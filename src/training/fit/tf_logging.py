"""TensorFlow writes what nobody asked for to standard error, from where Python's logging cannot stop it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before its import; what matters comes as an exception too


@contextmanager
def quiet() -> Iterator[None]:
    """For what talks all the same: nothing that is written to standard error inside is shown. Exceptions pass."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
