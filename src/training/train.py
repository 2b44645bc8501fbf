"""One training from data to bundle."""

from __future__ import annotations

from pathlib import Path

import keras

from training.data import LabelledData, Part
from training.export import served_form
from training.fit import fit, plain_batches
from training.recipes import Recipe


def train(data: LabelledData, recipe: Recipe, work: Path, seed: int) -> keras.Model:
    """The served form of the model, with the weights that did best on validation."""
    keras.utils.set_random_seed(seed)
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    model = recipe.build(recipe.input, len(data.labels), True)
    fit(model, data, recipe, work, seed)
    return served_form(model, recipe, len(data.labels))


def accuracy(model: keras.Model, part: Part, classes: int) -> float:
    """Share of right answers."""
    model.compile(loss="categorical_crossentropy", metrics=["accuracy"])
    return float(model.evaluate(plain_batches(part, classes, 256), verbose=0)[1])
