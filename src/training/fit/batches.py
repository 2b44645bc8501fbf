"""Batches for Keras out of arrays that may be larger than memory: only the pictures of a few batches are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from framewatch.errors import DataError
from framewatch.training.data.labelled import Part
from framewatch.training.fit.augment import Augmentation

Batch = tuple[NDArray[np.uint8], NDArray[np.float32]]

_AHEAD: Final = 2  # batches made while the model learns from one
_SHOWN: Final = 3  # rows and columns of augmented samples
_SIDE: Final = 160  # pixels of each, at least


def training_batches(
    part: Part, classes: int, batch_size: int, augmentation: Augmentation, seed: int, epoch: Callable[[], int]
) -> tf.data.Dataset:
    """Samples changed by the augmentation, in an order of their own each epoch; ends after one.

    Args:
        part: the samples.
        classes: how many.
        batch_size: samples in a batch, at most: the batches of an epoch are of one size, give or take one sample, for
            a last one of a single sample would do harm where a layer normalizes over the batch.
        augmentation: of the pictures.
        seed: the same seed and epoch give the same order.
        epoch: which one begins.
    """
    steps = -(-len(part) // batch_size)

    def indexes() -> list[NDArray[np.int64]]:
        order = np.random.default_rng((seed, epoch())).permutation(len(part))
        return [np.sort(chosen) for chosen in np.array_split(order, steps)]  # sorted: read from the disk in its order

    change = augmented(augmentation, seed + 1000 * epoch())
    batches = _batches(part, classes, indexes, steps)
    changed = batches.map(lambda x, y: (change(x), y), num_parallel_calls=tf.data.AUTOTUNE)
    return changed.prefetch(_AHEAD)


def plain_batches(part: Part, classes: int, batch_size: int) -> tf.data.Dataset:
    """Samples in their order, unchanged."""
    starts = range(0, len(part), batch_size)

    def indexes() -> list[NDArray[np.int64]]:
        return [np.arange(start, min(start + batch_size, len(part))) for start in starts]

    return _batches(part, classes, indexes, len(starts)).prefetch(_AHEAD)


def class_weights(part: Part, classes: int) -> dict[int, float]:
    """How much each class counts, so that all weigh the same together; 0 for one without a sample."""
    counts = np.bincount(part.targets, minlength=classes)
    return {index: len(part) / (classes * int(n)) if n else 0.0 for index, n in enumerate(counts)}


def augmented(augmentation: Augmentation, seed: int) -> Callable[[Any], Any]:
    """Makes float32 pictures of a batch of 8 bits, each sample changed; all frames of a sequence in the same way."""
    layers = augmentation(seed)

    def change(pictures: Any) -> Any:
        pictures = tf.cast(pictures, tf.float32)
        shape = tf.shape(pictures)
        if sequences := pictures.shape.rank == 5:  # frames become channels: what changes a picture changes them alike
            _, frames, height, width, channels = pictures.shape
            pictures = tf.reshape(tf.transpose(pictures, (0, 2, 3, 1, 4)), (-1, height, width, frames * channels))
        for layer in layers:
            pictures = layer(pictures, training=True)
        if sequences:
            pictures = tf.reshape(pictures, (-1, height, width, frames, channels))
            pictures = tf.transpose(pictures, (0, 3, 1, 2, 4))
        return tf.ensure_shape(tf.reshape(pictures, shape), pictures.shape)

    return change


def augmented_samples(part: Part, augmentation: Augmentation, seed: int, path: Path) -> None:
    """Nine changed forms of one training picture as a PNG file.

    Raises:
        DataError: it cannot be written.
    """
    sample = part.pictures[np.random.default_rng(seed).integers(len(part))]
    changed = augmented(augmentation, seed)(np.repeat(sample[np.newaxis], _SHOWN**2, axis=0)).numpy()
    pictures = changed[:, changed.shape[1] // 2] if changed.ndim == 5 else changed
    larger = max(1, -(-_SIDE // pictures.shape[2]))
    tiles = pictures.round().astype(np.uint8).repeat(larger, axis=1).repeat(larger, axis=2)
    framed = np.pad(tiles, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=255)
    rows = [np.concatenate(list(framed[i : i + _SHOWN]), axis=1) for i in range(0, _SHOWN**2, _SHOWN)]
    sheet = np.concatenate(rows)[..., ::-1]
    try:
        path.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None


def _batches(part: Part, classes: int, indexes: Callable[[], list[NDArray[np.int64]]], steps: int) -> tf.data.Dataset:
    truth = np.eye(classes, dtype=np.float32)[part.targets] if part.votes is None else part.votes

    def read() -> Iterator[Batch]:
        for chosen in indexes():
            yield np.asarray(part.pictures[chosen]), truth[chosen]

    signature = (
        tf.TensorSpec((None, *part.pictures.shape[1:]), tf.uint8),
        tf.TensorSpec((None, classes), tf.float32),
    )
    batches = tf.data.Dataset.from_generator(read, output_signature=signature)
    return batches.apply(tf.data.experimental.assert_cardinality(steps))
