"""python -m benchmarks.keras_loop FOLDER FRAMES: a whole-frame model as a bundle, and Keras's own speed with it.

A program of its own, so that TensorFlow's memory and threads are gone before anything else is measured. FRAMES is a
NumPy file of pictures, (n, 224, 224, 3) RGB. Prints the frames a second of ``model.predict`` one at a time.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import keras
import numpy as np

from framewatch.training.architectures.recipes import RECIPES
from framewatch.training.export import export_bundle
from framewatch.vision.models.bundle import Manifest

CLASSES = 15


def main(folder: Path, frames: Path) -> None:
    """Make the bundle and time the loop."""
    keras.utils.set_random_seed(1)
    recipe = RECIPES["mobilenet"]
    model = recipe.build(recipe.input, CLASSES, False)
    folder.mkdir()
    labels = tuple(f"action {index}" for index in range(CLASSES))
    manifest = Manifest(name="bench", architecture="mobilenet", input=recipe.input, files={})
    export_bundle(model, manifest, labels, folder, "# Untrained: for measuring speed\n")

    pictures = np.load(frames)
    model.predict(pictures[:1], verbose=0)
    started = time.perf_counter()
    for picture in pictures:
        model.predict(picture[np.newaxis], verbose=0)
    print(len(pictures) / (time.perf_counter() - started))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
