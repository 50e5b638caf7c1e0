"""timm opens the folder by itself, and its logits are the encoder's."""

from pathlib import Path

import pytest
import timm
import torch
from test_encoder_use_portable import tiny

from d3s.encoder_use.portable import class_head
from d3s.encoder_use.timm_model import take_head, write_timm
from d3s.errors import D3SError


def test_timm_opens_it_and_gives_the_same_parts_and_logits(tmp_path: Path) -> None:
    encoder = tiny(frozen=1)
    write_timm(tmp_path, encoder, ["bird", "fish"])
    model = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        encoded = encoder(encoder.activations(pixels))
        pooled = model.forward_head(model.forward_features(pixels), pre_logits=True)
        torch.testing.assert_close(pooled, torch.cat([encoded.foreground, encoded.background], dim=1))
        torch.testing.assert_close(model(pixels), encoded.class_logits)
    assert model.pretrained_cfg["label_names"] == ["bird", "fish"]
    assert timm.data.resolve_model_data_config(model)["input_size"] == [3, 32, 32]


def test_pictures_are_prepared_as_the_encoder_does(tmp_path: Path) -> None:
    write_timm(tmp_path, tiny(), ["bird", "fish"])
    model = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    own = timm.data.resolve_model_data_config(tiny().backbone)
    config = timm.data.resolve_model_data_config(model)
    assert (list(config["mean"]), list(config["std"])) == (list(own["mean"]), list(own["std"]))
    assert (config["crop_pct"], config["crop_mode"]) == (1.0, "squash")


def test_a_model_without_a_linear_classifier_is_named() -> None:
    with pytest.raises(D3SError, match="some_network has no linear classifier"):
        take_head(timm.create_model("test_efficientnet", num_classes=0), class_head(tiny()), "some_network")
