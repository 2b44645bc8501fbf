"""EfficientNet-Lite0 in Keras (Tan and Le, arXiv:1905.11946; "Lite": no squeeze-and-excitation, ReLU6).

Its weights come from PyTorch: ``load_state`` gives a network those of a state dict, by the names in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from framewatch.training.architectures.from_scratch import shares
from framewatch.training.architectures.mobilenet import BACKBONE
from framewatch.training.architectures.state_dicts import StateDict
from framewatch.vision.models.inputs import InputSpec


class _Stage(NamedTuple):
    """Blocks of one width: how many, size of the depthwise kernels, stride of the first, expansion, channels."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_SMALLEST: Final = 112  # pixels
_STEM: Final = 32
_HEAD: Final = 1280
_STAGES: Final = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_PARTS: Final = {
    "expand": "_expand_conv", "expand_bn": "_bn0",
    "depthwise": "_depthwise_conv", "depthwise_bn": "_bn1",
    "project": "_project_conv", "project_bn": "_bn2",
}  # fmt: skip
_AROUND: Final = {"stem": "_conv_stem", "stem_bn": "_bn0", "head": "_conv_head", "head_bn": "_bn1"}
_LABELS: Final = "_fc"
_OF_NORMALIZATION: Final = ("weight", "bias", "running_mean", "running_var")


def efficientnet(spec: InputSpec, classes: int, training: bool) -> keras.Model:
    """EfficientNet-Lite0 with one dense layer on it: any kind of pictures, grey ones too.

    Made for serving small pictures, which are faces, it gives the mean of its answers to each and its mirror image.

    Args:
        spec: of its pictures; 224x224 for ImageNet's weights. Smaller ones than 112x112 are made larger in the model:
            small faces are then as blurred wherever they come from.
        classes: how many.
        training: with only one look at small pictures.
    """
    pictures = keras.Input(spec.shape)
    x = layers.Rescaling(1 / 128, offset=-127 / 128)(pictures)
    if (smaller := min(spec.height, spec.width)) < _SMALLEST:
        x = layers.Resizing(spec.height * _SMALLEST // smaller, spec.width * _SMALLEST // smaller)(x)
    if spec.channels == 1:
        x = layers.Concatenate()([x, x, x])
    x = lite0(x.shape[1:3])(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.3)(x)
    single = keras.Model(pictures, shares(x, classes), name="efficientnet")
    if training or smaller >= _SMALLEST:
        return single
    whole = keras.Input(spec.shape)
    looks = [single(whole), single(keras.ops.flip(whole, axis=2))]
    return keras.Model(whole, layers.Average()(looks), name="efficientnet_of_two_looks")


def lite0(sides: tuple[int, int]) -> keras.Model:
    """What it finds in pictures of -1 to 1, (n, height, width, 3): (n, height / 32, width / 32, 1280).

    Args:
        sides: height and width, in pixels.
    """
    pictures = keras.Input((*sides, 3))
    x = _convolved(pictures, "stem", _STEM, 3, stride=2)
    number = 0
    for stage in _STAGES:
        for first in (True, *[False] * (stage.blocks - 1)):
            x = _block(x, f"block_{number}", stage, stage.stride if first else 1)
            number += 1
    x = _convolved(x, "head", _HEAD, 1)
    return keras.Model(pictures, x, name=BACKBONE)


def _block(x: keras.KerasTensor, name: str, stage: _Stage, stride: int) -> keras.KerasTensor:
    """An inverted residual: wider, filtered channel by channel, narrower."""
    entered, channels = x, x.shape[-1]
    if stage.expansion > 1:
        x = _convolved(x, f"{name}_expand", channels * stage.expansion, 1)
    x = layers.DepthwiseConv2D(
        stage.kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = layers.ReLU(6)(_normalized(x, f"{name}_depthwise"))
    x = layers.Conv2D(stage.channels, 1, padding="same", use_bias=False, name=f"{name}_project")(x)
    x = _normalized(x, f"{name}_project")
    return layers.Add()([x, entered]) if stride == 1 and channels == stage.channels else x


def _convolved(x: keras.KerasTensor, name: str, channels: int, kernel: int, stride: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(channels, kernel, strides=stride, padding="same", use_bias=False, name=name)(x)
    return layers.ReLU(6)(_normalized(x, name))


def _normalized(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)


def load_state(model: keras.Model, state: StateDict) -> None:
    """Give the network the weights of a state dict; its last layer too, where that is of as many labels.

    Args:
        model: as ``efficientnet`` makes it.
        state: of an EfficientNet-Lite0.

    Raises:
        KeyError: an array is missing.
        ValueError: one is of another shape.
    """
    for layer in model.get_layer(BACKBONE).layers:
        if layer.weights:
            layer.set_weights(list(_of_layer(layer, state)))
    last = model.layers[-1]
    if f"{_LABELS}.weight" in state and state[f"{_LABELS}.weight"].shape[0] == last.units:
        last.set_weights([_number(state, f"{_LABELS}.weight").T, _number(state, f"{_LABELS}.bias")])


def _of_layer(layer: layers.Layer, state: StateDict) -> Iterator[NDArray[np.float32]]:
    name = _state_name(layer.name)
    if isinstance(layer, layers.BatchNormalization):
        yield from (_number(state, f"{name}.{which}") for which in _OF_NORMALIZATION)
        return
    kernel = _number(state, f"{name}.weight")
    yield kernel.transpose((2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0))


def _state_name(layer: str) -> str:
    """``block_3_expand_bn`` is ``_blocks.3._bn0`` there."""
    if layer in _AROUND:
        return _AROUND[layer]
    _, number, part = layer.split("_", 2)
    return f"_blocks.{number}.{_PARTS[part]}"


def _number(state: StateDict, name: str) -> NDArray[Any]:
    return np.asarray(state[name], np.float32)
