"""One label for each whole frame, by a trained model: of the frame alone, or of the last frames of its stream."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Final

import numpy as np

from framewatch.model.detection import Box, Detection
from framewatch.vision.classifier import Image
from framewatch.vision.models.bundle import Bundle
from framewatch.vision.models.inputs import Pixels
from framewatch.vision.models.runtime import Runtime, Scores

_BATCH: Final = 8
_MAX_STREAMS: Final = 256
_MAX_REMEMBERED: Final = 128 * 1024 * 1024  # bytes of pictures; long sequences are kept of fewer streams


class WholeFrame:
    """Labels frames by a bundle's model; one instance for each thread, all with the same runtime."""

    batch_size = _BATCH

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        self._input = bundle.manifest.input
        self._runtime = runtime
        self.labels = bundle.labels
        self.model = bundle.model
        fitting = _MAX_REMEMBERED // int(np.prod(self._input.shape))
        self._max_streams = max(1, min(_MAX_STREAMS, fitting))
        self._streams: OrderedDict[str, deque[Pixels]] = OrderedDict()  # the latest used last

    @property
    def stateful(self) -> bool:
        """Whether a sample is a sequence of frames."""
        return self._input.frames > 1

    def classify(self, images: Sequence[Image], streams: Sequence[str | None] = ()) -> list[list[Detection]]:
        """The label of each image, with its scores.

        Args:
            images: the pictures.
            streams: what each goes on with, for a model of sequences: the frames before it are of earlier calls. At
                the start of one, and without any, a picture stands for those that are missing before it.
        """
        if not images:
            return []
        pictures = [self._input.prepared(image) for image in images]
        if self.stateful:
            names: Sequence[str | None] = streams or [None] * len(images)
            pictures = [self._sequence(picture, name) for picture, name in zip(pictures, names, strict=True)]
        return [[top_detection(self.labels, scores)] for scores in self._runtime(np.stack(pictures))]

    def _sequence(self, picture: Pixels, stream: str | None) -> Pixels:
        """The sample that ends with this picture, (frames, height, width, channels)."""
        before: deque[Pixels] = deque(maxlen=self._input.frames)
        if stream is not None:
            before = self._streams.setdefault(stream, before)
            self._streams.move_to_end(stream)
            if len(self._streams) > self._max_streams:
                self._streams.popitem(last=False)
        before.append(picture)
        missing = self._input.frames - len(before)
        return np.stack([before[0]] * missing + list(before))


def top_detection(labels: Sequence[str], scores: Scores, box: Box | None = None) -> Detection:
    """The label with the highest score.

    Args:
        labels: in index order.
        scores: one for each label.
        box: what it is the label of; None: the whole frame.
    """
    best = [(labels[index], float(scores[index])) for index in np.argsort(-scores, kind="stable")]
    return Detection(best[0][0], best[0][1], box, scores=tuple(best))
