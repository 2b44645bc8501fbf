"""A trained model as a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import keras

from training.recipes import Recipe
from vision.bundle import (
    CARD,
    KERAS_FILE,
    LITERT_FILE,
    OPENVINO_FILE,
    Bundle,
    Manifest,
    seal_bundle,
    write_labels,
)

RUNTIME_FORMATS: Final = {"openvino": OPENVINO_FILE, "litert": LITERT_FILE}


def served_form(trained: keras.Model, recipe: Recipe, classes: int) -> keras.Model:
    """The same model made for serving: in float32, of plain Keras layers only."""
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("float32")
    try:
        served = recipe.build(recipe.input, classes, False)
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    served.set_weights(trained.get_weights())
    return served


def export_bundle(
    served: keras.Model,
    manifest: Manifest,
    labels: tuple[str, ...],
    folder: Path,
    card: str,
) -> Bundle:
    """Write the model in every form it is served from, seal the folder and load it.

    Args:
        served: in float32, of plain Keras layers.
        manifest: without its files.
        labels: in the order of the outputs.
        folder: there already, perhaps with plots and metrics in it.
        card: the model card, Markdown.
    """
    served.save(folder / KERAS_FILE)
    for format_name, file_name in RUNTIME_FORMATS.items():
        served.export(str(folder / file_name), format=format_name, verbose=False)
    write_labels(folder, labels)
    (folder / CARD).write_text(card, encoding="utf-8")
    return seal_bundle(folder, manifest)
