"""Pictures of what there is in labelled data: how many of each class, and what they look like."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from framewatch.training.report.overview import Overview, label_totals
from framewatch.training.report.plots import BLUE, GREEN, GREY, ORANGE, drawing, save, short
from framewatch.vision.classifier import Image

_COLOURS: Final = (BLUE, ORANGE, GREEN, GREY)
_NAMED: Final = 60  # labels up to which each has its name at the axis
_ROW: Final = 0.42  # inches
_TALLEST: Final = 30.0


def class_distribution(overview: Overview, path: Path) -> None:
    """How many pictures each label has, in each part of the data."""
    totals = label_totals(overview)
    rows = np.arange(len(totals))[::-1]
    with drawing(8, min(_TALLEST, 1.8 + _ROW * len(totals))) as figure:
        axes = figure.add_subplot()
        left = np.zeros(len(totals))
        for i, (part, counts) in enumerate(overview.counts.items()):
            numbers = np.array([counts.get(label, 0) for label in totals])
            axes.barh(
                rows, numbers, left=left, color=_COLOURS[i % len(_COLOURS)], label=short(part), edgecolor="white"
            )
            left += numbers
        if len(totals) <= _NAMED:
            for y, total in zip(rows, totals.values(), strict=True):
                axes.annotate(f"{total}", (total, y), xytext=(4, 0), textcoords="offset points", va="center")
            axes.set_yticks(rows, [short(label) for label in totals])
        else:
            axes.set_yticks([])
        ratio = "" if overview.imbalance is None else f", imbalance {overview.imbalance:.2f}"
        axes.set_title(f"{overview.pictures} pictures of {len(totals)} labels{ratio}")
        axes.set(xlabel="pictures")
        axes.margins(x=0.1)
        if len(overview.counts) > 1:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=len(overview.counts), frameon=False)
        save(figure, path)


def samples_sheet(examples: dict[str, list[Image]], path: Path) -> None:
    """A row of example pictures for each label; BGR, as they were read."""
    columns = max(1, max((len(pictures) for pictures in examples.values()), default=1))
    rows = max(1, len(examples))
    with drawing(1.6 + 1.25 * columns, min(_TALLEST * 2, 1.25 * rows + 0.5)) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.ravel():
            axes.set(xticks=[], yticks=[], frame_on=False)
        for row, (label, pictures) in zip(grid, examples.items(), strict=False):
            row[0].set_ylabel(short(label), rotation=0, ha="right", va="center")
            for axes, picture in zip(row, pictures, strict=False):
                axes.imshow(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), interpolation="nearest")
        FigureCanvasAgg(figure).print_png(path)  # in all colours, unlike plots: these are photographs
