"""Ten pictures with what they show and what the model said."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from framewatch.training.data.labelled import Part
from framewatch.training.report.figures import Predictions
from framewatch.training.report.plots import GREEN, RED, drawing, percent, save, short

PICTURES: Final = 10
_ACROSS: Final = 5


def predictions_sheet(part: Part, predictions: Predictions, title: str, path: Path, seed: int = 0) -> None:
    """Random pictures, each with its true and its predicted label: green with a tick, or red with a cross.

    Args:
        part: the pictures.
        predictions: of the same pictures, in the same order.
        title: of the sheet.
        path: of the PNG file.
        seed: the same seed shows the same pictures.
    """
    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(len(part), min(PICTURES, len(part)), replace=False))
    rows = -(-len(chosen) // _ACROSS)
    answers = predictions.answers
    with drawing(2.1 * _ACROSS, 2.5 * rows + 0.4) as figure:
        grid = figure.subplots(rows, _ACROSS, squeeze=False).ravel()
        for axes in grid:
            axes.set(xticks=[], yticks=[], frame_on=False)
        for axes, index in zip(grid, map(int, chosen), strict=False):
            true, said = (predictions.labels[i] for i in (predictions.targets[index], answers[index]))
            right = true == said
            sure = percent(predictions.shares[index].max())
            axes.imshow(_shown(part.pictures[index]), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_title(
                f"true: {short(true)}\n{'✓' if right else '✗'} {short(said)} {sure}",
                color=GREEN if right else RED, fontsize=9, fontweight="bold",
            )  # fmt: skip
            axes.set_frame_on(True)
            for side in axes.spines.values():
                side.set(color=GREEN if right else RED, linewidth=4)
        right_here = int(np.count_nonzero(answers[chosen] == predictions.targets[chosen]))
        figure.suptitle(f"{title}: {right_here} of these {len(chosen)} right")
        save(figure, path)


def _shown(sample: NDArray[Any]) -> NDArray[Any]:
    """The picture, or the middle one of a sequence, as matplotlib takes it: (height, width[, 3])."""
    picture = sample[len(sample) // 2] if sample.ndim == 4 else sample
    return picture[..., 0] if picture.shape[-1] == 1 else picture
