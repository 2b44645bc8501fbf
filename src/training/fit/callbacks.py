"""What goes on beside the learning: backups, a look at the loss, and a word about each epoch."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras

from framewatch.errors import DataError
from framewatch.training.fit.checkpoints import BACKUP, Row, keep_only

Logs = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One epoch that is over.

    Attributes:
        phase: its name.
        number: 1 for the first one of the phase.
        epochs: of the phase, at most.
        row: its figures.
        best: whether its validation accuracy is the best of the phase so far.
    """

    phase: str
    number: int
    epochs: int
    row: Row
    best: bool


class Watcher(Protocol):
    """Follows a training."""

    def say(self, text: str) -> None:
        """Something a person should know."""

    def step(self, what: str, step: int, steps: int) -> None:
        """So many of so many steps of it are done."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch is done."""


class Backup(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Keras's BackupAndRestore, into a folder that gets its name when it is complete.

    Keras writes over its last backup: killed while it does so, there is none. The last of the callbacks, so that what
    the others wrote is there when an epoch counts as done.
    """

    def __init__(self, folder: Path, last: Path | None) -> None:
        super().__init__()
        self._folder = folder
        self._last = last

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Go on after the last backup."""
        if self._last is not None:
            self._keras_backup(self._last).on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Everything as it is now."""
        unfinished = self._folder / "backup"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        self._keras_backup(unfinished).on_epoch_end(epoch, logs)
        unfinished.rename(self._folder / BACKUP.format(epoch=epoch + 1))
        keep_only(self._folder, epoch + 1)

    def _keras_backup(self, folder: Path) -> keras.callbacks.BackupAndRestore:
        backup = keras.callbacks.BackupAndRestore(str(folder), delete_checkpoint=False)
        backup.set_model(self.model)
        return backup


class HistoryRestorer(keras.callbacks.Callback):  # type: ignore[misc]
    """Gives the epochs before a kill to the callbacks that count epochs, which Keras's backup does not."""

    def __init__(
        self, rows: Sequence[Row], callbacks: Sequence[keras.callbacks.Callback], rate: float | None
    ) -> None:
        super().__init__()
        self._rows = rows
        self._callbacks = callbacks
        self._rate = rate

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Make them what they were; with ``rate``, the learning rate is lowered from there anew."""
        if self._rate is not None:
            self.model.optimizer.learning_rate = self._rate
        for epoch, row in enumerate(self._rows):
            for callback in self._callbacks:
                callback.on_epoch_end(epoch, dict(row))


class StopAtNonFiniteLoss(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends the training, before anything is written, when the loss is no number any more."""

    def __init__(self) -> None:
        super().__init__()
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Know where it is."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss."""
        self._check((logs or {}).get("loss", 0.0), f"batch {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Look at both."""
        for name in ("loss", "val_loss"):
            self._check((logs or {}).get(name, 0.0), name)

    def _check(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            raise DataError(
                f"the loss is {loss} in epoch {self._epoch + 1}, {where}: nothing is learned so; "
                "try a lower --learning-rate, with --fresh"
            )


class Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """Calls the watcher, keeps the epoch's number for the order of the samples, and its seconds for the history."""

    def __init__(self, phase: str, epochs: int, watcher: Watcher, best: float | None, done: int) -> None:
        super().__init__()
        self.epoch = done
        self._phase = phase
        self._epochs = epochs
        self._watcher = watcher
        self._best = -math.inf if best is None else best
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Note the number and the time."""
        self.epoch = epoch
        self._began = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Tell of the batch."""
        self._watcher.step(f"{self._phase} {self.epoch + 1}", batch + 1, self.params["steps"])

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Tell of the epoch."""
        assert logs is not None
        logs["seconds"] = round(time.monotonic() - self._began, 1)
        best = logs["val_accuracy"] > self._best
        self._best = max(self._best, logs["val_accuracy"])
        self._watcher.epoch(EpochReport(self._phase, epoch + 1, self._epochs, dict(logs), best))
