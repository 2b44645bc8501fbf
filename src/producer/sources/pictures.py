"""Files that are one picture each."""

from __future__ import annotations

import logging
from dataclasses import replace
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Final

from framewatch.errors import BadPicture, SourceError
from framewatch.model.names import is_file_name
from framewatch.vision.classifier import Image
from framewatch.vision.images import MAX_SIDE, OF_ONES_OWN, read_picture

_log = logging.getLogger(__name__)

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_KEPT_BYTES: Final = 200  # of a name that cannot go with its picture


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


def own_name(name: str) -> str:
    """The file's name as it goes with the picture; where it cannot, another one, and that is said.

    The other one is the same each time and no other file's: what cannot be printed is ``_``, and a hash of the name
    stands behind it, ``a_b-1f3870be.png``.
    """
    if is_file_name(name):
        return name
    path = PurePosixPath(name)
    kept = "".join(c if c.isprintable() and c != "\\" else "_" for c in path.stem)
    kept = kept.encode()[:_KEPT_BYTES].decode(errors="ignore")
    sent = f"{kept}-{sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}{path.suffix}"
    _log.warning("%a: a name that cannot go with the picture: it goes as %s", name[:300], sent)
    return sent
