"""Still pictures of any kind to pixels, the same ones whoever asks: from anybody, or from a folder of one's own.

The format is known by content, never by a name; the size is read from the header, and too large a picture refused,
before a pixel is decoded. For a plain JPEG the pixels are those that ``vision.jpeg.decode_img`` gives.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import PIL.Image

from framewatch.errors import BadPicture
from framewatch.vision.classifier import Image
from framewatch.vision.file_formats import describe_file, format_of
from framewatch.vision.jpeg import MAX_PIXELS, decode_img, scaled_down

MAX_SIDE: Final = 1920  # as producers send frames, so that an upload is seen as sharply as a stream

# How each orientation of EXIF 2.32 (4.6.4) is made upright: whether rows become columns, and then cv2.flip's code.
_ORIENTATION: Final = 0x0112
_UPRIGHT: Final[dict[int, tuple[bool, int | None]]] = {
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}
_SHRINK: Final = PIL.Image.Resampling.BOX
_SHRINKABLE: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})  # those whose numbers are amounts of light
_OF_NO_SCALE: Final = frozenset({"I", "F"})  # 32 bits: which of their numbers is white, only their maker knows

# What it warns of is measured here, and refused or not: nobody is to read of it on the console.
warnings.filterwarnings("ignore", category=PIL.Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Which files are taken for a picture.

    Attributes:
        formats: as Pillow names them.
        pixels: of a JPEG at most, which can be decoded at a part of its size.
        pixels_whole: of any other at most, which cannot.
        first: take the first of several pictures in one file instead of refusing it.
    """

    formats: tuple[str, ...]
    pixels: int
    pixels_whole: int
    first: bool


FROM_ANYBODY: Final = Accepted(("JPEG", "PNG", "WEBP"), MAX_PIXELS, 4096 * 4096, first=False)
OF_ONES_OWN: Final = Accepted((*FROM_ANYBODY.formats, "BMP", "GIF", "TIFF"), 13_000**2, 10_000**2, first=True)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is to be looked at.

    Attributes:
        image: its pixels, upright; scaled down where a side was longer than asked for.
        width: of the picture itself, upright, in pixels.
        height: of the picture itself.
        format: as Pillow names it, such as ``PNG``.
        mode: how it is stored, as Pillow names it, such as ``CMYK``.
        turned: whether an orientation tag was followed.
        several: whether there are more pictures in the file; this is the first of them.
    """

    image: Image
    width: int
    height: int
    format: str
    mode: str
    turned: bool
    several: bool


def read_picture(data: bytes, accepted: Accepted = FROM_ANYBODY, max_side: int = MAX_SIDE) -> Picture:
    """The picture in a file; anything transparent in it on white.

    Takes up to 260 MB for a moment, for the largest picture that is taken from anybody.

    Args:
        data: the file.
        accepted: what is taken.
        max_side: pixels of the longer side; a larger picture is scaled down.

    Raises:
        BadPicture: reason ``not-a-picture``, ``too-many-pixels``, ``animation``, ``unknown-depth`` or ``damaged``.
    """
    try:
        with PIL.Image.open(io.BytesIO(data), formats=accepted.formats) as file:
            several = _checked(file, accepted)
            return _picture(data, file, several, max_side)
    except BadPicture:
        raise
    except PIL.UnidentifiedImageError:
        if format_of(data) in accepted.formats:
            known = describe_file(data)
            raise BadPicture("damaged", f"{known}, but it does not begin as one that can be read") from None
        needed = ", ".join(accepted.formats)
        raise BadPicture("not-a-picture", f"{describe_file(data)}: a picture is needed: {needed}") from None
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        raise BadPicture("too-many-pixels", f"far more than the {accepted.pixels} that are allowed") from None
    except Exception as error:  # whatever a damaged file makes one of Pillow's many readers raise
        raise BadPicture("damaged", f"the picture cannot be read to its end: {error}") from None


def _checked(file: PIL.Image.Image, accepted: Accepted) -> bool:
    """Whether there are several pictures in it; refused by what the header says.

    Raises:
        BadPicture: too many pixels, several pictures in one, or numbers that are no amounts of light.
    """
    # In a JPEG further pictures are other views of the same one (CIPA DC-007), which telephones add.
    is_jpeg = file.format in {"JPEG", "MPO"}
    most = accepted.pixels if is_jpeg else accepted.pixels_whole
    if file.width * file.height > most:
        raise BadPicture("too-many-pixels", f"{file.width}x{file.height} pixels; at most {most} are allowed")
    if file.mode in _OF_NO_SCALE:
        raise BadPicture("unknown-depth", "32 bits a number, and nothing says which is white; 8 or 16 are needed")
    # Not how many: to count the pages of a TIFF takes seconds, and needs them to be whole.
    several = not is_jpeg and bool(getattr(file, "is_animated", False))
    if several and not accepted.first:
        raise BadPicture("animation", f"{getattr(file, 'n_frames', 2)} pictures in one file: send one of them")
    return several


def _picture(data: bytes, file: PIL.Image.Image, several: bool, max_side: int) -> Picture:
    width, height = file.size
    kind, mode = file.format or "", file.mode
    # A large JPEG is decoded at half its size or less.
    shrink = next((part for part in (8, 4, 2) if max(width, height) >= part * max_side), 1)
    stored = _of_plain_jpeg(data, file, shrink, max_side)
    if stored is None:
        stored = _of_any_kind(file, shrink, max_side)
    orientation = _orientation(file)  # after the pixels: where Pillow turns them itself, it takes the tag away
    transposed, flip = _UPRIGHT.get(orientation, (False, None))
    if transposed:
        stored, width, height = np.asarray(cv2.transpose(stored), np.uint8), height, width
    image = stored if flip is None else np.asarray(cv2.flip(stored, flip), np.uint8)
    return Picture(image, width, height, kind, mode, orientation in _UPRIGHT, several)


def _of_plain_jpeg(data: bytes, file: PIL.Image.Image, shrink: int, max_side: int) -> Image | None:
    """The pixels as they are stored, by OpenCV: Pillow's, in three quarters of the time. None of any other file."""
    if file.format != "JPEG" or file.mode not in {"L", "RGB"}:
        return None
    try:
        return scaled_down(decode_img(data, shrink), max_side)
    except BadPicture:  # such as for what telephones add behind the end: Pillow copes, or knows what is wrong
        return None


def _of_any_kind(file: PIL.Image.Image, shrink: int, max_side: int) -> Image:
    """The pixels as they are stored, by Pillow."""
    file.draft(None, (max(1, file.width // shrink), max(1, file.height // shrink)))
    file.load()
    image = file.convert("RGB") if _is_clear_by_mistake(file) else file
    # First, for the memory's sake; but of a colour that is to be clear no shades may be made.
    if image.mode in _SHRINKABLE and "transparency" not in image.info:
        image.thumbnail((max_side, max_side), _SHRINK, None)
    image = _of_16_bits(image) if image.mode.startswith("I") else image
    mode = "RGBA" if image.has_transparency_data else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    image.thumbnail((max_side, max_side), _SHRINK, None)
    if image.mode == "RGBA":
        white = PIL.Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        image = white.convert("RGB")
    return np.asarray(cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR), np.uint8)


def _is_clear_by_mistake(file: PIL.Image.Image) -> bool:
    """Whether it is a BMP of which nothing would be seen: programs leave 0 where it says how clear a pixel is."""
    return file.format == "BMP" and file.mode == "RGBA" and file.getchannel("A").getextrema() == (0, 0)


def _of_16_bits(file: PIL.Image.Image) -> PIL.Image.Image:
    """Grey of 16 bits as 8 of them; Pillow alone would cut off all that is brighter than 255."""
    return PIL.Image.fromarray((np.asarray(file) >> 8).astype(np.uint8))


def _orientation(file: PIL.Image.Image) -> int:
    try:
        return int(file.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged note beside a picture that is not: browsers show it as it is stored too
        return 1
