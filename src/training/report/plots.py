"""Plots of what was measured, as small PNG files; readable without telling red from green."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageColor
from sklearn.metrics import precision_recall_curve

from framewatch.training.report.figures import Figures, Predictions

BLUE: Final = "#0072B2"  # of Okabe and Ito's palette, as are all colours here
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
RED: Final = "#D55E00"
GREY: Final = "#666666"

_DPI: Final = 100
_KEPT: Final = (BLUE, ORANGE, GREEN, RED, "#FFFFFF", "#000000")
_NUMBERED: Final = 20  # labels up to which each cell of a matrix has its number written in it
_NAMED: Final = 60  # labels up to which each has its name at the axis
_LONGEST: Final = 22  # characters of a label


def confusion_matrix(figures: Figures, title: str, path: Path) -> None:
    """How many of each true label (row) were given each label (column)."""
    counts = np.array(figures.confusion_matrix)
    subtitle = f"{percent(figures.accuracy)} of {figures.samples} right"
    _matrix(counts, figures, f"{title}\nconfusion matrix: {subtitle}", path, lambda n: f"{n:.0f}", counts.max())


def confusion_matrix_normalised(figures: Figures, title: str, path: Path) -> None:
    """Which part of each true label (row) was given each label (column)."""
    shares = np.array(figures.confusion_matrix_normalised, float)
    mean = percent(figures.balanced_accuracy)
    heading = f"{title}\nconfusion matrix in % of each true label, mean of the diagonal {mean}"
    _matrix(shares, figures, heading, path, lambda share: f"{100 * share:.0f}", 1.0)


def per_class_accuracy(figures: Figures, title: str, path: Path) -> None:
    """Which part of each label's samples was labelled rightly, with its interval."""
    rows = figures.per_class[::-1]
    values = np.array([row.accuracy for row in rows], float)
    around = [(row.accuracy_interval.low, row.accuracy_interval.high) if row.accuracy_interval else (np.nan, np.nan)
              for row in rows]  # fmt: skip
    errors = np.abs(np.array(around).T - values)
    with drawing(8, _side(len(rows), 0.42)) as figure:
        axes = figure.add_subplot()
        axes.barh(range(len(rows)), values, xerr=errors, color=BLUE, alpha=0.85, error_kw={"capsize": 3})
        for y, value in enumerate(values if len(rows) <= _NAMED else ()):
            text = "no samples" if np.isnan(value) else percent(value)
            axes.text(1.01, y, text, va="center", transform=axes.get_yaxis_transform())
        axes.axvline(figures.accuracy, color=ORANGE, linestyle="--", label=f"all: {percent(figures.accuracy)}")
        names = [f"{short(row.label)} ({row.support})" for row in rows]
        axes.set(xlim=(0, 1), ylim=(-0.6, len(rows) - 0.4), xlabel="accuracy, with its 95 % interval")
        axes.set_yticks(range(len(rows)), names if len(rows) <= _NAMED else [""] * len(rows))
        axes.set_title(f"{title}\naccuracy of each label (samples)")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), frameon=False)
        save(figure, path)


def reliability(figures: Figures, title: str, path: Path) -> None:
    """How often the model was right among the samples it was so sure of."""
    bins = [each for each in figures.calibration if each.accuracy is not None and each.confidence is not None]
    with drawing(6.4, 6.4) as figure:
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="as sure as right")
        width = figures.calibration[0].high - figures.calibration[0].low
        axes.bar([each.low for each in bins], [each.accuracy for each in bins], width, align="edge", color=BLUE,
                 edgecolor="white", label="right, of each bin")  # fmt: skip
        axes.plot([each.confidence for each in bins], [each.accuracy for each in bins], "o", color=ORANGE,
                  markeredgecolor="black", label="at its mean confidence")  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
        error = percent(figures.expected_calibration_error)
        axes.set_title(f"{title}\nreliability: expected calibration error {error}, {figures.samples} samples")
        axes.legend(loc="upper left", frameon=False)
        below.bar([each.low for each in bins], [each.samples for each in bins], width, align="edge", color=GREY,
                  edgecolor="white")  # fmt: skip
        below.set(xlabel="confidence", ylabel="samples")
        save(figure, path)


def precision_recall(predictions: Predictions, figures: Figures, title: str, path: Path) -> None:
    """Two classes: precision over recall for every threshold, where it is served, and the best by F1."""
    two = figures.two_classes
    if two is None or two.best is None or two.average_precision is None:
        return
    index = predictions.labels.index(two.positive)
    there = predictions.targets == index
    precision, recall, _ = precision_recall_curve(there, predictions.shares[:, index])
    with drawing(6.4, 5.6) as figure:
        axes = figure.add_subplot()
        axes.step(recall, precision, where="post", color=BLUE)
        axes.axhline(there.mean(), color=GREY, linestyle="--", label=f"by chance: {percent(there.mean())}")
        for point, name, marker, colour in (
            (two.as_served, "as served", "s", ORANGE),
            (two.best, f"highest F1, chosen on {two.best.chosen_on}", "*", GREEN),
        ):
            if point.precision is not None and point.recall is not None and point.f1 is not None:
                text = f"{name}: threshold {point.threshold:.2f}, recall {percent(point.recall)}, F1 {point.f1:.3f}"
                axes.plot(point.recall, point.precision, marker, color=colour, markersize=12,
                          markeredgecolor="black", label=text)  # fmt: skip
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel=f"recall of {short(two.positive)}", ylabel="precision")
        axes.set_title(f"{title}\n{short(two.positive)}: average precision {two.average_precision:.3f}")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False)
        save(figure, path)


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches, on which text is only text: any label can be drawn, formulas are none."""
    talker = logging.getLogger("matplotlib.font_manager")
    before = talker.level
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 10}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # a label in letters no font here has
        talker.setLevel(logging.ERROR)
        try:
            yield Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
        finally:
            talker.setLevel(before)


def save(figure: Figure, path: Path) -> None:
    """The figure as a PNG of 256 colours, a third of the size of one of all colours; ours are always among them."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    found = picture.quantize(256 - len(_KEPT)).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(
        found[: 3 * (256 - len(_KEPT))] + [part for colour in _KEPT for part in ImageColor.getrgb(colour)]
    )
    content = io.BytesIO()
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    path.write_bytes(content.getvalue())


def percent(share: float) -> str:
    """Such as ``71.3 %``."""
    return f"{100 * share:.1f} %"


def short(label: str) -> str:
    """A label as it fits an axis."""
    line = " ".join(label.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _matrix(
    values: Any, figures: Figures, title: str, path: Path, number: Callable[[float], str], highest: float
) -> None:
    labels = [short(label) for label in figures.labels]
    side = _side(len(labels), 0.62)
    with drawing(side + 1.2, side) as figure:
        axes = figure.add_subplot()
        shown = axes.imshow(values, cmap="Blues", vmin=0, vmax=highest or 1)
        if len(labels) <= _NUMBERED:
            for (row, column), value in np.ndenumerate(values):
                text = "-" if np.isnan(value) else number(value)
                dark = value > 0.55 * highest
                axes.text(column, row, text, ha="center", va="center", color="white" if dark else "black")
        ticks = range(len(labels)) if len(labels) <= _NAMED else []
        axes.set_xticks(ticks, labels if ticks else [], rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(ticks, labels if ticks else [])
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_title(title)
        figure.colorbar(shown, shrink=0.8)
        save(figure, path)


def _side(rows: int, each: float) -> float:
    """Inches for so many rows; bounded, whatever the number of labels."""
    return min(max(1.8 + each * rows, 3.4), 14.0)
