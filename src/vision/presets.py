"""The classifiers by name: one line of the table each."""

from __future__ import annotations

from collections.abc import Callable

from errors import SettingError
from vision.faces import HaarFaces
from vision.types import Classifier

PRESETS: dict[str, Callable[[], Classifier]] = {
    "faces": HaarFaces,
}


def make_classifier(preset: str) -> Classifier:
    """A new classifier of the preset, for one thread.

    Raises:
        SettingError: there is no such preset.
    """
    if preset not in PRESETS:
        raise SettingError(f"got {preset!r}: one of {', '.join(sorted(PRESETS))}")
    return PRESETS[preset]()
