"""Where a training starts from: nothing, ImageNet, or a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import keras

from framewatch.errors import BadBundle, SettingError
from framewatch.training.architectures.backbones import UNUSABLE, Backbone
from framewatch.vision.models.bundle import KERAS_FILE, load_bundle

IMAGENET: Final = "imagenet"
NONE: Final = "none"


def check_start(weights: str, architecture: str, backbone: Backbone | None, build: Callable[[], keras.Model]) -> None:
    """Know that a model can start from the weights, or get them, before anything else takes an hour.

    Args:
        weights: as ``load_start`` takes them.
        architecture: of the model they are for.
        backbone: that it stands on, if it does.
        build: such a model, made for training, of any number of classes.

    Raises:
        SettingError: they cannot be had, or are not for this model.
    """
    if weights == NONE:
        return
    path, files = Path(weights), backbone.files if backbone else ()
    if weights != IMAGENET:
        if not path.exists():
            raise _wrong(weights, "there is no such file or folder: imagenet, none, a file, or a bundle's folder")
        if not path.is_dir() and not (path.is_file() and path.suffix in files):
            or_file = f", or a {' or '.join(files)} file of {backbone.name}'s weights" if backbone else ""
            raise _wrong(weights, f"expected the folder of a bundle of {architecture}{or_file}")
    load_start(build(), weights, architecture, backbone)


def load_start(model: keras.Model, weights: str, architecture: str, backbone: Backbone | None = None) -> None:
    """Give the model the weights it starts from.

    Args:
        model: made for training, not compiled.
        weights: ``none``, ``imagenet``, a file of the backbone's weights (of which only numbers are read), or a
            bundle of the same architecture.
        architecture: of the model.
        backbone: that it stands on, if it does.

    Raises:
        SettingError: they cannot be had, or are not for this model.
    """
    if weights == NONE:
        return
    if Path(weights).is_dir() and weights != IMAGENET:
        _check_bundle(Path(weights), architecture)
        _from_bundle(model, Path(weights))
    elif backbone is None:
        raise _wrong(weights, f"{architecture} stands on no network of ImageNet: none, or a bundle of it")
    elif weights == IMAGENET:
        backbone.imagenet(model)
    else:
        try:
            backbone.load(model, Path(weights))
        except UNUSABLE as error:
            raise _wrong(weights, f"not the weights of {backbone.name} ({_reason(error)})") from None


def _check_bundle(folder: Path, architecture: str) -> None:
    try:
        bundle = load_bundle(folder)
    except BadBundle as error:
        raise SettingError(f"--weights: {error}") from None
    if bundle.manifest.architecture != architecture:
        raise _wrong(str(folder), f"it holds a {bundle.manifest.architecture}, not a {architecture}")


def _from_bundle(model: keras.Model, folder: Path) -> None:
    """All weights of the same shape; those of the last layer stay as they are where the classes are others."""
    try:
        trained = keras.saving.load_model(folder / KERAS_FILE, compile=False, safe_mode=True)
    except UNUSABLE as error:
        raise _wrong(str(folder), f"Keras cannot load it: {_reason(error)}") from None
    ours, theirs = model.get_weights(), trained.get_weights()
    last = len(ours) - len(model.layers[-1].weights)
    if [w.shape for w in ours[:last]] != [w.shape for w in theirs[:last]]:
        raise _wrong(str(folder), "its layers are of other sizes: say the --size it was trained with")
    same = [w.shape for w in ours] == [w.shape for w in theirs]
    model.set_weights(theirs if same else [*theirs[:last], *ours[last:]])


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _wrong(weights: str, why: str) -> SettingError:
    return SettingError(f"--weights: got {weights!r}: {why}")
