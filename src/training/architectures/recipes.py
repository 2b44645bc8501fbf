"""How each architecture is trained by default: one entry of the table each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import keras

from framewatch.training.architectures import efficientnet as efficient
from framewatch.training.architectures import from_scratch as models
from framewatch.training.architectures import mobilenet as mobile
from framewatch.training.architectures.backbones import LITE0, MOBILENET, Backbone
from framewatch.training.architectures.mobilenet import Trained
from framewatch.training.fit import augment
from framewatch.training.fit.augment import Augmentation
from framewatch.vision.models.inputs import InputSpec

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
        patience: epochs without a better figure after which training ends.
        patience_by: that figure. The weights that are kept are always those with the best validation accuracy.
        stands_on: the network below its own layers, whose weights may come from ImageNet.
        backbone: what becomes of that: it stays ``frozen``, or its upper part is ``tuned`` in the end.
        sequences: whether it can look at several frames.
        quick_in_bfloat16: on a CPU that counts in it. Normalization and depthwise convolutions by Keras are not.
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
    patience_by: Literal["val_accuracy", "val_loss"] = "val_accuracy"
    stands_on: Backbone | None = None
    backbone: Literal["none", "frozen", "tuned"] = "none"
    sequences: bool = False
    quick_in_bfloat16: bool = False


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of a training.

    Attributes:
        name: of its folder, and in the history.
        epochs: at most.
        learning_rate: at its highest.
        trained: which layers learn.
    """

    name: str
    epochs: int
    learning_rate: float
    trained: Trained = "all"


TUNING_RATE = 1 / 50
"""Of the learning rate, when layers are tuned that have learned from far more pictures before."""


def phases_of(recipe: Recipe, pretrained: bool) -> tuple[Phase, ...]:
    """The phases, in order; together no more epochs than the recipe's, none where that has none.

    Args:
        recipe: the training.
        pretrained: whether it starts from weights. A backbone that knows nothing yet is neither frozen nor spared.
    """
    if not recipe.epochs:
        return ()
    if recipe.backbone == "none" or not pretrained:
        return (Phase("training", recipe.epochs, recipe.learning_rate),)
    if recipe.backbone == "frozen":
        return (Phase("training", recipe.epochs, recipe.learning_rate, "head"),)
    warm_up = max(1, recipe.epochs // 3)
    phases = (
        Phase("warm-up", warm_up, recipe.learning_rate, "head"),
        Phase("fine-tuning", recipe.epochs - warm_up, recipe.learning_rate * TUNING_RATE, "upper"),
    )
    return phases if recipe.epochs > warm_up else phases[:1]


RECIPES: dict[str, Recipe] = {
    "cnn": Recipe(
        build=models.cnn,
        input=InputSpec(height=128, width=128),
        augmentation=augment.scenes,
        quick_in_bfloat16=True,
    ),
    "efficientnet": Recipe(
        build=efficient.efficientnet,
        input=InputSpec(height=224, width=224),
        augmentation=augment.scenes,
        epochs=30,
        stands_on=LITE0,
        backbone="tuned",
    ),
    "mobilenet": Recipe(
        build=mobile.mobilenet,
        input=InputSpec(height=224, width=224),
        augmentation=augment.scenes,
        epochs=30,
        stands_on=MOBILENET,
        backbone="tuned",
    ),
    "mobilenet-lstm": Recipe(
        build=mobile.mobilenet_lstm,
        input=InputSpec(height=224, width=224),
        augmentation=augment.scenes,
        stands_on=MOBILENET,
        backbone="frozen",
        sequences=True,
    ),
    "deepface": Recipe(
        build=models.deepface,
        input=InputSpec(height=152, width=152),
        augmentation=augment.deepface,
        subject="face",
        epochs=100,
        balance=False,
        patience_by="val_loss",
    ),
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
        quick_in_bfloat16=True,
    ),
}
