"""What takes long to import, Keras above all, and our own modules that import it: loaded when it is first used.

All workers of a run read all files of tests, but only one runs those that train a network.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

PACKAGES: Final = frozenset({"keras", "matplotlib", "openvino", "scipy", "skimage", "sklearn", "tensorflow"})
"""No file of tests may load them by itself."""


class Lazy(ModuleType):
    """Stands for the module of its name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # pytest looks for marks of its own in all that a file of tests imports
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


if TYPE_CHECKING:
    import keras
    import openvino
    from openvino import opset13 as operations
    from skimage import data as photos

    from framewatch.training import export, train
    from framewatch.training.architectures import (
        efficientnet,
        from_scratch,
        mobilenet,
        recipes,
        state_dicts,
        weights,
    )
    from framewatch.training.fit import batches, callbacks, fit
    from framewatch.training.report import (
        card,
        evaluate,
        explore,
        figures,
        history,
        metrics,
        outputs,
        overview,
        plots,
        sheet,
    )
else:
    keras = Lazy("keras")
    openvino = Lazy("openvino")
    operations = Lazy("openvino.opset13")
    photos = Lazy("skimage.data")
    export = Lazy("framewatch.training.export")
    train = Lazy("framewatch.training.train")
    efficientnet = Lazy("framewatch.training.architectures.efficientnet")
    state_dicts = Lazy("framewatch.training.architectures.state_dicts")
    from_scratch = Lazy("framewatch.training.architectures.from_scratch")
    mobilenet = Lazy("framewatch.training.architectures.mobilenet")
    recipes = Lazy("framewatch.training.architectures.recipes")
    weights = Lazy("framewatch.training.architectures.weights")
    batches = Lazy("framewatch.training.fit.batches")
    callbacks = Lazy("framewatch.training.fit.callbacks")
    fit = Lazy("framewatch.training.fit.fit")
    card = Lazy("framewatch.training.report.card")
    evaluate = Lazy("framewatch.training.report.evaluate")
    explore = Lazy("framewatch.training.report.explore")
    figures = Lazy("framewatch.training.report.figures")
    history = Lazy("framewatch.training.report.history")
    metrics = Lazy("framewatch.training.report.metrics")
    outputs = Lazy("framewatch.training.report.outputs")
    overview = Lazy("framewatch.training.report.overview")
    plots = Lazy("framewatch.training.report.plots")
    sheet = Lazy("framewatch.training.report.sheet")

__all__ = [
    "batches", "callbacks", "card", "efficientnet", "evaluate", "explore", "export", "figures", "fit", "from_scratch",
    "history", "keras", "metrics", "mobilenet", "openvino", "operations", "outputs", "overview", "photos", "plots",
    "recipes", "sheet", "state_dicts", "train", "weights",
]  # fmt: skip
