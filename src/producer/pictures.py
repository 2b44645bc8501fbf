"""Files that are one picture each."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from errors import BadPicture, SourceError
from stream.names import is_file_name
from vision.pictures import MAX_SIDE, OF_ONES_OWN, read_picture
from vision.types import Image

_log = logging.getLogger(__name__)

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


def decoded(content: bytes, name: str, max_side: int = MAX_SIDE, max_pixels: int | None = None) -> Image:
    """The picture in a file, (height, width, 3) BGR, with the pixels that a model is trained on.

    Args:
        content: of the file.
        name: for messages.
        max_side: pixels of the longer side; a larger picture is scaled down.
        max_pixels: of the picture, looked at before anything is decoded; None for those of any camera.

    Raises:
        SourceError: it is no picture, or has more pixels.
    """
    accepted = OF_ONES_OWN
    if max_pixels is not None:
        most = {key: min(getattr(accepted, key), max_pixels) for key in ("pixels", "pixels_whole")}
        accepted = replace(accepted, **most)
    try:
        return read_picture(content, accepted, max_side).image
    except BadPicture as error:
        raise SourceError(f"{name}: not a picture that can be read: {error}") from None


def own_name(name: str) -> str | None:
    """The file's name as it goes with the picture; None, and said, where it is one that cannot."""
    if is_file_name(name):
        return name
    _log.warning("%a: a name that cannot go with the picture: it goes without", name[:300])
    return None
