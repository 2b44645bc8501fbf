"""A bundle's model made ready to be asked: by OpenVINO, or by LiteRT where OpenVINO has no wheel.

Whichever runs it, the model's file must fit the manifest and the labels, and is asked once before anybody relies on
it. Neither needs TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from framewatch.errors import BadBundle, install_hint
from framewatch.vision.models.bundle import LITERT_FILE, Bundle
from framewatch.vision.models.inputs import Pixels
from framewatch.vision.models.litert_runtime import LiteRtModel
from framewatch.vision.models.openvino_runtime import OpenVinoModel, openvino_files

Scores: TypeAlias = NDArray[np.float32]
"""Answers of a model: (n, classes), each row the shares of the classes."""

RuntimeName: TypeAlias = Literal["auto", "openvino", "litert"]

_SUM_TOLERANCE: Final = 0.02  # bfloat16 has eight bits for each share


class Model(Protocol):
    """A model that some runtime has loaded. Asked by any number of threads."""

    def __call__(self, samples: Pixels) -> Scores:
        """Answers for samples of shape (n, *InputSpec.shape)."""


class _Kind(NamedTuple):
    """One of the runtimes: the package it needs and how to get it, its files of a bundle, and what loads them."""

    package: str
    extra: str
    files: Callable[[Bundle], tuple[str, ...]]
    load: Callable[[Bundle, int, bool], Model]


_KINDS: Final[dict[str, _Kind]] = {
    "openvino": _Kind("openvino", "serve", openvino_files, OpenVinoModel),
    "litert": _Kind("ai_edge_litert", "litert", lambda bundle: (LITERT_FILE,), LiteRtModel),
}


class Runtime:
    """A bundle's model, loaded and tried. Asked by any number of threads."""

    def __init__(self, bundle: Bundle, model: Model) -> None:
        self._bundle = bundle
        self._model = model

    def __call__(self, samples: Pixels) -> Scores:
        """The shares of the classes.

        Args:
            samples: (n, \\*InputSpec.shape), n of 1 or more, 8 bits.

        Returns:
            (n, classes), in the order of the bundle's labels.

        Raises:
            ValueError: the model answers with what is no number.
        """
        scores = self._model(samples)
        if not np.isfinite(scores).all():
            raise ValueError(f"{self._bundle.model} answers with what is no number")
        return np.clip(scores, 0.0, 1.0)


def load_runtime(bundle: Bundle, name: RuntimeName = "auto", threads: int = 1, *, exact: bool = False) -> Runtime:
    """Load the bundle's model and try it once.

    Args:
        bundle: checked.
        name: of the runtime; ``auto``: the first of OpenVINO and LiteRT that is installed and has its file here.
        threads: that will ask at a time, each on a core of its own.
        exact: count in float32 even where the processor is quicker with bfloat16.

    Raises:
        BadBundle: the model's file cannot be loaded, or does not fit the manifest or the labels.
    """
    chosen = choose_runtime(bundle, name)
    model = _KINDS[chosen].load(bundle, threads, exact)
    _check_answer(bundle, _KINDS[chosen].files(bundle)[0], model)
    return Runtime(bundle, model)


def choose_runtime(bundle: Bundle, name: RuntimeName = "auto") -> str:
    """Which runtime serves the bundle; nothing is loaded.

    Raises:
        BadBundle: none that is installed here has its files in the bundle.
    """
    wanted = list(_KINDS) if name == "auto" else [name]
    missing = []
    for kind in wanted:
        needed = [file for file in _KINDS[kind].files(bundle) if file not in bundle.manifest.files]
        if needed:
            missing.append(f"{kind} needs {' and '.join(needed)}, which the bundle has not")
        elif find_spec(_KINDS[kind].package) is None:
            missing.append(f"{kind} is not installed here ({install_hint(_KINDS[kind].extra)})")
        else:
            return kind
    raise BadBundle(f"{bundle.folder}: nothing can run this model: {'; '.join(missing)}")


def _check_answer(bundle: Bundle, file: str, model: Model) -> None:
    """Ask the model once: about two samples, so that one that takes no batch is found out."""
    where = f"{bundle.folder}: {file}"
    try:
        scores = model(np.zeros((2, *bundle.manifest.input.shape), np.uint8))
    except (RuntimeError, ValueError) as error:
        raise BadBundle(f"{where} gives no answer: {' '.join(str(error).split())[-200:]}") from None
    if scores.shape != (2, len(bundle.labels)):
        raise BadBundle(f"{where} answers with shape {scores.shape} for two samples and {len(bundle.labels)} labels")
    if not np.isfinite(scores).all():
        raise BadBundle(f"{where} answers with what is no number")
    if scores.min() < 0 or np.abs(scores.sum(axis=1) - 1).max() > _SUM_TOLERANCE:
        shown = np.array2string(scores[0], precision=3, threshold=5)
        raise BadBundle(f"{where} answers with {shown}: not shares that add up to 1, as of a softmax layer")
