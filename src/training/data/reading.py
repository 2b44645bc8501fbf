"""A sample of files to pictures: one picture, the frames of a video, or a folder of them, evenly spaced."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path, PurePosixPath
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from framewatch.errors import SourceError
from framewatch.objects.base import Objects, patiently
from framewatch.training.data.folders import is_video
from framewatch.training.data.samples import DecodedSample, Sample
from framewatch.vision.classifier import Image
from framewatch.vision.images import OF_ONES_OWN, Picture, read_picture

_AWAY_S: Final = 60.0  # for an object store that does not answer
_MAX_VIDEO_BYTES: Final = 256 * 1024**2
_MAX_FRAMES: Final = 20_000

# FFmpeg opens texts that name other files or addresses too, so it is given only what starts as a video does:
# (offset, bytes) of MP4 and MOV, Matroska, AVI, MPEG program and elementary streams, ASF, FLV.
_STARTS: Final = (
    (4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (4, b"wide"), (0, b"\x1aE\xdf\xa3"), (0, b"RIFF"), (0, b"\0\0\1\xba"),
    (0, b"\0\0\1\xb3"), (0, b"0&\xb2u\x8ef\xcf\x11"), (0, b"FLV"),
)  # fmt: skip
_TS_PACKET: Final = 188  # bytes, each packet starting with 0x47 (ISO/IEC 13818-1)


def read_sample(objects: Objects, sample: Sample, frames: int) -> DecodedSample:
    """The pictures of a sample of files.

    Args:
        objects: that the files are among.
        sample: with files.
        frames: how many pictures are wanted; a single one is repeated.

    Raises:
        BadPicture: a file is no picture that can be used.
        SourceError: a file cannot be read, or is no video.
        ObjectsUnavailable: the object store has not answered for a minute.
    """
    if is_video(sample.files[0]):
        pictures = _video(_content(objects, sample.files[0], _MAX_VIDEO_BYTES), sample.files[0], frames)
        height, width = pictures[0].shape[:2]
        return DecodedSample(
            tuple(pictures), width, height, PurePosixPath(sample.files[0]).suffix[1:].upper(), "video"
        )
    chosen = [sample.files[i] for i in evenly(len(sample.files), min(frames, len(sample.files)))]
    read = [read_picture(_content(objects, name), OF_ONES_OWN) for name in chosen]
    images = tuple(read[i].image for i in evenly(len(read), frames))
    first = read[0]
    return DecodedSample(images, first.width, first.height, first.format, first.mode, _odd(first))


def _odd(picture: Picture) -> tuple[str, ...]:
    """What is unusual about the way the picture is stored."""
    odd = {
        "turned by its tag": picture.turned,
        "transparent": picture.mode in {"RGBA", "LA", "PA", "La", "RGBa"},
        "CMYK": picture.mode == "CMYK",
        "16 bits": picture.mode.startswith("I"),
        "first of several pictures": picture.several,
    }
    return tuple(name for name, true in odd.items() if true)


def evenly(there: int, wanted: int) -> NDArray[np.intp]:
    """(wanted,), indexes from the first to the last of those there, evenly spaced; with repeats where too few."""
    return np.asarray(np.linspace(0, there - 1, wanted).round(), np.intp)


def _content(objects: Objects, name: str, at_most: int | None = None) -> bytes:
    return patiently(lambda: objects.read(name, at_most) if at_most else objects.read(name), time.sleep, _AWAY_S)


def _video(content: bytes, name: str, frames: int) -> list[Image]:
    """Evenly spaced frames; the video is read twice, as few formats know how many frames they hold."""
    if not _is_video(content):
        raise SourceError(f"{len(content)} bytes that start with {content[:8]!r} are no video of a kind known here")
    with tempfile.TemporaryDirectory() as folder:  # OpenCV's own reader of memory crashes on some files
        path = Path(folder, f"video{PurePosixPath(name).suffix.lower()}")
        path.write_bytes(content)
        capture = _opened(path)
        there = 0
        while there < _MAX_FRAMES and capture.grab():
            there += 1
        capture.release()
        if not there:
            raise SourceError("no frame of the video can be read")
        indexes = evenly(there, frames).tolist()
        capture = _opened(path)
        found: dict[int, Image] = {}
        for index in range(indexes[-1] + 1):
            if not capture.grab():
                break
            if index in indexes:
                found[index] = np.asarray(capture.retrieve()[1], np.uint8)
        capture.release()
    if len(found) < len(set(indexes)):
        raise SourceError("the video cannot be read to its end")
    return [found[index] for index in indexes]


def _opened(path: Path) -> cv2.VideoCapture:
    return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])


def _is_video(content: bytes) -> bool:
    if any(content[at : at + len(start)] == start for at, start in _STARTS):
        return True
    return len(content) > _TS_PACKET and content[0] == content[_TS_PACKET] == 0x47
