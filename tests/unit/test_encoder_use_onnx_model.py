"""The ONNX file gives the encoder's numbers for any batch, is the same file each time, and is refused if it lies."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from test_encoder_use_portable import tiny

from d3s.encoder_use.onnx_model import TOLERANCE, check_onnx, write_onnx
from d3s.encoder_use.portable import OUTPUTS, Portable
from d3s.errors import D3SError


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "encoder.onnx"
    assert write_onnx(path, tiny(frozen=1)) < TOLERANCE
    return path


def test_any_batch_size_gives_the_encoder_s_numbers(file: Path) -> None:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == list(OUTPUTS)
    pixels = torch.randn(7, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wanted = Portable(tiny(frozen=1))(pixels)
    for own, other in zip(wanted, session.run(None, {"pixels": pixels.numpy()}), strict=True):
        np.testing.assert_allclose(own.numpy(), other, atol=1e-4)


def test_the_same_encoder_gives_the_same_bytes_and_tells_no_paths(file: Path, tmp_path: Path) -> None:
    write_onnx(tmp_path / "again.onnx", tiny(frozen=1))
    assert (tmp_path / "again.onnx").read_bytes() == file.read_bytes()
    assert not any(node.metadata_props or node.doc_string for node in onnx.load(file).graph.node)
    assert b".py" not in file.read_bytes()


def test_a_file_that_gives_other_numbers_is_refused(file: Path) -> None:
    other = tiny(frozen=1)
    with torch.no_grad():
        other.background_head.weight.add_(0.1)
    with pytest.raises(D3SError, match="background_logits differ"):
        check_onnx(file, Portable(other), 32)


def test_what_fails_its_check_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("d3s.encoder_use.onnx_model.TOLERANCE", -1.0)
    with pytest.raises(D3SError):
        write_onnx(tmp_path / "encoder.onnx", tiny())
    assert list(tmp_path.iterdir()) == []
