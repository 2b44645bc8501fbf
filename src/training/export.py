"""A trained model as a bundle."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from framewatch.errors import BadBundle
from framewatch.training.architectures.recipes import Recipe
from framewatch.training.fit.precision import computing_in
from framewatch.training.fit.tf_logging import silent_stderr
from framewatch.vision.models.bundle import (
    CARD,
    KERAS_FILE,
    LITERT_FILE,
    OPENVINO_FILE,
    Bundle,
    Manifest,
    seal_bundle,
    write_labels,
)
from framewatch.vision.models.inputs import InputSpec
from framewatch.vision.models.openvino_runtime import import_openvino
from framewatch.vision.models.runtime import load_runtime

PACKAGES: Final = ("openvino", "ai_edge_litert")
"""Without which no model can be exported, and compared with what it was exported from."""

_TOLERANCE: Final = 1e-4
_TOLERANCE_IN_16_BITS: Final = 0.02


def served_form(trained: keras.Model, recipe: Recipe, spec: InputSpec, classes: int) -> keras.Model:
    """The same model made for serving: in float32, of plain Keras layers only.

    Args:
        trained: made for training by the same recipe.
        recipe: of the architecture.
        spec: of its pictures.
        classes: how many.
    """
    with computing_in("float32"):
        served = recipe.build(spec, classes, False)
    served.set_weights(trained.get_weights())
    return served


def export_bundle(
    served: keras.Model,
    manifest: Manifest,
    labels: tuple[str, ...],
    folder: Path,
    card: str,
    compact: bool = False,
) -> Bundle:
    """Write the model in every form it is served from, seal the folder and load it.

    Args:
        served: in float32, of plain Keras layers.
        manifest: without its files.
        labels: in the order of the outputs.
        folder: there already, perhaps with plots and metrics in it.
        card: the model card, Markdown.
        compact: write only the file that both runtimes read, with weights in 16 bits: a sixth of all forms. Keras
            cannot go on training from it.
    """
    if not compact:
        served.save(folder / KERAS_FILE)
    _write_runtime_files(served, manifest.input, folder, compact)
    write_labels(folder, labels)
    (folder / CARD).write_text(card, encoding="utf-8")
    return seal_bundle(folder, manifest)


def _write_runtime_files(served: keras.Model, spec: InputSpec, folder: Path, compact: bool) -> None:
    """The model for OpenVINO and for LiteRT, both converted from one graph with the weights as constants in it.

    In Keras's own exports they are variables, which OpenVINO reads one by one, and which reach LiteRT by way of a
    SavedModel: the same operations, in eight times as long.
    """
    openvino = import_openvino()
    with silent_stderr(), TemporaryDirectory() as aside:
        frozen = Path(aside, "graph.pb")
        graph = _traced(served, spec)
        frozen.write_bytes(graph.graph.as_graph_def().SerializeToString())
        given, answer = (tensor.op.name for tensor in (*graph.inputs, *graph.outputs))
        if not compact:
            openvino.serialize(openvino.convert_model(frozen), folder / OPENVINO_FILE)
        # The converter for functions takes the graph apart in Python once more: slower, with the same result.
        litert = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(str(frozen), [given], [answer])
        if compact:
            litert.optimizations = [tf.lite.Optimize.DEFAULT]
            litert.target_spec.supported_types = [tf.float16]
        (folder / LITERT_FILE).write_bytes(litert.convert())


def _traced(served: keras.Model, spec: InputSpec) -> Any:
    learned = [weight.numpy() for weight in served.trainable_variables]
    kept = [weight.numpy() for weight in served.non_trainable_variables]

    def answer(pictures: Any) -> Any:
        scores, _ = served.stateless_call(learned, kept, pictures, training=False)
        return scores

    pictures = tf.TensorSpec((None, *spec.shape), tf.float32, name="pictures")
    return tf.function(answer, autograph=False).get_concrete_function(pictures)


def check_export(served: keras.Model, bundle: Bundle, pictures: NDArray[np.uint8]) -> None:
    """Know that what is served answers as what was trained.

    Args:
        served: that the bundle was exported from.
        bundle: checked.
        pictures: (n, *input shape), of the kind it is for.

    Raises:
        BadBundle: one of the exported forms answers otherwise.
    """
    expected = keras.ops.convert_to_numpy(served(pictures.astype(np.float32), training=False))
    tolerance = _TOLERANCE if KERAS_FILE in bundle.manifest.files else _TOLERANCE_IN_16_BITS
    for name in ("openvino", "litert"):
        with silent_stderr():
            answer = load_runtime(bundle, name, exact=True)
        off = float(np.abs(answer(pictures) - expected).max())
        if off > tolerance:
            raise BadBundle(f"{bundle.folder}: exported for {name} the model answers otherwise, by up to {off:.4f}")
