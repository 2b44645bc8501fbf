"""Small trained models for tests. Made by a process of its own, so that TensorFlow stays out of the tests' memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from framewatch.vision.classifier import Image
from framewatch.vision.models.bundle import Bundle, Manifest, load_bundle
from framewatch.vision.models.inputs import InputSpec
from heavy import export, keras, photos
from shared import this_run

COLOURS = ("blue", "green", "red")
MOODS = ("calm", "cross", "glad", "odd")


@dataclass(frozen=True)
class Made:
    """Bundles by name, and Keras's own answers to some samples.

    ``colours`` tells the colour of a whole frame, ``sequence`` looks at four frames, ``moods`` at faces; the weights
    of the last two are random, and large enough for scores that differ. The answers of ``raw`` are no shares.
    """

    folder: Path

    def __getitem__(self, name: str) -> Path:
        return self.folder / name

    def load(self, name: str) -> Bundle:
        return load_bundle(self[name])

    def answers(self, name: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Samples, and what Keras says to them."""
        arrays = np.load(self.folder / f"{name}.npz")
        return arrays["samples"], arrays["answers"]


def person() -> Image:
    """A picture with one face in it, 512x512, blue green red: scikit-image's astronaut."""
    picture: Image = photos.astronaut()  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(picture[..., ::-1])


@pytest.fixture(scope="session")
def bundles() -> Made:
    return Made(this_run().once("bundles", make_aside))


def make_aside(folder: Path) -> None:
    done = subprocess.run([sys.executable, __file__, str(folder)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def make(folder: Path) -> None:
    """Make the bundles; needs TensorFlow."""

    def colours(spec: InputSpec) -> keras.Model:
        pictures = keras.Input(spec.shape)
        x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pictures))
        red_is_first = keras.layers.Dense(3, activation="softmax")
        model = keras.Model(pictures, red_is_first(x))
        red_is_first.set_weights([6 * np.eye(3)[:, ::-1], np.array([0.0, 0.1, 0.2])])
        return model

    def sequence(spec: InputSpec) -> keras.Model:
        pictures = keras.Input(spec.shape)
        x = keras.layers.Rescaling(1 / 127.5, offset=-1)(pictures)
        x = keras.layers.TimeDistributed(keras.layers.Conv2D(8, 3, strides=2, activation="relu"))(x)
        x = keras.layers.TimeDistributed(keras.layers.GlobalAveragePooling2D())(x)
        x = keras.layers.LSTM(16, unroll=True)(x)
        return with_large_head(pictures, x, len(COLOURS))

    def moods(spec: InputSpec) -> keras.Model:
        pictures = keras.Input(spec.shape)
        x = keras.layers.Rescaling(1 / 127.5, offset=-1)(pictures)
        x = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        return with_large_head(pictures, x, len(MOODS))

    def raw(spec: InputSpec) -> keras.Model:
        pictures = keras.Input(spec.shape)
        x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pictures))
        return keras.Model(pictures, keras.layers.Dense(3, activation="relu", bias_initializer="ones")(x))

    def with_large_head(pictures: keras.KerasTensor, x: keras.KerasTensor, classes: int) -> keras.Model:
        head = keras.layers.Dense(classes, activation="softmax")
        model = keras.Model(pictures, head(x))
        head.set_weights([12 * head.get_weights()[0], head.get_weights()[1]])
        return model

    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(3)
    for name, architecture, labels, manifest in (
        ("colours", colours, COLOURS, {"input": InputSpec(height=24, width=32)}),
        ("sequence", sequence, COLOURS, {"input": InputSpec(height=16, width=16, frames=4)}),
        ("raw", raw, COLOURS, {"input": InputSpec(height=8, width=8)}),
        ("moods", moods, MOODS, {"input": InputSpec(height=32, width=32, channels=1), "subject": "face"}),
    ):
        about = Manifest.model_validate({"name": name, "architecture": "cnn", "margin": 0.1, "files": {}, **manifest})
        model = architecture(about.input)
        (folder / name).mkdir()
        export.export_bundle(model, about, labels, folder / name, "# A small model for tests\n")
        samples = rng.integers(0, 256, (6, *about.input.shape), np.uint8)
        for k, sample in enumerate(samples):
            sample[..., k % about.input.channels] //= 2 + k
        np.savez(folder / f"{name}.npz", samples=samples, answers=np.asarray(model(samples.astype(np.float32))))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
