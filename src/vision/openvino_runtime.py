"""Models run by OpenVINO: one compiled model for all threads of the process, and a request of its own for each."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from errors import BadBundle
from vision.bundle import OPENVINO_FILE, OPENVINO_WEIGHTS, Bundle
from vision.inputs import Pixels

_MAX_REASON: Final = 200


def import_openvino() -> Any:
    """OpenVINO, kept from reporting its use: ``import openvino`` alone writes to Google Analytics.

    It leaves that out where its package for it is not installed, so that is what it is told. Whoever imports OpenVINO
    (Keras does, to export) calls this first.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # means: cannot be imported
    return importlib.import_module("openvino")


class OpenVinoModel:
    """A bundle's ``model.xml``, compiled for many threads that each ask for a batch of any size."""

    def __init__(self, bundle: Bundle, threads: int, exact: bool) -> None:
        """Compile the model.

        Args:
            bundle: checked.
            threads: that will ask at a time, each on a core of its own.
            exact: count in float32 even where the processor is quicker with bfloat16.

        Raises:
            BadBundle: OpenVINO cannot load it, or its input is not what the manifest says.
        """
        openvino = import_openvino()
        weights = np.frombuffer(bundle.content(OPENVINO_WEIGHTS), np.uint8)
        options = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # the cores are shared with decoding, and with other processes
        }
        if exact:
            options["INFERENCE_PRECISION_HINT"] = "f32"
        try:
            core = openvino.Core()
            model = core.read_model(bundle.content(OPENVINO_FILE), openvino.Tensor(weights))
            _check_input(bundle, model)
            # The first output is the answer. An LSTM leaves more in Keras's export, which nobody asks for.
            model = openvino.Model([model.output(0)], model.get_parameters())
            steps = openvino.preprocess.PrePostProcessor(model)
            steps.input().tensor().set_element_type(openvino.Type.u8)  # bytes in: a quarter of the memory to move
            self._compiled = core.compile_model(steps.build(), "CPU", options)
        except RuntimeError as error:
            raise BadBundle(f"{bundle.folder}: {OPENVINO_FILE}: OpenVINO cannot load it: {_reason(error)}") from None
        self._of_thread = threading.local()

    def __call__(self, samples: Pixels) -> NDArray[np.float32]:
        """Answers for samples of shape (n, *InputSpec.shape)."""
        request = getattr(self._of_thread, "request", None)
        if request is None:
            request = self._of_thread.request = self._compiled.create_infer_request()
        request.infer({0: np.ascontiguousarray(samples)}, share_inputs=True)
        return np.array(request.get_output_tensor(0).data, np.float32)  # a copy: the next answer overwrites it


def _check_input(bundle: Bundle, model: Any) -> None:
    takes = [tuple(str(side) for side in given.partial_shape) for given in model.inputs]
    if takes != [("?", *map(str, bundle.manifest.input.shape))]:
        said = " and ".join(f"({', '.join(shape)})" for shape in takes) or "nothing"
        raise BadBundle(
            f"{bundle.folder}: {OPENVINO_FILE} takes {said}, the manifest says (?, "
            f"{', '.join(map(str, bundle.manifest.input.shape))})"
        )


def _reason(error: RuntimeError) -> str:
    """The last line of OpenVINO's report; those before it name lines of its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:_MAX_REASON] if lines else type(error).__name__
