"""A model whose every answer is known, pictures of which it gets so many right and wrong, and a bundle of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framewatch.training.data.labelled import Part
from framewatch.vision.models.bundle import Bundle, Manifest, seal_bundle, write_labels
from framewatch.vision.models.inputs import InputSpec
from heavy import card, figures, openvino
from heavy import operations as ops

SIDE = 16
SPEC = InputSpec(height=SIDE, width=SIDE, channels=1)
LABELS = ("dark", "middle", "light")
BRIGHTNESS = (30, 120, 220)

CONFUSION = np.array([[7, 2, 1], [0, 5, 3], [4, 0, 8]])

SMOKING = ("NotSmoking", "Smoking")


def story() -> card.Provenance:
    """Of the training that it never had."""
    return card.Provenance(
        source="rooms.npz",
        parameters=1234,
        recipe={"optimizer": "adam", "learning_rate": 1e-3},
        seed=7,
        precision="float32",
        duration_s=300,
        versions={"keras": "3"},
        terms="CC BY 4.0",
    )


def softmax(scores: Any) -> NDArray[np.float64]:
    powers = np.exp(np.asarray(scores, float) - np.max(scores, axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)


def by_brightness(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The known model: a picture is called after the brightness that its own is next to."""
    means = pictures.reshape(len(pictures), -1).mean(axis=1, keepdims=True)
    return softmax(-abs(means - np.array(BRIGHTNESS)) / 20).astype(np.float32)


def of_two(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The same for the first two labels."""
    known = by_brightness(pictures)[:, :2]
    return np.asarray(known / known.sum(axis=1, keepdims=True), np.float32)


def known_part(confusion: NDArray[Any] = CONFUSION, seed: int = 0) -> Part:
    """Pictures of which the known model gets exactly so many right and wrong, in random order."""
    random = np.random.default_rng(seed)
    cells = np.array([cell for cell, n in np.ndenumerate(confusion) for _ in range(n)], np.int64).reshape(-1, 2)
    cells = random.permutation(cells)
    noise = random.integers(-20, 21, (len(cells), SIDE, SIDE, 1))
    bright = np.array(BRIGHTNESS)[cells[:, 1]].reshape(-1, 1, 1, 1)
    return Part((bright + noise).clip(0, 255).astype(np.uint8), cells[:, 0])


def predictions(targets: list[int], given: Any, labels: tuple[str, ...] = LABELS) -> figures.Predictions:
    return figures.Predictions(labels, np.array(targets, np.int64), np.array(given, float).reshape(-1, len(labels)))


def predictions_of(part: Part, labels: tuple[str, ...] = LABELS) -> figures.Predictions:
    return figures.Predictions(labels, part.targets, softmax(np.log(by_brightness(part.pictures))[:, : len(labels)]))


def seal_known(folder: Path, labels: tuple[str, ...] = LABELS) -> Bundle:
    """The known model as a bundle named after its folder: a graph of six operations, exported for OpenVINO."""
    folder.mkdir()
    taken = ops.parameter([-1, *SPEC.shape], np.float32)
    mean = ops.reduce_mean(ops.reshape(taken, [0, -1], True), [1], True)
    centres = np.array([BRIGHTNESS[: len(labels)]], np.float32)
    distance = ops.abs(ops.subtract(mean, centres))
    given = ops.softmax(ops.multiply(distance, np.float32(-1 / 20)), 1)
    openvino.save_model(openvino.Model([given], [taken]), folder / "model.xml", compress_to_fp16=False)
    write_labels(folder, labels)
    return seal_bundle(folder, Manifest(name=folder.name, architecture="cnn", input=SPEC, files={}))
