"""In which numbers a machine learns: float32 everywhere, 16 bits where that is quicker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import keras
import tensorflow as tf

Precision = Literal["auto", "float32", "bfloat16"]

_BFLOAT16_FROM: Final = (8, 0)  # compute capability of NVIDIA's Ampere
_FLOAT16_FROM: Final = (7, 0)  # of Volta, the first with tensor cores
_CPU_FLAGS: Final = {"avx512_bf16", "amx_bf16"}


def choose_policy(precision: Precision, quick_in_bfloat16: bool) -> str:
    """Keras's dtype policy. The weights are kept in float32 under each of them.

    Args:
        precision: as asked for.
        quick_in_bfloat16: whether the architecture gains by it on a CPU.
    """
    if precision != "auto":
        return "float32" if precision == "float32" else "mixed_bfloat16"
    capability = _gpu()
    if capability is not None:
        if capability >= _BFLOAT16_FROM:
            return "mixed_bfloat16"
        return "mixed_float16" if capability >= _FLOAT16_FROM else "float32"
    return "mixed_bfloat16" if quick_in_bfloat16 and _cpu_flags() & _CPU_FLAGS else "float32"


@contextmanager
def computing_in(policy: str) -> Iterator[None]:
    """Layers made inside have that dtype policy."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def device_name() -> str:
    """What it is computed on, in words."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"))
    return "CPU"


def _gpu() -> tuple[int, int] | None:
    """Compute capability of the first GPU."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    found = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
    return int(found[0]), int(found[1])


def _cpu_flags() -> set[str]:
    """What the processor can do, where the system says so in a file (Linux)."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
