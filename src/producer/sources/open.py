"""The kinds of sources, and which of them a person means.

A source is opened, read picture by picture, and closed. One that ends early says so by a SourceError after its
last readable picture, so whoever reads it has sent what could be read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from framewatch.objects.base import Access
from framewatch.objects.open import is_bucket
from framewatch.producer.sources.base import Request, Source
from framewatch.producer.sources.bucket import open_bucket
from framewatch.producer.sources.camera import is_address, is_webcam, open_address, open_webcam
from framewatch.producer.sources.path import is_file_address, open_file_address, open_path
from framewatch.vision.images import MAX_SIDE

Kind: TypeAlias = tuple[Callable[[str], bool], Callable[[Request], Source]]
"""Whether a text is meant as a source of this kind, and what opens it."""

KINDS: Final[list[Kind]] = [
    (is_bucket, open_bucket),
    (is_file_address, open_file_address),
    (is_address, open_address),
    (is_webcam, open_webcam),
]


def open_source(
    text: str,
    sleep: Callable[[float], object],
    access: Access | None = None,
    wait_s: float = 60,
    max_pixels: int | None = None,
    max_side: int = MAX_SIDE,
) -> Source:
    """The source that a person names, of the first kind that takes the text, else a path; see ``Request``.

    Raises:
        SourceError: it cannot be read, and why.
        ObjectsUnavailable: its object store does not answer.
    """
    request = Request(text, sleep, access or Access(), wait_s, max_pixels, max_side)
    for is_meant, opens in KINDS:
        if is_meant(text):
            return opens(request)
    return open_path(request)
