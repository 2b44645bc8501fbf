"""Changes to training pictures that leave what they show as it is. Values stay 0 to 255, float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

Layers = list[layers.Layer]
Augmentation = Callable[[int], Layers]
"""The layers in the order they are applied, from a seed."""

_WHOLE = {"value_range": (0, 255), "dtype": "float32"}
_PLACE = {"fill_mode": "nearest", "dtype": "float32"}


def faces(seed: int) -> Layers:
    """Small changes: a face fills its picture, so there is little room."""
    return [
        layers.RandomFlip("horizontal", seed=seed, dtype="float32"),
        layers.RandomRotation(0.04, seed=seed + 1, **_PLACE),
        layers.RandomTranslation(0.1, 0.1, seed=seed + 2, **_PLACE),
        layers.RandomZoom(0.1, seed=seed + 3, **_PLACE),
        layers.RandomBrightness(0.15, seed=seed + 4, **_WHOLE),
        layers.RandomContrast(0.2, seed=seed + 5, **_WHOLE),
        layers.RandomErasing(0.5, scale=(0.02, 0.15), fill_value=127.0, seed=seed + 6, **_WHOLE),
    ]


def scenes(seed: int) -> Layers:
    """For whole pictures: mirrored, turned, moved, nearer or farther, in other light."""
    return [
        layers.RandomFlip("horizontal", seed=seed, dtype="float32"),
        layers.RandomRotation(0.05, seed=seed + 1, **_PLACE),
        layers.RandomTranslation(0.1, 0.1, seed=seed + 2, **_PLACE),
        layers.RandomZoom(0.2, seed=seed + 3, **_PLACE),
        layers.RandomBrightness(0.15, seed=seed + 4, **_WHOLE),
        layers.RandomContrast(0.2, seed=seed + 5, **_WHOLE),
    ]


def deepface(seed: int) -> Layers:
    """Those of the face-emotion project in docs/coming-from.md.

    Shear .3, zoom .3, rotation 30 degrees, shift .2, brightness .8 to 1.2, mirrored.
    """
    return [
        layers.RandomFlip("horizontal", seed=seed, dtype="float32"),
        layers.RandomShear(0.3, 0.0, seed=seed + 1, **_PLACE),
        layers.RandomZoom(0.3, seed=seed + 2, **_PLACE),
        layers.RandomRotation(30 / 360, seed=seed + 3, **_PLACE),
        layers.RandomTranslation(0.2, 0.2, seed=seed + 4, **_PLACE),
        RandomGain(0.8, 1.2, seed=seed + 5),
    ]


class RandomGain(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Each picture brighter or darker by a factor; Keras's own layer for brightness adds instead."""

    def __init__(self, low: float, high: float, seed: int) -> None:
        super().__init__(dtype="float32")
        self._range = low, high
        self._random = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Pictures (n, height, width, channels) of 0 to 255."""
        if not training:
            return inputs
        shape = (keras.ops.shape(inputs)[0], 1, 1, 1)
        gain = keras.random.uniform(shape, *self._range, seed=self._random)
        return keras.ops.clip(inputs * gain, 0.0, 255.0)
