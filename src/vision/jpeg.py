"""JPEG files: bytes to pixels and back, with everything checked that a decoder would let pass.

OpenCV gives a grey or half-grey picture for a truncated file, and allocates whatever size a header claims. So the
start and end markers and the size in the frame header (ITU-T T.81, B.2.2) are read before a pixel is decoded.
"""

from __future__ import annotations

import struct
from typing import Final

import cv2
import numpy as np

from framewatch.errors import BadPicture
from framewatch.vision.classifier import Image

MAX_PIXELS: Final = 7680 * 4320  # 8K video: a hundred megabytes decoded

_START: Final = b"\xff\xd8\xff"
_END: Final = b"\xff\xd9"
# SOF0 to SOF15, without the three of that range that mean something else (DHT, JPG, DAC).
_FRAME_HEADERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NO_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_FLAGS: Final = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def encode_jpeg(image: Image, quality: int = 90) -> bytes:
    """The picture as a JPEG file."""
    done, buffer = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be a JPEG")
    return buffer.tobytes()


def decode_img(encoded_img: bytes, shrink: int = 1) -> Image:
    """The picture in a complete JPEG file, (height, width, 3) BGR.

    Args:
        encoded_img: the file.
        shrink: 1, 2, 4 or 8: decode it at so small a part of its size, which takes that much less time.

    Raises:
        BadPicture: reason ``not-a-jpeg``, ``truncated``, ``too-many-pixels`` or ``undecodable``.
    """
    width, height = read_size(encoded_img)
    # Encoders may pad the end, and cameras do: look for the end marker near it.
    if _END not in encoded_img[-64:]:
        raise BadPicture("truncated", f"no end marker in the last bytes of {len(encoded_img)}")
    if width * height > MAX_PIXELS:
        raise BadPicture("too-many-pixels", f"{width}x{height}, at most {MAX_PIXELS} pixels")
    # Orientation tags are ignored: boxes must be in the pixels that the file stores and the header counts.
    flags = _FLAGS[shrink] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(encoded_img, np.uint8), flags)
    except cv2.error as error:
        raise BadPicture("undecodable", str(error.err)) from None
    if image is None:
        raise BadPicture("undecodable", f"{len(encoded_img)} bytes that say they are {width}x{height}")
    if image.shape[:2] != (-(-height // shrink), -(-width // shrink)):
        raise BadPicture("undecodable", f"header says {width}x{height}, decoded {image.shape[1::-1]}")
    return np.asarray(image, np.uint8)


def read_size(encoded_img: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the file's frame header alone.

    Raises:
        BadPicture: reason ``not-a-jpeg`` or ``truncated``.
    """
    if not encoded_img.startswith(_START):
        raise BadPicture("not-a-jpeg", f"starts with {encoded_img[:8]!r}")
    at = 2
    while at + 4 <= len(encoded_img):
        if encoded_img[at] != 0xFF:
            raise BadPicture("not-a-jpeg", f"no marker at byte {at}")
        marker = encoded_img[at + 1]
        if marker == 0xFF:  # fill bytes may precede a marker
            at += 1
        elif marker in _NO_LENGTH:
            at += 2
        elif marker in _FRAME_HEADERS:
            return _frame_size(encoded_img, at)
        else:
            at += 2 + struct.unpack_from(">H", encoded_img, at + 2)[0]
    raise BadPicture("truncated", f"no frame header in {len(encoded_img)} bytes")


def _frame_size(encoded_img: bytes, at: int) -> tuple[int, int]:
    if at + 9 > len(encoded_img):
        raise BadPicture("truncated", "the file ends in its frame header")
    height, width = struct.unpack_from(">HH", encoded_img, at + 5)
    if not (width and height):
        raise BadPicture("not-a-jpeg", f"its header says {width}x{height} pixels")
    return width, height


def scaled_down(image: Image, max_side: int) -> Image:
    """The picture with its longer side at most ``max_side`` pixels; the same one when it is."""
    height, width = image.shape[:2]
    if max(width, height) <= max_side:
        return image
    factor = max_side / max(width, height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
