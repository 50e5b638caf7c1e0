"""Segmentation: rembg's own sessions, a pinned file, and nothing that is fetched or sent."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from d3s.errors import D3SError
from d3s.segmenter import Segmenter, find_model
from tiny_segmentation import make_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> tuple[Path, str]:
    file = tmp_path / "tiny.onnx"
    return file, make_tiny_model(file)


def lamp() -> Image.Image:
    """A bright disc on a dark ground, 90 x 60."""
    picture = Image.new("RGB", (90, 60), (10, 20, 30))
    ImageDraw.Draw(picture).ellipse((30, 10, 69, 49), fill=(250, 240, 230))
    return picture


def test_what_the_model_sees_is_the_mask(model: tuple[Path, str]) -> None:
    file, sha256 = model
    segmenter = Segmenter("u2netp", str(file), sha256)
    mask = segmenter.mask(lamp())
    assert (mask.mode, mask.size) == ("L", (90, 60))
    samples = np.asarray(mask)
    assert samples[30, 50] > 230
    assert samples[5, 5] < 30
    assert segmenter.mask(lamp()).tobytes() == mask.tobytes()


def test_where_nothing_stands_out_the_mask_is_empty(model: tuple[Path, str]) -> None:
    mask = Segmenter("u2netp", str(model[0]), model[1]).mask(Image.new("RGB", (40, 30), (90, 90, 90)))
    assert mask.getextrema() == (0, 0)


def test_a_file_that_is_not_the_pinned_one_is_refused(model: tuple[Path, str]) -> None:
    with pytest.raises(D3SError, match=rf"tiny\.onnx has the SHA-256 {model[1]}, and the config says 0000") as caught:
        Segmenter("u2netp", str(model[0]), "0" * 64)
    assert "sha256:" in caught.value.remedy


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(D3SError, match=r"gone\.onnx is not there"):
        find_model("u2netp", str(tmp_path / "gone.onnx"))


def test_rembgs_own_copy_is_found_and_none_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    with pytest.raises(D3SError, match="rembg has not fetched the model u2netp") as caught:
        find_model("u2netp", "")
    assert "rembg d u2netp" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []
    sha256 = make_tiny_model(tmp_path / "models" / "u2netp" / "u2netp.onnx")
    assert Segmenter("u2netp", "", sha256).mask(lamp()).size == (90, 60)


@pytest.mark.parametrize(
    "name", ["u2ney", "atlascloud", "withoutbg", "sam"], ids=["typo", "sends", "sends too", "asks"]
)
def test_models_that_are_not_for_this_are_refused(model: tuple[Path, str], name: str) -> None:
    with pytest.raises(D3SError, match=f"no model '{name}' for this") as caught:
        Segmenter(name, *map(str, model))
    assert "u2netp" in caught.value.remedy


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    from d3s.identity import file_sha256

    file = tmp_path / "page.onnx"
    file.write_text("<html>not found</html>")
    with pytest.raises(D3SError, match="is no ONNX model"):
        Segmenter("u2netp", str(file), file_sha256(file))


def test_a_model_under_another_ones_name_is_refused(model: tuple[Path, str]) -> None:
    with pytest.raises(D3SError, match="doesn't work as the model that rembg has by this name"):
        Segmenter("isnet-general-use", str(model[0]), model[1]).mask(lamp())
