"""Frames as picture files: those with a detection in ``faces/``, the others in ``not_face/``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from framewatch.consumer.processing import ClassifiedFrame
from framewatch.consumer.sinks.base import Sink
from framewatch.errors import SettingError

_log = logging.getLogger(__name__)


class ImageSink(Sink):
    """Writes each frame's JPEG, as it came; the same frame always has the same file name."""

    def __init__(self, folder: Path) -> None:
        """Make the two folders.

        Raises:
            SettingError: they cannot be made.
        """
        self._with = folder / "faces"
        self._without = folder / "not_face"
        self._failed = False
        try:
            for target in (self._with, self._without):
                target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(f"--save-images: got {str(folder)!r}: {error.strerror}") from None

    def add(self, frames: Sequence[ClassifiedFrame]) -> None:
        """Write the frames. A file that cannot be written is logged once; the stream goes on."""
        for frame in frames:
            self._write(frame)

    def _write(self, classified: ClassifiedFrame) -> None:
        frame = classified.frame
        folder = self._with if classified.events else self._without
        path = folder / f"{frame.stream}-{frame.run}-{frame.number:08d}.jpg"
        try:
            path.write_bytes(frame.jpeg)
            self._failed = False
        except OSError as error:
            if not self._failed:
                _log.error("%s: cannot be written: %s", path, error.strerror)
            self._failed = True
