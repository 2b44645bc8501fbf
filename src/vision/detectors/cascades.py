"""The Haar cascades that ship with OpenCV, whole or cut short."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import cv2
from cv2.data import haarcascades

from framewatch.errors import SettingError


def load_cascade(name: str, stages: int | None = None) -> cv2.CascadeClassifier:
    """A cascade by name, such as ``frontalface_alt2``, or only its first ``stages`` stages.

    A cascade is a row of ever stricter stages, and what fails one is not passed to the next. Fewer stages let more
    through, cost less, and forgive a wrong size or place.

    Raises:
        SettingError: this OpenCV does not bring it (version 5 has none).
    """
    text = _text(name)
    if stages is not None:
        text = _first_stages(text, stages)
    classifier = cv2.CascadeClassifier()
    storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    try:
        if not classifier.read(storage.getFirstTopLevelNode()):
            raise SettingError(f"OpenCV {cv2.__version__} cannot read its cascade {name}")
    finally:
        storage.release()
    return classifier


def cascades_hash(*names: str) -> str:
    """Eight hex digits that change with the content of any of the cascades."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(_text(name).encode())
    return digest.hexdigest()[:8]


def _text(name: str) -> str:
    path = Path(haarcascades) / f"haarcascade_{name}.xml"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingError(f"OpenCV {cv2.__version__} has no cascade {path}: {error.strerror}; 4.14 has") from None


def _first_stages(text: str, stages: int) -> str:
    """The cascade's XML with only its first stages: the top-level ``_`` elements of ``stages``."""
    begin = text.index("<stages>") + len("<stages>")
    end = text.index("</stages>")
    depth = count = 0
    for tag in re.compile(r"<(/?)_>").finditer(text, begin, end):
        depth += -1 if tag[1] else 1
        count += depth == 0
        if count == stages:
            head = re.sub(r"<stageNum>\d+</stageNum>", f"<stageNum>{stages}</stageNum>", text[:begin])
            return head + text[begin : tag.end()] + text[end:]
    raise ValueError(f"the cascade has {count} stages, not {stages}")
