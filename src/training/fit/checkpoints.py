"""What a phase of a training leaves on the disk, so that it can be killed at any moment and gone on with.

    OUT.partial/PHASE/
      history.csv              a line an epoch
      best-0007.weights.h5     after the epoch with the best validation accuracy so far
      backup-0009/             everything after the last epoch: weights, optimizer, epoch

An epoch is done when its backup has its name, which it gets by one rename. What an unfinished epoch left is dropped.
"""

from __future__ import annotations

import csv
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from framewatch.errors import DataError

HISTORY: Final = "history.csv"
BEST: Final = "best-{epoch:04d}.weights.h5"
BACKUP: Final = "backup-{epoch:04d}"

_BEST: Final = re.compile(r"best-(\d{4,})\.weights\.h5")
_BACKUP: Final = re.compile(r"backup-(\d{4,})")
_MONITOR: Final = "val_accuracy"

Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class PhaseCheckpoint:
    """The folder of a phase.

    Attributes:
        folder: made when it is not there.
        done: epochs that are.
        rows: figures of each of them.
    """

    folder: Path
    done: int
    rows: list[Row]

    @property
    def backup(self) -> Path | None:
        """Folder of the last backup."""
        return self.folder / BACKUP.format(epoch=self.done) if self.done else None

    @property
    def best(self) -> float | None:
        """Best validation accuracy, of the first epoch that had it."""
        return max((row[_MONITOR] for row in self.rows), default=None)

    @property
    def best_weights(self) -> Path:
        """The weights after that epoch; only when one is done."""
        values = [row[_MONITOR] for row in self.rows]
        return self.folder / BEST.format(epoch=1 + values.index(max(values)))

    def without_better(self, figure: str) -> int:
        """Epochs since the one with the best value of a figure, ``val_accuracy`` or ``val_loss``."""
        values = [row[figure] if figure == _MONITOR else -row[figure] for row in self.rows]
        return len(values) - 1 - values.index(max(values)) if values else 0


def open_checkpoint(folder: Path) -> PhaseCheckpoint:
    """The phase as its last finished epoch left it; what came after that is removed.

    Raises:
        DataError: the folder cannot be written, or was changed by somebody.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        done = max(_numbers(folder, _BACKUP), default=0)
        rows = _kept_rows(folder / HISTORY, done)
        checkpoint = PhaseCheckpoint(folder, done, rows)
        if len(rows) != done or (done and not checkpoint.best_weights.is_file()):
            raise DataError(f"{folder}: its history and its backups do not fit together: begin anew by --fresh")
        for epoch in _numbers(folder, _BEST):
            if epoch > done:
                (folder / BEST.format(epoch=epoch)).unlink()
        return checkpoint
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}") from None


def has_begun(training: Path) -> bool:
    """Whether an epoch of any phase is done, of those in the folder of a training."""
    return any(_numbers(folder, _BACKUP) for folder in training.iterdir() if folder.is_dir())


def keep_only(folder: Path, epoch: int) -> None:
    """Remove what the backup of this epoch makes useless: older backups, and weights that are no longer the best."""
    for older in _numbers(folder, _BACKUP):
        if older < epoch:
            shutil.rmtree(folder / BACKUP.format(epoch=older))
    for beaten in sorted(_numbers(folder, _BEST))[:-1]:
        (folder / BEST.format(epoch=beaten)).unlink()


def write_history(phases: list[tuple[str, PhaseCheckpoint]], path: Path) -> None:
    """The histories of all phases as one file, each line with its phase."""
    names = sorted({name for _, checkpoint in phases for row in checkpoint.rows for name in row})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["phase", "epoch", *names], lineterminator="\n")
        writer.writeheader()
        for phase, checkpoint in phases:
            for epoch, row in enumerate(checkpoint.rows):
                writer.writerow({"phase": phase, "epoch": epoch, **row})


def _numbers(folder: Path, pattern: re.Pattern[str]) -> list[int]:
    return [int(found[1]) for path in folder.iterdir() if (found := pattern.fullmatch(path.name))]


def _kept_rows(path: Path, done: int) -> list[Row]:
    """The lines of the finished epochs; those of others are taken out of the file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    kept = lines[: 1 + done] if done else []
    if kept != lines:
        new = path.with_suffix(".new")
        new.write_text("".join(kept), encoding="utf-8")
        new.replace(path)
    try:
        return [{name: float(row[name]) for name in row if name != "epoch"} for row in csv.DictReader(kept)]
    except (TypeError, ValueError):
        raise DataError(f"{path}: is not the history of a training: begin anew by --fresh") from None
