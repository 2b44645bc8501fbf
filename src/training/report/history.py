"""How a training went, epoch by epoch: its history.csv read, and drawn."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes

from framewatch.errors import DataError
from framewatch.training.report.plots import BLUE, GREEN, GREY, ORANGE, drawing, percent, save

_BEST_BY: Final = "val_accuracy"
_SERIES: Final = (("", BLUE, "training"), ("val_", ORANGE, "validation"))


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line.

    Attributes:
        number: 1 for the first one, counted on through all phases.
        phase: such as warm-up or fine-tuning; empty where there is only one.
        values: figures by their names, such as ``val_loss``.
    """

    number: int
    phase: str
    values: dict[str, float]


def read_history(path: Path) -> list[Epoch]:
    """The epochs in order. One that stands there twice, as a killed run leaves it, counts as it was trained last.

    Raises:
        DataError: it cannot be read, or is none.
    """
    epochs: dict[tuple[str, str], dict[str, float]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = row.pop("phase", "") or "", row.pop("epoch")
                epochs[key] = {name: float(value) for name, value in row.items() if value not in {"", "NA", None}}
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: is not the history of a training: {error}") from None
    return [Epoch(number, phase, values) for number, ((phase, _), values) in enumerate(epochs.items(), 1)]


def best_epoch(epochs: list[Epoch]) -> Epoch | None:
    """The epoch whose weights were kept: the first with the highest validation accuracy."""
    measured = [epoch for epoch in epochs if _BEST_BY in epoch.values]
    return max(measured, key=lambda epoch: epoch.values[_BEST_BY], default=None)


def training_history(epochs: list[Epoch], title: str, path: Path) -> None:
    """Loss and accuracy over the epochs, the phases, and the epoch that was kept.

    Args:
        epochs: one at least.
        title: of the plot.
        path: of the PNG file.
    """
    best = best_epoch(epochs)
    with drawing(10, 4.4) as figure:
        for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
            _curves(axes, epochs, name)
            if best is not None:
                axes.axvline(best.number, color=GREEN, linestyle="--", label=f"kept: epoch {best.number}")
            axes.set(xlabel="epoch", ylabel=name)
            axes.margins(x=0.02)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.3)
            axes.legend(frameon=False)
        kept = f", best validation accuracy {percent(best.values[_BEST_BY])}" if best else ""
        figure.suptitle(f"{title}: {len(epochs)} epochs{kept}")
        save(figure, path)


def _curves(axes: Axes, epochs: list[Epoch], name: str) -> None:
    for prefix, colour, of in _SERIES:
        points = [(e.number, e.values[prefix + name]) for e in epochs if prefix + name in e.values]
        style = "o-" if len(points) < 30 else "-"
        axes.plot([x for x, _ in points], [y for _, y in points], style, color=colour, label=of, markersize=4)
    starts = [e for before, e in zip(epochs[:1] + epochs, epochs, strict=False) if e.phase != before.phase]
    for i, epoch in enumerate((epochs[0], *starts)):
        if epoch.phase:
            height = 1.01 if i % 2 == 0 else 1.06  # a short phase leaves no room for its name
            axes.text(epoch.number, height, epoch.phase, transform=axes.get_xaxis_transform(), color=GREY, fontsize=9)
    for epoch in starts:
        axes.axvline(epoch.number - 0.5, color=GREY, linewidth=1)
