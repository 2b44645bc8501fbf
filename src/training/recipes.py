"""How each architecture is trained unless told otherwise: one entry of the table each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import keras

from training import augment, models
from training.augment import Augmentation
from vision.inputs import InputSpec

Build = Callable[[InputSpec, int, bool], keras.Model]


@dataclass(frozen=True, slots=True)
class Recipe:
    """An architecture and its training.

    Attributes:
        build: the model for (input, number of classes, whether it is to be trained or served).
        input: pictures it takes.
        subject: what is shown to it when it serves: the whole frame, or each face.
        epochs: at most.
        batch_size: samples a step.
        learning_rate: at its highest.
        optimizer: ``adam`` or ``adamw``.
        weight_decay: of AdamW.
        label_smoothing: part of the truth that is spread over all classes.
        schedule: ``cosine``: warm up over two epochs, then fall to nothing by the last; ``plateau``: halved whenever
            the validation loss has not fallen for three epochs.
        augmentation: of the training pictures.
        balance: whether rare classes count more, by their share.
        patience: epochs without a better validation accuracy after which training ends.
    """

    build: Build
    input: InputSpec
    augmentation: Augmentation
    subject: Literal["frame", "face"] = "frame"
    epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-3
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    schedule: Literal["cosine", "plateau"] = "plateau"
    balance: bool = True
    patience: int = 10


RECIPES: dict[str, Recipe] = {
    "emotion": Recipe(
        build=models.emotion,
        input=InputSpec(height=48, width=48, channels=1),
        augmentation=augment.faces,
        subject="face",
        epochs=75,
        batch_size=128,
        learning_rate=2e-3,
        optimizer="adamw",
        weight_decay=1e-2,
        label_smoothing=0.1,
        schedule="cosine",
        balance=False,
        patience=25,
    ),
}
