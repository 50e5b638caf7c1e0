import base64
from pathlib import Path

import numpy as np
import pytest

from d3s.errors import BadInput
from d3s.panorama import perspective_view, read_panorama, repair_highlights, tone_map


def write_exr(file: Path, light: np.ndarray, channels: str = "RGB") -> Path:
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {channels: light.astype(np.float32)}) as made:
        made.write(str(file))
    return file


def status_of(file: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read_panorama(file)
    assert file.name in caught.value.reason
    return caught.value.status


def test_an_exr_file_is_read_as_linear_light(tmp_path: Path) -> None:
    light = np.random.default_rng(0).random((8, 16, 3)) * 20
    np.testing.assert_allclose(read_panorama(write_exr(tmp_path / "a.exr", light)), light, rtol=1e-3)


def test_an_alpha_channel_is_dropped(tmp_path: Path) -> None:
    assert read_panorama(write_exr(tmp_path / "a.exr", np.ones((4, 8, 4)), "RGBA")).shape == (4, 8, 3)


def test_an_exr_inside_a_javascript_module_is_read_too(tmp_path: Path) -> None:
    data = write_exr(tmp_path / "a.exr", np.ones((4, 8, 3))).read_bytes()
    module = tmp_path / "a.exr.js"
    module.write_text(f"export default 'data:application/exr;base64,{base64.b64encode(data).decode()}'")
    np.testing.assert_array_equal(read_panorama(module), np.ones((4, 8, 3)))


def test_infinite_and_missing_light_becomes_finite(tmp_path: Path) -> None:
    light = np.ones((4, 8, 3))
    light[0, 0], light[1, 1] = np.inf, np.nan
    assert np.isfinite(read_panorama(write_exr(tmp_path / "a.exr", light))).all()


def test_what_is_no_panorama_is_refused(tmp_path: Path) -> None:
    assert status_of(tmp_path / "gone.exr") == "missing"
    (tmp_path / "text.exr").write_text("no picture")
    assert status_of(tmp_path / "text.exr") == "not_a_panorama"
    (tmp_path / "empty.js").write_text("export default 1")
    assert status_of(tmp_path / "empty.js") == "not_a_panorama"
    assert status_of(write_exr(tmp_path / "square.exr", np.ones((8, 8, 3)))) == "not_a_panorama"


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_panorama_is_refused(tmp_path: Path, keep: float) -> None:
    whole = write_exr(tmp_path / "a.exr", np.random.default_rng(0).random((32, 64, 3))).read_bytes()
    cut = tmp_path / "cut.exr"
    cut.write_bytes(whole[: int(len(whole) * keep)])
    assert status_of(cut) == "not_a_panorama"
    module = tmp_path / "cut.exr.js"
    text = base64.b64encode(whole).decode()
    module.write_text("base64," + text[: int(len(text) * keep) // 4 * 4 + 1])
    assert status_of(module) == "not_a_panorama"


def test_tone_mapping_gives_display_values_of_the_wanted_brightness() -> None:
    light = np.random.default_rng(0).lognormal(size=(16, 32, 3)).astype(np.float32)
    day, night = tone_map(light, key=0.18), tone_map(light, key=0.05)
    assert day.dtype == np.float32
    assert day.min() >= 0
    assert day.max() <= 1
    assert night.mean() < day.mean()
    np.testing.assert_allclose(tone_map(light * 1000, key=0.18), day, atol=0.01)  # exposure takes no part


def test_a_sun_does_not_darken_the_rest() -> None:
    light = np.ones((32, 64, 3), np.float32)
    sun = light.copy()
    sun[3, 5] = 60000
    assert np.abs(tone_map(sun)[20:] - tone_map(light)[20:]).max() < 0.01


def test_damaged_pixels_around_a_lamp_are_filled_from_sound_ones() -> None:
    light = np.ones((32, 64, 3), np.float32)
    light[10, 10] = 500
    light[10, 12] = (-1, 1, 1)
    light[25, 50] = (0, 1, 1)  # a saturated colour far from any lamp stays
    display = np.clip(light, 0, 1)
    repaired = repair_highlights(display, light)
    np.testing.assert_allclose(repaired[10, 12], 1, atol=1e-5)
    np.testing.assert_array_equal(repaired[25, 50], [0, 1, 1])
    assert display[10, 12, 0] == 0  # the input is left alone


def test_a_view_looks_where_it_is_told() -> None:
    """A panorama whose red tells the column and whose green tells the row."""
    columns, rows = np.meshgrid(np.arange(360) / 360, np.arange(180) / 180)
    panorama = np.stack([columns, rows, np.zeros_like(rows)], axis=2).astype(np.float32)
    ahead = np.asarray(perspective_view(panorama, yaw=90, pitch=0, field_of_view=60, size=15))
    np.testing.assert_allclose(ahead[7, 7, :2], (255 / 4, 255 / 2), atol=2)
    up = np.asarray(perspective_view(panorama, yaw=90, pitch=30, field_of_view=60, size=15))
    assert up[7, 7, 1] == pytest.approx(255 / 3, abs=2)
    assert ahead[7, 0, 0] < ahead[7, 14, 0]  # left is left
    assert ahead[0, 7, 1] < ahead[14, 7, 1]  # up is up
    reach = (ahead[7, 14, 0].astype(float) - ahead[7, 0, 0]) / 255 * 360
    assert reach == pytest.approx(60 * 14 / 15, abs=3)


def test_a_view_across_the_seam_is_smooth() -> None:
    angles = np.arange(128) / 128 * 2 * np.pi
    panorama = np.broadcast_to((0.5 + 0.5 * np.sin(angles))[None, :, None], (64, 128, 3)).astype(np.float32)
    view = np.asarray(perspective_view(panorama, yaw=0, pitch=0, field_of_view=75, size=32)).astype(int)
    assert np.abs(np.diff(view[16, :, 0])).max() < 10
