"""What kind of file it is that cannot be used, in words for messages."""

from __future__ import annotations

from typing import Final

_STARTS: Final = {
    b"\xff\xd8\xff": "a JPEG",
    b"\x89PNG": "a PNG",
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"\0\0\0\x0cjP": "a JPEG 2000",
    b"\0\0\1\0": "an icon",
    b"%PDF": "a PDF",
    b"PK\3\4": "a ZIP archive",
    b"<svg": "an SVG",
}
_BRANDS: Final = {b"avif": "an AVIF", b"heic": "a HEIC", b"heix": "a HEIC", b"mif1": "a HEIC"}


def format_of(data: bytes) -> str | None:
    """What Pillow calls the kind of file that this begins as, whatever comes then: such as ``PNG``; None: not known.

    Args:
        data: at least the first 12 bytes of the file.
    """
    kind = _kind(data)
    return kind.rpartition(" ")[2].upper() if kind else None


def describe_file(data: bytes, size: int | None = None) -> str:
    """Its size, and its kind where that is known.

    Args:
        data: at least the first 12 bytes of the file.
        size: bytes of the whole file, where these are not all.
    """
    kind = _kind(data)
    size = len(data) if size is None else size
    return f"{size} bytes, {kind}" if kind else f"{size} bytes of a kind that is not known here"


def _kind(data: bytes) -> str | None:
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    if data[:4] == b"RIFF":
        return "a WebP" if data[8:12] == b"WEBP" else None
    return next((kind for start, kind in _STARTS.items() if data.startswith(start)), None)
