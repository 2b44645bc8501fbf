"""Files that are one picture each."""

from __future__ import annotations

import io
import logging
import warnings
from typing import Final

import cv2
import numpy as np
import PIL.Image

from errors import SourceError
from stream.names import is_file_name
from vision.types import Image

_log = logging.getLogger(__name__)

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")


def decoded(content: bytes, name: str) -> Image:
    """The picture in a file, (height, width, 3) BGR, turned as its orientation tag says.

    Args:
        content: of the file.
        name: for messages.

    Raises:
        SourceError: it is no picture.
    """
    try:
        # Not cv2.imread: it takes no path that the locale cannot say on some systems.
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    except cv2.error as error:
        raise SourceError(f"{name}: not a picture that can be read: {error.err}") from None
    if image is None:
        raise SourceError(f"{name}: not a picture that can be read")
    return np.asarray(image, np.uint8)


def size_of(content: bytes, name: str) -> tuple[int, int]:
    """Width and height that the picture's file says it has, without decoding it.

    Raises:
        SourceError: it is no picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(io.BytesIO(content), formats=_FORMATS) as file:
                return file.size
    except PIL.Image.DecompressionBombError:
        raise SourceError(f"{name}: its picture has far more pixels than any camera's") from None
    except Exception as error:  # whatever a damaged file makes one of Pillow's many readers raise
        raise SourceError(f"{name}: not a picture that can be read: {error}") from None


def own_name(name: str) -> str | None:
    """The file's name as it goes with the picture; None, and said, where it is one that cannot."""
    if is_file_name(name):
        return name
    _log.warning("%a: a name that cannot go with the picture: it goes without", name[:300])
    return None
