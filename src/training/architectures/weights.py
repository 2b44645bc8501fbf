"""Where a training starts from: nothing, ImageNet, or a file."""

from __future__ import annotations

import socket
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import keras

from framewatch.errors import BadBundle, SettingError
from framewatch.training.architectures.mobilenet import BACKBONE
from framewatch.vision.models.bundle import KERAS_FILE, load_bundle

IMAGENET: Final = "imagenet"
NONE: Final = "none"

_HDF5: Final = (".h5", ".hdf5")
_UNUSABLE: Final = (
    ValueError, OSError, KeyError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile,
)  # fmt: skip
"""What Keras and h5py raise for files that are damaged or hold something else."""
_SILENCE_S: Final = 20.0


def check_start(weights: str, architecture: str, has_backbone: bool, build: Callable[[], keras.Model]) -> None:
    """Know that a model can start from the weights, or get them, before anything else takes an hour.

    Args:
        weights: as ``load_start`` takes them.
        architecture: of the model they are for.
        has_backbone: whether it stands on MobileNetV2.
        build: such a model, made for training, of any number of classes.

    Raises:
        SettingError: they cannot be had, or are not for this model.
    """
    if weights == NONE:
        return
    path = Path(weights)
    if not has_backbone and (weights == IMAGENET or path.suffix in _HDF5):
        raise _wrong(weights, f"{architecture} does not stand on MobileNetV2: none, or a bundle of this architecture")
    if weights == IMAGENET:
        _imagenet()
        return
    if not path.exists():
        raise _wrong(weights, "there is no such file or folder: imagenet, none, a file, or a bundle's folder")
    if not path.is_dir() and not (path.is_file() and path.suffix in _HDF5):
        raise _wrong(weights, "expected a bundle's folder, or an .h5 file of MobileNetV2's weights without its top")
    load_start(build(), weights, architecture)


def load_start(model: keras.Model, weights: str, architecture: str) -> None:
    """Give the model the weights it starts from.

    Args:
        model: made for training, not compiled.
        weights: ``none``, ``imagenet``, a file of MobileNetV2's weights without its top (``.h5``, of which only
            numbers are read), or a bundle of the same architecture.
        architecture: of the model.

    Raises:
        SettingError: they cannot be had, or are not for this model.
    """
    if weights == NONE:
        return
    if weights == IMAGENET:
        model.get_layer(BACKBONE).set_weights(_imagenet())
    elif Path(weights).is_dir():
        _check_bundle(Path(weights), architecture)
        _from_bundle(model, Path(weights))
    else:
        _from_file(model.get_layer(BACKBONE), Path(weights))


def _imagenet() -> list[Any]:
    """MobileNetV2's weights as Keras publishes them, downloaded once."""
    try:
        with _silence_ends_after(_SILENCE_S):
            published = keras.applications.MobileNetV2((224, 224, 3), include_top=False, weights=IMAGENET)
    except Exception as error:  # Keras raises a bare Exception where a download fails
        reason = " ".join(str(error).split())[-160:]
        raise SettingError(
            f"--weights imagenet: they cannot be downloaded here ({reason}): say --weights none to start from "
            "nothing, or name a file of MobileNetV2's weights without its top"
        ) from None
    return list(published.get_weights())


@contextmanager
def _silence_ends_after(seconds: float) -> Iterator[None]:
    """Keras downloads without a limit of time."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _from_file(backbone: keras.Model, path: Path) -> None:
    try:
        backbone.load_weights(path)
    except _UNUSABLE as error:
        raise _wrong(str(path), f"not the weights of a MobileNetV2 without its top ({_reason(error)})") from None


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
    except _UNUSABLE as error:
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
