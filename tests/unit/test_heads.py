"""First weights of the class head."""

from pathlib import Path

import pytest
import torch

from d3s.encoder import Encoder, EncoderSettings, save_tensors
from d3s.errors import D3SError
from d3s.heads import init_heads, take_pretrained_head


def encoder() -> Encoder:
    return Encoder(EncoderSettings("test_efficientnet", 32, 0, 0.25, "frozen", (3, 5), ("grass", "road")))


def test_classes_start_from_the_mean_of_their_indices_rows_of_the_foreground_s_columns(tmp_path: Path) -> None:
    matrix, bias = torch.randn(10, 256), torch.randn(10)
    save_tensors(tmp_path / "w.safetensors", {"classifier.weight": matrix, "classifier.bias": bias})
    made = encoder()
    init_heads(made, 0)
    before = made.class_head.weight.detach().clone()
    assert take_pretrained_head(made, tmp_path / "w.safetensors", {5: [2, 4], 9: [1]}) == [5]
    assert torch.allclose(made.class_head.weight[1], (matrix[2] + matrix[4])[:192] / 2)
    assert torch.allclose(made.class_head.bias[1], (bias[2] + bias[4]) / 2)
    assert torch.equal(made.class_head.weight[0], before[0])


def test_weights_without_their_classifier_and_indices_beyond_it_are_refused(tmp_path: Path) -> None:
    save_tensors(tmp_path / "w.safetensors", {"stem.weight": torch.zeros(3)})
    with pytest.raises(D3SError, match="no classifier of 256 features"):
        take_pretrained_head(encoder(), tmp_path / "w.safetensors", {3: [0]})
    save_tensors(tmp_path / "w.safetensors", {"fc.weight": torch.zeros(10, 256)})
    with pytest.raises(D3SError, match="index 10"):
        take_pretrained_head(encoder(), tmp_path / "w.safetensors", {3: [10]})
