"""Sets of labelled pictures on the disk, for the tests of training and what comes before it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from framewatch.vision.classifier import Image
from framewatch.vision.models.inputs import InputSpec
from heavy import photos

SMALL = InputSpec(height=16, width=16, channels=3)


def pattern(number: int, height: int = 24, width: int = 32) -> Image:
    """A picture like no other, (height, width, 3) red green blue, of large enough spots for JPEG."""
    spots = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(np.kron(spots, np.ones((height // 4, width // 4, 1), np.uint8)), np.uint8)


def encoded(picture: Image, kind: str = "PNG", **options: Any) -> bytes:
    """The picture as a file."""
    content = io.BytesIO()
    PIL.Image.fromarray(picture).save(content, kind, **options)
    return content.getvalue()


def put(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def put_class(folder: Path, first: int, count: int) -> None:
    """Pictures ``first`` to ``first + count - 1``."""
    for number in range(first, first + count):
        put(folder / f"{number}.png", encoded(pattern(number)))


def smoking(folder: Path, each: int = 10) -> Path:
    """A folder for each of two classes."""
    put_class(folder / "Smoking", 0, each)
    put_class(folder / "NotSmoking", 1000, each)
    return folder


def photo() -> Image:
    """A real one, red green blue."""
    return np.asarray(photos.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


def bgr(picture: Image) -> Image:
    """Blue green red of red green blue."""
    return np.ascontiguousarray(picture[..., ::-1])
