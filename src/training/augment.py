"""Changes to training pictures that leave what they show as it is. Values stay 0 to 255, float32."""

from __future__ import annotations

from collections.abc import Callable

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
