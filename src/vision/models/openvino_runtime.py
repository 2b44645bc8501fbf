"""Models run by OpenVINO: compiled once for all threads of the process, and a request of its own for each."""

from __future__ import annotations

import importlib
import sys
import threading
import timeit
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from framewatch.errors import BadBundle
from framewatch.vision.models.bundle import LITERT_FILE, OPENVINO_FILE, OPENVINO_WEIGHTS, Bundle
from framewatch.vision.models.inputs import Pixels

_MAX_REASON: Final = 200
_BATCH: Final = 4
_TRIES: Final = 5


def import_openvino() -> Any:
    """OpenVINO, kept from reporting its use: ``import openvino`` alone writes to Google Analytics.

    It leaves that out where its package for it is not installed, so that is what it is told. Whoever imports OpenVINO
    (Keras does, to export) calls this first.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # means: cannot be imported
    return importlib.import_module("openvino")


def openvino_files(bundle: Bundle) -> tuple[str, ...]:
    """Those that OpenVINO reads: its own, or that of LiteRT in a bundle that has no other."""
    compact = OPENVINO_FILE not in bundle.manifest.files and LITERT_FILE in bundle.manifest.files
    return (LITERT_FILE,) if compact else (OPENVINO_FILE, OPENVINO_WEIGHTS)


class OpenVinoModel:
    """A bundle's model, compiled for many threads that each ask for a batch of any size.

    OpenVINO is quicker with a shape that it knows than with batches of any size, so there is one model for batches of
    four and one for single samples. Which of them is the quicker for four depends on the model and on the processor:
    they are tried, and the first is kept only where it is.
    """

    def __init__(self, bundle: Bundle, threads: int, exact: bool) -> None:
        """Compile the model.

        Args:
            bundle: checked.
            threads: that will ask at a time, each on a core of its own.
            exact: count in float32 even where the processor is quicker with bfloat16.

        Raises:
            BadBundle: OpenVINO cannot load it, or its input is not what the manifest says.
        """
        options = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # the cores are shared with decoding, and with other processes
        }
        if exact:
            options["INFERENCE_PRECISION_HINT"] = "f32"
        self._of_thread = threading.local()
        try:
            core = import_openvino().Core()
            model = _read(bundle, core)
            sizes = (_BATCH, 1)  # the largest first
            self._compiled = {size: _compiled(core, model, size, options) for size in sizes}
            # The binding to NumPy initializes itself at the first question: two threads that ask it at once wait for
            # each other for ever.
            self._answer(np.zeros(self._compiled[1].input(0).shape, np.uint8))
            if self._seconds(1, threads) <= self._seconds(_BATCH, threads):
                del self._compiled[_BATCH]
        except RuntimeError as error:
            raise BadBundle(
                f"{bundle.folder}: {openvino_files(bundle)[0]}: OpenVINO cannot load it: {_reason(error)}"
            ) from None

    def __call__(self, samples: Pixels) -> NDArray[np.float32]:
        """Answers for samples of shape (n, *InputSpec.shape)."""
        samples = np.ascontiguousarray(samples)
        answers: list[NDArray[np.float32]] = []
        at = 0
        for size in self._compiled:
            while at + size <= len(samples):
                answers.append(self._answer(samples[at : at + size]))
                at += size
        return np.concatenate(answers)

    def _answer(self, batch: Pixels) -> NDArray[np.float32]:
        """Of the model for batches of this size, by the thread's own request."""
        requests: dict[int, Any] = vars(self._of_thread).setdefault("requests", {})
        if (request := requests.get(len(batch))) is None:
            request = requests[len(batch)] = self._compiled[len(batch)].create_infer_request()
        request.infer({0: batch}, share_inputs=True)
        return np.array(request.get_output_tensor(0).data, np.float32)  # a copy: the next answer overwrites it

    def _seconds(self, size: int, threads: int) -> float:
        """For a batch of four of each thread, all at once, in parts of this size; at best."""
        part = np.zeros(self._compiled[size].input(0).shape, np.uint8)

        def batch(_: int) -> None:
            for _ in range(_BATCH // size):
                self._answer(part)

        with ThreadPoolExecutor(threads) as pool:
            return min(timeit.repeat(lambda: list(pool.map(batch, range(threads))), number=2, repeat=_TRIES))


def _read(bundle: Bundle, core: Any) -> Any:
    """The model, made to take bytes: a quarter of the memory to move.

    Raises:
        RuntimeError: OpenVINO cannot load it.
        BadBundle: its input is not what the manifest says.
    """
    openvino = import_openvino()
    if LITERT_FILE in openvino_files(bundle):
        with TemporaryDirectory() as aside:  # files of this format are not read from memory
            path = Path(aside, LITERT_FILE)
            path.write_bytes(bundle.content(LITERT_FILE))
            model = core.read_model(path)
    else:
        weights = openvino.Tensor(np.frombuffer(bundle.content(OPENVINO_WEIGHTS), np.uint8))
        model = core.read_model(bundle.content(OPENVINO_FILE), weights)
    _check_input(bundle, model)
    # The first output is the answer. An LSTM leaves more in Keras's export, which nobody asks for.
    model = openvino.Model([model.output(0)], model.get_parameters())
    steps = openvino.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8)
    return steps.build()


def _compiled(core: Any, model: Any, batch: int, options: Mapping[str, object]) -> Any:
    """The model for batches of that size.

    Raises:
        RuntimeError: OpenVINO cannot compile it.
    """
    model.reshape([batch, *model.input(0).partial_shape[1:]])
    return core.compile_model(model, "CPU", options)


def _check_input(bundle: Bundle, model: Any) -> None:
    takes = [tuple(str(side) for side in given.partial_shape) for given in model.inputs]
    if takes != [("?", *map(str, bundle.manifest.input.shape))]:
        said = " and ".join(f"({', '.join(shape)})" for shape in takes) or "nothing"
        raise BadBundle(
            f"{bundle.folder}: {openvino_files(bundle)[0]} takes {said}, the manifest says (?, "
            f"{', '.join(map(str, bundle.manifest.input.shape))})"
        )


def _reason(error: RuntimeError) -> str:
    """The last line of OpenVINO's report; those before it name lines of its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:_MAX_REASON] if lines else type(error).__name__
