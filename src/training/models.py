"""The architectures: one function each, from the shape of a picture to a Keras model.

Every model takes pictures with values 0 to 255 (scaling is its first layer) and gives the share of each class, in
float32 whatever the precision of its layers.
"""

from __future__ import annotations

import keras
from keras import layers

from training.layers import FusedBatchNormalization
from vision.inputs import InputSpec


def emotion(spec: InputSpec, classes: int, training: bool) -> keras.Model:
    """Ours: a small VGG for faces of about 48x48 pixels, 0.7 million parameters.

    The first convolution halves the sides at once: on a CPU the large early layers would cost the most and give the
    least. Made for serving, it looks at the picture and its mirror image and gives the mean of both answers.

    Args:
        spec: of its pictures.
        classes: how many.
        training: with the quicker normalization, and without the mirror image.
    """
    normalization = FusedBatchNormalization if training else layers.BatchNormalization

    def convolved(x: keras.KerasTensor, filters: int, size: int = 3, strides: int = 1) -> keras.KerasTensor:
        x = layers.Conv2D(
            filters, size, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal"
        )(x)
        return layers.ReLU()(normalization()(x))

    pictures = keras.Input(spec.shape)
    x = layers.Rescaling(1 / 127.5, offset=-1)(pictures)
    x = convolved(x, 64, size=4, strides=2)
    for filters, depth, dropout in ((64, 2, 0.1), (128, 2, 0.2), (160, 2, 0.3)):
        for _ in range(depth):
            x = convolved(x, filters)
        x = layers.MaxPooling2D()(x) if filters < 160 else x
        x = layers.Dropout(dropout)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.4)(x)
    shares = layers.Dense(classes, activation="softmax", dtype="float32")(x)
    single = keras.Model(pictures, shares, name="emotion")
    if training:
        return single
    both = keras.Input(spec.shape)
    mirrored = keras.ops.flip(both, axis=2)
    return keras.Model(both, layers.Average()([single(both), single(mirrored)]), name="emotion_mirrored")
