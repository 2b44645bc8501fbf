"""A bundle's model asked through Keras itself, to compare with: needs TensorFlow, as training does."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from framewatch.errors import BadBundle
from framewatch.training.report.evaluate import Answer
from framewatch.vision.models.bundle import KERAS_FILE, Bundle


def keras_answer(bundle: Bundle) -> Answer:
    """The model as Keras saved it, in float32.

    Raises:
        BadBundle: there is no such file in the bundle, or Keras cannot load it.
    """
    if KERAS_FILE not in bundle.manifest.files:
        raise BadBundle(f"{bundle.folder}: holds no {KERAS_FILE}")
    try:
        model = keras.saving.load_model(bundle.folder / KERAS_FILE, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError) as error:
        raise BadBundle(f"{bundle.folder}: {KERAS_FILE}: Keras cannot load it: {error}") from None

    def answer(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(model.predict_on_batch(pictures.astype(np.float32)), np.float32)

    return answer
