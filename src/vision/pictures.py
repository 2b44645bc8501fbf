"""Pictures as people upload them: JPEG, PNG or WebP of any kind, from anybody, to pixels.

The format is known by content, never by a name; the size is read from the header, and too large a picture refused,
before a pixel is decoded. For a plain JPEG the pixels are those that ``vision.jpeg.decode_img`` gives.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import PIL.Image

from errors import BadPicture
from vision.jpeg import MAX_PIXELS
from vision.types import Image

FORMATS: Final = ("JPEG", "PNG", "WEBP")
MAX_PIXELS_WHOLE: Final = 4096 * 4096  # of a PNG or WebP: no part of their size can be decoded, as of a JPEG's
MAX_SIDE: Final = 1920  # as producers send frames, so that an upload is seen as sharply as a stream

_ORIENTATION: Final = 0x0112  # the tag of EXIF 2.32 (4.6.4); its values:
_UPRIGHT: Final = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
_TURNED: Final = frozenset({5, 6, 7, 8})
_SHRINK: Final = PIL.Image.Resampling.BOX
_SHRINKABLE: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})  # those whose numbers are amounts of light


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is to be looked at.

    Attributes:
        image: its pixels, upright; scaled down where a side was longer than ``MAX_SIDE``.
        width: of the picture itself, upright, in pixels.
        height: of the picture itself.
        format: as Pillow names it, such as ``PNG``.
        mode: how it is stored, as Pillow names it, such as ``CMYK``.
        turned: whether an orientation tag was followed.
        count: pictures in the file.
    """

    image: Image
    width: int
    height: int
    format: str
    mode: str
    turned: bool
    count: int


def read_picture(data: bytes, formats: tuple[str, ...] = FORMATS, first: bool = False) -> Picture:
    """The picture in a JPEG, PNG or WebP file; anything transparent in it on white.

    Takes up to 260 MB for a moment, for the largest picture allowed.

    Args:
        data: the file.
        formats: that are taken, as Pillow names them.
        first: take the first of several pictures in one file instead of refusing it.

    Raises:
        BadPicture: reason ``not-a-picture``, ``too-many-pixels``, ``animation`` or ``damaged``.
    """
    try:
        with PIL.Image.open(io.BytesIO(data), formats=formats) as file:
            count = _checked(file, first)
            return _picture(file, count)
    except BadPicture:
        raise
    except PIL.UnidentifiedImageError:
        raise BadPicture("not-a-picture", f"{_started(data)}: a picture is needed: {', '.join(formats)}") from None
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        raise BadPicture("too-many-pixels", f"at most {MAX_PIXELS} are allowed") from None
    except Exception as error:  # whatever a damaged file makes one of Pillow's many readers raise
        raise BadPicture("damaged", f"the picture cannot be read to its end: {error}") from None


def _started(data: bytes) -> str:
    return f"{len(data)} bytes that start with {data[:8]!r}"


def _checked(file: PIL.Image.Image, first: bool) -> int:
    """How many pictures there are in it; refused by what the header says.

    Raises:
        BadPicture: too many pixels, or several pictures in one.
    """
    # In a JPEG further pictures are other views of the same one (CIPA DC-007), which telephones add.
    is_jpeg = file.format in {"JPEG", "MPO"}
    most = MAX_PIXELS if is_jpeg else MAX_PIXELS_WHOLE
    if file.width * file.height > most:
        raise BadPicture("too-many-pixels", f"{file.width}x{file.height}; at most {most} pixels are allowed")
    count = 1 if is_jpeg else getattr(file, "n_frames", 1)
    if count > 1 and not first:
        raise BadPicture("animation", f"{count} pictures in one file: send one of them")
    return count


def _picture(file: PIL.Image.Image, count: int) -> Picture:
    width, height = file.size
    kind, mode = file.format or "", file.mode
    file.draft(None, (MAX_SIDE, MAX_SIDE))  # a large JPEG is decoded at half its size or less
    file.load()
    orientation = _orientation(file)
    if file.mode in _SHRINKABLE:
        file.thumbnail((MAX_SIDE, MAX_SIDE), _SHRINK)  # before anything is done with it, for the memory's sake
    image = _of_16_bits(file) if file.mode.startswith("I") else file
    image = image.convert("RGBA" if file.has_transparency_data else "RGB")
    image.thumbnail((MAX_SIDE, MAX_SIDE), _SHRINK)
    if image.mode == "RGBA":
        white = PIL.Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        image = white.convert("RGB")
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    if orientation in _TURNED:
        width, height = height, width
    pixels = np.asarray(cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR), np.uint8)
    return Picture(pixels, width, height, kind, mode, orientation in _UPRIGHT, count)


def _of_16_bits(file: PIL.Image.Image) -> PIL.Image.Image:
    """Grey of 16 bits as 8 of them; Pillow alone would cut off all that is brighter than 255."""
    return PIL.Image.fromarray((np.asarray(file) >> 8).astype(np.uint8))


def _orientation(file: PIL.Image.Image) -> int:
    try:
        return int(file.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged note beside a picture that is not: browsers show it as it is stored too
        return 1
