"""Training: from labelled data to the best weights, in steps that can be killed and gone on with."""

from __future__ import annotations

import csv
import logging
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from training.data import TRAIN, VALIDATION, LabelledData, Part
from training.recipes import Recipe

_log = logging.getLogger(__name__)

BEST: Final = "best.weights.h5"
HISTORY: Final = "history.csv"
_BACKUP: Final = "backup"
_WARM_UP_EPOCHS: Final = 2


def fit(model: keras.Model, data: LabelledData, recipe: Recipe, folder: Path, seed: int) -> None:
    """Train the model; it has its best weights (by validation accuracy) afterwards.

    Args:
        model: made for training.
        data: with the parts train and validation.
        recipe: how.
        folder: for the state; with what a killed run left there, that run goes on.
        seed: of everything random.
    """
    train, validation = data.parts[TRAIN], data.parts[VALIDATION]
    steps = -(-len(train) // recipe.batch_size)
    model.compile(
        optimizer=_optimizer(recipe, steps),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
    )
    classes = len(data.labels)
    model.fit(
        batches(train, classes, recipe, seed),
        validation_data=plain_batches(validation, classes, recipe.batch_size),
        epochs=recipe.epochs,
        class_weight=class_weights(train, classes) if recipe.balance else None,
        callbacks=_callbacks(recipe, folder),
        verbose=2,
    )
    model.load_weights(folder / BEST)


def batches(part: Part, classes: int, recipe: Recipe, seed: int) -> tf.data.Dataset:
    """Training samples, shuffled anew each epoch and changed by the recipe's augmentation."""
    layers = recipe.augmentation(seed)

    def augmented(pictures: Any, targets: Any) -> tuple[Any, Any]:
        pictures = tf.cast(pictures, tf.float32)
        for layer in layers:
            pictures = layer(pictures, training=True)
        return pictures, targets

    samples = _samples(part, classes).shuffle(len(part), seed=seed, reshuffle_each_iteration=True)
    return samples.batch(recipe.batch_size).map(augmented, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def plain_batches(part: Part, classes: int, batch_size: int) -> tf.data.Dataset:
    """Samples in their order, unchanged."""
    return _samples(part, classes).batch(batch_size).prefetch(2)


def class_weights(part: Part, classes: int) -> dict[int, float]:
    """How much each class counts, so that all weigh the same together; 0 for one without a sample."""
    counts = np.bincount(part.targets, minlength=classes)
    return {index: len(part) / (classes * int(n)) if n else 0.0 for index, n in enumerate(counts)}


def _samples(part: Part, classes: int) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((part.pictures, keras.utils.to_categorical(part.targets, classes)))


def _optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    rate: Any = recipe.learning_rate
    if recipe.schedule == "cosine":
        warm_up = min(_WARM_UP_EPOCHS, recipe.epochs // 2) * steps
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=recipe.learning_rate / 20,
            decay_steps=recipe.epochs * steps - warm_up,
            warmup_target=recipe.learning_rate,
            warmup_steps=warm_up,
        )
    if recipe.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    return keras.optimizers.Adam(rate)


def _callbacks(recipe: Recipe, folder: Path) -> list[keras.callbacks.Callback]:
    best = best_so_far(folder)
    callbacks = [
        keras.callbacks.BackupAndRestore(folder / _BACKUP, delete_checkpoint=False),
        keras.callbacks.ModelCheckpoint(
            folder / BEST,
            monitor="val_accuracy",
            mode="max",
            save_best_only=True,
            save_weights_only=True,
            initial_value_threshold=best,
        ),
        keras.callbacks.EarlyStopping(monitor="val_accuracy", mode="max", patience=recipe.patience),
        keras.callbacks.CSVLogger(folder / HISTORY, append=True),
        keras.callbacks.TerminateOnNaN(),
    ]
    if recipe.schedule == "plateau":
        callbacks.append(keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=3))
    return callbacks


def best_so_far(folder: Path) -> float | None:
    """Best validation accuracy of the run that was killed, or None when none was."""
    try:
        with (folder / HISTORY).open(newline="") as file:
            return max((float(row["val_accuracy"]) for row in csv.DictReader(file)), default=None)
    except FileNotFoundError:
        return None
