"""PyTorch's state dicts, read without it: numbers out of a ``.pth`` or ``.npz`` file, and nothing that could run."""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

StateDict = Mapping[str, NDArray[Any]]
"""Arrays by names such as ``_blocks.3._bn1.running_mean``; kernels are (out, in, height, width)."""

_NUMBERS: Final = {
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "DoubleStorage": np.dtype("<f8"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}
_HEADERS: Final = 3  # pickles before the tensors: magic number, protocol, sizes of the machine that wrote it


class _Storage:
    """Numbers that tensors are views of; they follow after the tensors that name them."""

    def __init__(self, kind: np.dtype[Any]) -> None:
        self.kind = kind
        self.numbers: NDArray[Any] = np.empty(0, kind)


class _Tensor:
    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self._storage, self._offset, self._shape, self._strides = storage, offset, shape, strides

    def array(self) -> NDArray[Any]:
        """A copy of what it is a view of.

        Raises:
            ValueError: it reaches beyond its storage.
        """
        reach = self._offset + sum((n - 1) * stride for n, stride in zip(self._shape, self._strides, strict=True))
        if 0 in self._shape or min(self._offset, *self._strides, 0) < 0 or reach >= len(self._storage.numbers):
            raise ValueError(f"a tensor of shape {self._shape} reaches beyond its numbers")
        size = self._storage.kind.itemsize
        numbers = self._storage.numbers[self._offset :]
        return np.lib.stride_tricks.as_strided(
            numbers, self._shape, [stride * size for stride in self._strides]
        ).copy()


class _Unpickler(pickle.Unpickler):
    """Makes tensors, ordered dictionaries and plain values; refuses any other class or function."""

    def __init__(self, file: BinaryIO, storages: dict[str, _Storage]) -> None:
        super().__init__(file)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _NUMBERS:
            return _NUMBERS[name]
        allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("torch._utils", "_rebuild_tensor_v2"): lambda storage, at, shape, strides, *_: _Tensor(
                storage, at, shape, strides
            ),
            ("collections", "OrderedDict"): OrderedDict,
        }
        try:
            return allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it holds a {module}.{name}, which is no tensor") from None

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage: ("storage", kind, key, device, length)."""
        _, kind, key, *_ = pid
        return self._storages.setdefault(key, _Storage(kind))


def read_state_dict(path: Path) -> StateDict:
    """The arrays of a ``.pth`` as PyTorch before 1.6 wrote it, or of an ``.npz`` with ``/`` for ``.`` in the names.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, or is cut short.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name.replace("/", "."): np.asarray(arrays[name]) for name in arrays.files}
        with path.open("rb") as file:
            return _read_pth(file)
    except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a file of weights: {error}") from None


def _read_pth(file: BinaryIO) -> StateDict:
    storages: dict[str, _Storage] = {}
    for _ in range(_HEADERS):
        _Unpickler(file, {}).load()
    found = _Unpickler(file, storages).load()
    for key in _Unpickler(file, {}).load():
        storage = storages[key]
        length = int.from_bytes(file.read(8), "little")
        content = file.read(length * storage.kind.itemsize)
        storage.numbers = np.frombuffer(content, storage.kind)  # ValueError where a part of a number is there
        if len(storage.numbers) != length:
            raise ValueError("it is cut short")
    return {name: value.array() if isinstance(value, _Tensor) else np.asarray(value) for name, value in found.items()}
