"""Weights in the files of Keras and of its ports: named arrays, and nothing that could run."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from d3s.errors import BadInput

Arrays = dict[str, np.ndarray]
"""Arrays by ``LAYER/VARIABLE``, such as ``conv1/kernel``, in Keras' layout: kernels are H x W x inputs x outputs."""
KERAS_FILES = (".h5", ".pkl")
"""The endings of the files that can be read."""


def read_keras(path: Path) -> Arrays:
    """The arrays of a file whose digest is known to be the pinned one.

    Args:
        path: ``.h5``, as Keras saves weights, or ``.pkl``, a dictionary with a list of a kernel and a bias per layer.

    Raises:
        BadInput: ``not_readable``: the file is something else.
    """
    return _read_h5(path) if path.suffix == ".h5" else _read_pickle(path)


def _read_h5(path: Path) -> Arrays:
    import h5py

    found: Arrays = {}

    def visit(name: str, thing: Any) -> None:
        if isinstance(thing, h5py.Dataset):  # conv1/conv1/kernel:0
            found["/".join(name.split("/")[-2:]).removesuffix(":0")] = np.asarray(thing)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise BadInput("not_readable", f"{path.name} can't be read as HDF5 ({error})") from None
    return found


class _OnlyArrays(pickle.Unpickler):
    """Builds lists, dictionaries and arrays; anything else that a pickle names is refused before it is looked up."""

    ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype"})
    MODULES = frozenset({"numpy", "numpy.core.multiarray", "numpy._core.multiarray"})

    def find_class(self, module: str, name: str) -> Any:
        if module not in self.MODULES or name not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        # numpy moved the module, and the old name only warns by now
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _read_pickle(path: Path) -> Arrays:
    try:
        with path.open("rb") as file:
            content = _OnlyArrays(file).load()
        return {
            f"{layer}/{variable}": np.asarray(array)
            for layer, arrays in content.items()
            for variable, array in zip(("kernel", "bias"), arrays, strict=True)
        }
    except (pickle.UnpicklingError, AttributeError, TypeError, ValueError, EOFError, ImportError, IndexError) as error:
        raise BadInput("not_readable", f"{path.name} can't be read as a dictionary of arrays ({error})") from None
