"""Training: from labelled data to the best weights, in phases and epochs that can be killed and gone on with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import keras

from framewatch.training.architectures.mobilenet import choose_trained
from framewatch.training.architectures.recipes import Phase, Recipe
from framewatch.training.data.labelled import TRAIN, VALIDATION, LabelledData
from framewatch.training.fit.batches import class_weights, plain_batches, training_batches
from framewatch.training.fit.callbacks import Backup, HistoryRestorer, Progress, StopAtNonFiniteLoss, Watcher
from framewatch.training.fit.checkpoints import BEST, HISTORY, PhaseCheckpoint, open_checkpoint

_WARM_UP_EPOCHS: Final = 2
_MODES: Final = {"val_accuracy": "max", "val_loss": "min"}


def fit(
    build: Callable[[], keras.Model],
    start: Callable[[keras.Model], None],
    data: LabelledData,
    recipe: Recipe,
    phases: tuple[Phase, ...],
    folder: Path,
    seed: int,
    watcher: Watcher,
) -> list[tuple[Phase, PhaseCheckpoint]]:
    """Train through all phases; each goes on from the best weights of the one before.

    Args:
        build: a new model, made for training.
        start: gives it the weights that the first phase starts from.
        data: with the parts train and validation.
        recipe: how.
        phases: in order.
        folder: of the checkpoints; a run that was killed goes on with those it left there.
        seed: of everything random.
        watcher: follows the training.

    Raises:
        DataError: the loss is no number any more.
    """
    over: list[tuple[Phase, PhaseCheckpoint]] = []
    for index, phase in enumerate(phases):
        checkpoint = open_checkpoint(folder / phase.name)
        if not _is_over(phase, recipe, checkpoint):
            keras.utils.set_random_seed(seed + 100 * index + checkpoint.done)
            model = build()
            if over:
                model.load_weights(over[-1][1].best_weights)
            elif not checkpoint.done:
                start(model)
            if checkpoint.done:
                watcher.say(f"{phase.name}: going on after epoch {checkpoint.done} of {phase.epochs}")
            _fit_phase(model, data, recipe, phase, checkpoint, seed, watcher)
            checkpoint = open_checkpoint(folder / phase.name)
        over.append((phase, checkpoint))
    return over


def best_weights(over: list[tuple[Phase, PhaseCheckpoint]]) -> Path:
    """The weights with the best validation accuracy of all phases: the first ones that had it."""
    return max((checkpoint for _, checkpoint in over), key=lambda checkpoint: checkpoint.best or 0.0).best_weights


def _is_over(phase: Phase, recipe: Recipe, checkpoint: PhaseCheckpoint) -> bool:
    return checkpoint.done >= phase.epochs or checkpoint.without_better(recipe.patience_by) >= recipe.patience


def _fit_phase(
    model: keras.Model,
    data: LabelledData,
    recipe: Recipe,
    phase: Phase,
    checkpoint: PhaseCheckpoint,
    seed: int,
    watcher: Watcher,
) -> None:
    train, classes = data.parts[TRAIN], len(data.labels)
    choose_trained(model, phase.trained)
    model.compile(
        optimizer=_optimizer(recipe, phase, -(-len(train) // recipe.batch_size)),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
    )
    _make_variables(model, classes)
    progress = Progress(phase.name, phase.epochs, watcher, checkpoint.best, checkpoint.done)
    log = keras.callbacks.CSVLogger(str(checkpoint.folder / HISTORY), append=True)
    try:
        model.fit(
            training_batches(train, classes, recipe.batch_size, recipe.augmentation, seed, lambda: progress.epoch),
            validation_data=plain_batches(data.parts[VALIDATION], classes, recipe.batch_size),
            epochs=phase.epochs,
            class_weight=class_weights(train, classes) if recipe.balance else None,
            callbacks=_callbacks(recipe, phase, checkpoint, progress, log),
            shuffle=False,
            verbose=0,
        )
    finally:
        log.on_train_end()  # Keras leaves its file open when something goes wrong


def _make_variables(model: keras.Model, classes: int) -> None:
    """Make now what Keras makes in its first step: a step that makes variables is traced twice."""
    model.optimizer.build(model.trainable_variables)
    shares = keras.ops.ones((1, classes)) / classes
    model.compute_metrics(None, shares, shares)
    model.reset_metrics()


def _optimizer(recipe: Recipe, phase: Phase, steps: int) -> keras.optimizers.Optimizer:
    rate: Any = phase.learning_rate
    if recipe.schedule == "cosine":
        warm_up = min(_WARM_UP_EPOCHS, phase.epochs // 2) * steps
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=phase.learning_rate / 20,
            decay_steps=phase.epochs * steps - warm_up,
            warmup_target=phase.learning_rate,
            warmup_steps=warm_up,
        )
    if recipe.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    return keras.optimizers.Adam(rate)


def _callbacks(
    recipe: Recipe, phase: Phase, checkpoint: PhaseCheckpoint, progress: Progress, log: keras.callbacks.CSVLogger
) -> list[keras.callbacks.Callback]:
    """In the order they are asked: the first may end it, the last makes the epoch count."""
    best = keras.callbacks.ModelCheckpoint(
        str(checkpoint.folder / BEST),
        monitor="val_accuracy",
        mode="max",
        save_best_only=True,
        save_weights_only=True,
        initial_value_threshold=checkpoint.best,
    )
    stop = keras.callbacks.EarlyStopping(
        monitor=recipe.patience_by, mode=_MODES[recipe.patience_by], patience=recipe.patience
    )
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", mode="min", factor=0.5, patience=3)
    lowers = recipe.schedule == "plateau"
    counting = [stop, plateau] if lowers else [stop]
    return [
        StopAtNonFiniteLoss(),
        progress,
        *counting,
        best,
        log,
        Backup(checkpoint.folder, checkpoint.backup),
        HistoryRestorer(checkpoint.rows, counting, phase.learning_rate if lowers else None),
    ]
