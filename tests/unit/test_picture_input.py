"""A picture as a network wants it, beside what timm and torchvision do."""

import numpy as np
import pytest
import timm
from PIL import Image
from torchvision.models import get_model_weights

from d3s.classifier_library import load_library
from d3s.identity import bytes_digest
from d3s.picture_input import InputTransform

HALF = (0.5, 0.5, 0.5)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_the_whole_picture_is_the_input_from_minus_one_to_one() -> None:
    picture = Image.new("RGB", (64, 64), "black")
    picture.paste("white", (32, 0, 64, 64))
    array = InputTransform(16, HALF, HALF).array(picture)
    assert array.shape == (3, 16, 16)
    assert array.dtype == np.float32
    assert (array[:, :, 0] == -1).all()
    assert (array[:, :, -1] == 1).all()


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (64, 64), (301, 200), (20, 30)])
@pytest.mark.parametrize("name", ["resnet50.a1_in1k", "tf_efficientnet_b3.in1k", "vit_base_patch16_siglip_224.webli"])
def test_a_picture_is_what_timm_makes_of_it(name: str, size: tuple[int, int]) -> None:
    settings = timm.models.get_pretrained_cfg(name).to_dict()
    data = timm.data.resolve_data_config(pretrained_cfg=settings)
    theirs = timm.data.create_transform(**data, is_training=False)(noise(*size)).numpy()
    ours = _transform(data).array(noise(*size))
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-6


def _transform(data: dict) -> InputTransform:
    squash = data["crop_mode"] == "squash"
    size, crop = data["input_size"][-1], data["crop_pct"]
    return InputTransform(size, data["mean"], data["std"], data["interpolation"], crop, squash)


@pytest.mark.parametrize("name", ["resnet50", "densenet121"])
def test_a_picture_is_what_torchvision_makes_of_it(name: str) -> None:
    weights = get_model_weights(name)["DEFAULT"]
    built = load_library("torchvision").build(name, 1000, {})
    for size in [(320, 240), (240, 301)]:
        theirs = weights.transforms(antialias=True)(noise(*size)).numpy()
        assert np.abs(built.transform.array(noise(*size)) - theirs).max() < 1e-6


def test_settings_of_an_entry_go_before_the_library_s() -> None:
    usual = InputTransform(224, crop=0.875, squash=True)
    changed = usual.with_settings({"size": 64, "mean": [0.5, 0.5, 0.5], "crop": 1.0})
    assert (changed.size, changed.mean, changed.crop, changed.squash) == (64, HALF, 1.0, False)
    assert changed.std == usual.std
    assert usual.with_settings({}) == usual


def test_colours_of_any_kind_come_out_as_three() -> None:
    for mode in ("L", "RGBA", "P", "CMYK"):
        assert InputTransform(8).array(Image.new(mode, (9, 9))).shape == (3, 8, 8)


def test_inputs_change_only_with_a_new_scoring_version() -> None:
    """Guards ``SCORING_VERSION``: answers that were kept would otherwise stay as they were."""
    pixels = np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    array = InputTransform(32, HALF, HALF).array(Image.fromarray(pixels))
    assert bytes_digest(array.tobytes()) == "6a34e5f2bde7d90488267d58dc1ecc74"
