"""Keras' files: arrays come out by name, and nothing that a pickle could run."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from d3s.errors import BadInput
from d3s.keras_files import read_keras

KERNEL, BIAS = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4), np.ones(4, np.float32)


def test_both_kinds_of_file_give_the_same_names_and_numbers(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["conv1/conv1/kernel:0"], file["conv1/conv1/bias:0"] = KERNEL, BIAS
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"conv1": [KERNEL, BIAS]}))
    for name in ("a.h5", "a.pkl"):
        found = read_keras(tmp_path / name)
        assert sorted(found) == ["conv1/bias", "conv1/kernel"]
        np.testing.assert_array_equal(found["conv1/kernel"], KERNEL)
        assert found["conv1/kernel"].dtype == np.float32


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("ran",))


def test_a_pickle_that_names_anything_but_arrays_is_refused_unrun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"conv1": [KERNEL, Evil()]}))
    with pytest.raises(BadInput, match=r"it names builtins\.print"):
        read_keras(tmp_path / "a.pkl")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.h5", b"nothing"), ("a.pkl", b"nothing"), ("a.pkl", pickle.dumps([1]))],
)
def test_other_files_are_clear_errors(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=name):
        read_keras(tmp_path / name)


def test_a_layer_with_another_number_of_arrays_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"conv1": [KERNEL]}))
    with pytest.raises(BadInput, match="dictionary of arrays"):
        read_keras(tmp_path / "a.pkl")
