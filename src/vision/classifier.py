"""What every classifier takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from framewatch.model.detection import Detection

Image: TypeAlias = NDArray[np.uint8]
"""A picture: (height, width, 3), 8 bits a channel, blue green red."""


class Classifier(Protocol):
    """Images in, detections out. Used by one thread at a time."""

    @property
    def model(self) -> str:
        """Name and content hash, such as ``faces@1f3a9c02``: in the id of each event."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label it can give, in index order."""

    @property
    def batch_size(self) -> int:
        """Most images it likes to get in one call."""

    @property
    def stateful(self) -> bool:
        """Whether it looks at earlier pictures too: then one instance gets all frames of a stream, in order."""

    def classify(self, images: Sequence[Image], streams: Sequence[str | None] = ()) -> list[list[Detection]]:
        """Detections of each image, in the order of the images.

        Args:
            images: the pictures.
            streams: for a classifier that stateful, what each picture goes on with: the same text for all of one run
                of a stream. None, or none at all: it stands alone.
        """
