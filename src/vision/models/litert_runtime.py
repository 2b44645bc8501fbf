"""Models run by LiteRT (once TensorFlow Lite): an interpreter for each thread, over one copy of the model's file."""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from framewatch.errors import BadBundle
from framewatch.vision.models.bundle import LITERT_FILE, Bundle
from framewatch.vision.models.inputs import Pixels

_MAX_REASON: Final = 200


class LiteRtModel:
    """A bundle's ``model.tflite``. It counts in float32, so it is always exact."""

    def __init__(self, bundle: Bundle, threads: int, exact: bool) -> None:  # noqa: ARG002
        """Load the model.

        Args:
            bundle: checked.
            threads: that will ask; each gets its interpreter when it first does.
            exact: as for the other runtime; here always so.

        Raises:
            BadBundle: LiteRT cannot load it, or its input is not what the manifest says.
        """
        self._content = bundle.content(LITERT_FILE)
        self._of_thread = threading.local()
        try:
            interpreter = self._interpreter()
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:_MAX_REASON]
            raise BadBundle(f"{bundle.folder}: {LITERT_FILE}: LiteRT cannot load it: {reason}") from None
        takes = [tuple(int(n) for n in given["shape_signature"]) for given in interpreter.get_input_details()]
        if takes != [(-1, *bundle.manifest.input.shape)]:
            raise BadBundle(
                f"{bundle.folder}: {LITERT_FILE} takes {' and '.join(map(str, takes)) or 'nothing'}, "
                f"the manifest says {(-1, *bundle.manifest.input.shape)}"
            )

    def __call__(self, samples: Pixels) -> NDArray[np.float32]:
        """Answers for samples of shape (n, *InputSpec.shape)."""
        interpreter = self._interpreter()
        given, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        if len(samples) != given["shape"][0]:
            interpreter.resize_tensor_input(given["index"], samples.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], samples.astype(np.float32))
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(answer["index"]), np.float32)

    def _interpreter(self) -> Any:
        interpreter = getattr(self._of_thread, "interpreter", None)
        if interpreter is None:
            from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415  # an extra

            interpreter = Interpreter(model_content=self._content, num_threads=1)
            interpreter.allocate_tensors()
            self._of_thread.interpreter = interpreter
        return interpreter
