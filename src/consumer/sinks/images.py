"""Frames as picture files: those with something seen in ``faces/``, the others in ``not_face/``."""

from __future__ import annotations

import logging
from pathlib import Path

from framewatch.consumer.processing import ClassifiedFrame

_log = logging.getLogger(__name__)


class ImageFolder:
    """Writes each frame's JPEG, as it came, under a name that is the same for the same frame."""

    def __init__(self, folder: Path) -> None:
        """Make the two folders.

        Raises:
            OSError: they cannot be made.
        """
        self._with = folder / "faces"
        self._without = folder / "not_face"
        self._failed = False
        for target in (self._with, self._without):
            target.mkdir(parents=True, exist_ok=True)

    def save(self, seen: ClassifiedFrame) -> None:
        """Write the frame. A file that cannot be written is said once; the stream goes on."""
        folder = self._with if seen.events else self._without
        path = folder / f"{seen.frame.stream}-{seen.frame.run}-{seen.frame.number:08d}.jpg"
        try:
            path.write_bytes(seen.frame.jpeg)
            self._failed = False
        except OSError as error:
            if not self._failed:
                _log.error("%s: cannot be written: %s", path, error.strerror)
            self._failed = True
