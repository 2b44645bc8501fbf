"""The architectures that stand on MobileNetV2, whose weights may come from ImageNet.

With such weights the backbone is frozen while the new layers on it are trained. Its normalization then always works
by the mean and variance that it came with, also when some of its layers are tuned later on: those of a few small
batches would spoil it.
"""

from __future__ import annotations

from typing import Final, Literal

import keras
from keras import layers

from framewatch.training.architectures.from_scratch import shares
from framewatch.vision.models.inputs import InputSpec

BACKBONE: Final = "backbone"
Trained = Literal["all", "head", "upper"]
"""Which layers learn: all, those on the backbone only, or these and the backbone's upper third."""

_FIRST_UPPER: Final = "block_13_expand"


def mobilenet(spec: InputSpec, classes: int, training: bool) -> keras.Model:
    """MobileNetV2 with one dense layer on it: any kind of pictures.

    Args:
        spec: of its pictures, red green blue, 224x224 for ImageNet's weights.
        classes: how many.
        training: makes no difference to it.
    """
    del training
    pictures = keras.Input(spec.shape)
    x = layers.GlobalAveragePooling2D()(_features(spec, pictures))
    x = layers.Dropout(0.2)(x)
    return keras.Model(pictures, shares(x, classes), name="mobilenet")


def mobilenet_lstm(spec: InputSpec, classes: int, training: bool) -> keras.Model:
    """MobileNetV2 on each frame, an LSTM over the frames and two dense layers (human actions).

    The frames go through the backbone as one batch. That gives what Keras's ``TimeDistributed`` gives, whose exported
    form holds the way through the backbone once for each frame. Unrolled, the LSTM can be exported.

    Args:
        spec: of its pictures, with the number of frames.
        classes: how many.
        training: makes no difference to it.
    """
    del training
    pictures = keras.Input(spec.shape)
    x = pictures if spec.frames == 1 else keras.ops.reshape(pictures, (-1, *spec.shape[1:]))
    x = layers.GlobalAveragePooling2D()(_features(spec, x))
    x = keras.ops.reshape(x, (-1, spec.frames, x.shape[-1]))
    x = layers.LSTM(128, unroll=True)(x)
    x = layers.Dropout(0.3)(x)
    for units in (256, 128):
        x = layers.Dense(units)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Dropout(0.3)(x)
    return keras.Model(pictures, shares(x, classes), name="mobilenet_lstm")


def choose_trained(model: keras.Model, trained: Trained) -> None:
    """Freeze what is not to learn. It takes effect when the model is compiled."""
    if trained == "all":
        model.trainable = True
        return
    backbone = model.get_layer(BACKBONE)
    backbone.trainable = trained == "upper"
    upper = False
    for layer in backbone.layers if trained == "upper" else ():
        upper = upper or layer.name == _FIRST_UPPER
        layer.trainable = upper and not isinstance(layer, layers.BatchNormalization)


def _features(spec: InputSpec, pictures: keras.KerasTensor) -> keras.KerasTensor:
    """What the backbone finds in pictures of 0 to 255: (n, height / 32, width / 32, 1280)."""
    shape = (spec.height, spec.width, spec.channels)
    backbone = keras.applications.MobileNetV2(input_shape=shape, include_top=False, weights=None, name=BACKBONE)
    return backbone(layers.Rescaling(1 / 127.5, offset=-1)(pictures))
