"""The architectures trained from nothing: one function each, from the shape of a picture to a Keras model.

Every model takes pictures with values 0 to 255 (scaling is its first layer) and gives the share of each class, in
float32 whatever the precision of its layers. Made for training it may have layers of our own that are quicker; made
for serving it is the same network, with the same weights in the same order, of plain Keras layers only.
"""

from __future__ import annotations

import keras
from keras import layers

from framewatch.training.architectures.layers import FusedBatchNormalization
from framewatch.vision.models.inputs import InputSpec


def emotion(spec: InputSpec, classes: int, training: bool) -> keras.Model:
    """Ours: a small VGG for faces of about 48x48 pixels, 0.7 million parameters.

    The first convolution halves the sides at once: on a CPU the large early layers would cost the most and give the
    least. Made for serving, it looks at the picture a little closer and from a little farther away, and at the mirror
    images of both, and gives the mean of the four answers.

    Args:
        spec: of its pictures.
        classes: how many.
        training: with the quicker normalization, and only one look.
    """
    normalization = _normalization(training)

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
    single = keras.Model(pictures, shares(x, classes), name="emotion")
    if training:
        return single
    whole = keras.Input(spec.shape)
    step = max(1, spec.height // 48)
    closer = layers.Cropping2D(step)(whole)
    farther = keras.ops.pad(whole, [(0, 0), (2 * step, 2 * step), (2 * step, 2 * step), (0, 0)], mode="symmetric")
    # By the operation, since the layer for it would turn dropout on.
    sizes = [keras.ops.image.resize(seen, (spec.height, spec.width)) for seen in (closer, farther)]
    looks = [look for seen in sizes for look in (seen, keras.ops.flip(seen, axis=2))]
    return keras.Model(whole, layers.Average()([single(look) for look in looks]), name="emotion_of_four_looks")


def cnn(spec: InputSpec, classes: int, training: bool) -> keras.Model:
    """Four blocks of convolution, batch normalization, max pooling and dropout, then a dense layer.

    Args:
        spec: of its pictures, 16 pixels a side or more.
        classes: how many.
        training: with the quicker normalization.
    """
    normalization = _normalization(training)
    pictures = keras.Input(spec.shape)
    x = layers.Rescaling(1 / 127.5, offset=-1)(pictures)
    for filters, dropout in ((32, 0.1), (64, 0.15), (128, 0.2), (256, 0.25)):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
        x = layers.ReLU()(normalization()(x))
        x = layers.MaxPooling2D()(x)
        x = layers.Dropout(dropout)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(256, activation="relu", kernel_initializer="he_normal")(x)
    x = layers.Dropout(0.4)(x)
    return keras.Model(pictures, shares(x, classes), name="cnn")


def deepface(spec: InputSpec, classes: int, training: bool) -> keras.Model:
    """The face-emotion network of docs/coming-from.md: 18,518,439 parameters at 152x152, seven classes.

    Its last layer is a softmax. It was a ReLU there, which gives no shares and learns nothing where all are 0.

    Args:
        spec: of its pictures, 152x152 in red green blue there.
        classes: how many.
        training: makes no difference to it.
    """
    del training
    pictures = keras.Input(spec.shape)
    x = layers.Rescaling(1 / 255)(pictures)
    for filters, size, strides in ((32, 11, 4), (16, 9, 1), (16, 7, 1)):
        x = layers.Conv2D(filters, size, strides=strides, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(4096, activation="relu")(x)
    x = layers.Dense(4096, activation="relu")(x)
    return keras.Model(pictures, shares(x, classes), name="deepface")


def shares(x: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    """The last layer: the share of each class."""
    return layers.Dense(classes, activation="softmax", dtype="float32", name="shares")(x)


def _normalization(training: bool) -> type[keras.layers.BatchNormalization]:
    return FusedBatchNormalization if training else layers.BatchNormalization
