"""The classifiers by name: one line of the table each. A trained model in any other folder is served the same way.

Everything that can be wrong is found when a classifier is chosen, before a model is loaded or anything is started.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Final, TypeVar

from framewatch.errors import BadBundle, SettingError, install_hint
from framewatch.vision.classifier import Classifier
from framewatch.vision.models.bundle import Bundle, load_bundle
from framewatch.vision.models.face_labels import LabelledFaces
from framewatch.vision.models.runtime import Runtime, RuntimeName, choose_runtime, load_runtime
from framewatch.vision.models.wholeframe import WholeFrame

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Written:
    """A classifier written in Python.

    Attributes:
        class_path: its class, ``module:Class``; imported only where it is chosen.
        extra: the extra of Framewatch that brings the packages it needs.
        packages: those of the extra that it imports.
    """

    class_path: str
    extra: str = ""
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model: the bundle of the preset's name in the folder of models.

    Attributes:
        architecture: by which it is trained, as in ``framewatch train ARCHITECTURE``.
    """

    architecture: str


PRESETS: Final[dict[str, Written | Trained]] = {
    "faces": Written("framewatch.vision.detectors.faces:HaarFaces"),
    "faces-mtcnn": Written(
        "framewatch.vision.detectors.mtcnn:MtcnnFaces", extra="mtcnn", packages=("mtcnn", "tensorflow")
    ),
    "emotions": Trained("efficientnet"),
    "smoking": Trained("efficientnet"),
    "actions": Trained("efficientnet"),
}


@dataclass(frozen=True)
class ClassifierFactory:
    """Makes as many classifiers of one kind as there are threads; what can be shared is loaded once, by the first.

    Attributes:
        labels: every label they can give, in index order.
        make: a new classifier, for one thread; called by any thread. Raises BadBundle where a model cannot be loaded.
    """

    labels: tuple[str, ...]
    make: Callable[[], Classifier]

    @cached_property
    def model(self) -> str:
        """Name and hash of what they are, as in the id of each event. Who asks first makes one, to be told.

        Raises:
            BadBundle: a model cannot be loaded.
        """
        return self.make().model


def preset_factory(preset: str, models: Path, runtime: RuntimeName = "auto", threads: int = 1) -> ClassifierFactory:
    """A factory of the preset's classifiers, after everything that they need was checked.

    Args:
        preset: its name.
        models: folder of the trained models' bundles.
        runtime: that runs a trained model.
        threads: that will ask at a time.

    Raises:
        SettingError: there is no such preset, its packages are not installed, or it has no trained model yet.
        BadBundle: its trained model is damaged or cannot be served here.
    """
    entry = PRESETS.get(preset)
    if entry is None:
        raise SettingError(f"got {preset!r}: one of {', '.join(PRESETS)}")
    if isinstance(entry, Written):
        return _written_factory(preset, entry)
    folder = models / preset
    if not folder.exists():
        how = f"framewatch train {entry.architecture} --data DIR --out {_short(folder)}"
        raise SettingError(f"got {preset!r}, which has no trained model yet: make one by `{how}`")
    return bundle_factory(folder, runtime, threads)


def bundle_factory(folder: Path, runtime: RuntimeName = "auto", threads: int = 1) -> ClassifierFactory:
    """A factory of classifiers by the trained model in the folder, after all its files were checked.

    Args:
        folder: of the bundle.
        runtime: that runs it.
        threads: that will ask at a time.

    Raises:
        BadBundle: it is damaged or cannot be served here.
    """
    bundle = load_bundle(folder)
    choose_runtime(bundle, runtime)
    if bundle.manifest.subject == "face" and bundle.manifest.input.frames > 1:
        raise BadBundle(f"{folder}: a model of faces takes one picture, this one {bundle.manifest.input.frames}")
    loaded = once(lambda: load_runtime(bundle, runtime, threads))
    return ClassifierFactory(bundle.labels, lambda: _by_bundle(bundle, loaded()))


def _by_bundle(bundle: Bundle, runtime: Runtime) -> Classifier:
    return (LabelledFaces if bundle.manifest.subject == "face" else WholeFrame)(bundle, runtime)


def _written_factory(preset: str, entry: Written) -> ClassifierFactory:
    missing = [package for package in entry.packages if find_spec(package) is None]
    if missing:
        what = f"{preset!r} needs {' and '.join(missing)}, not installed here"
        raise SettingError(f"{what}: {install_hint(entry.extra)}")
    kind = resolve_name(entry.class_path)
    return ClassifierFactory(kind.labels, kind)


def _short(folder: Path) -> Path:
    """The folder as one would type it here."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def once(make: Callable[[], T]) -> Callable[[], T]:
    """The same thing for all who ask, made when the first asks; the others wait for it."""
    lock, made = threading.Lock(), cache(make)

    def shared() -> T:
        with lock:
            return made()

    return shared
