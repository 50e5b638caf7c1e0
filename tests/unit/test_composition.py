import inspect

import numpy as np
import pytest
from PIL import Image

from d3s.composition import Placement, PlacementRanges, draw_placement, paste, paste_mask

RANGES = PlacementRanges(scale=(0.6, 0.8), flip=True, x=(0.0, 1.0), y=(0.4, 1.0))
RED = Image.new("RGBA", (40, 20), (255, 0, 0, 255))
GREY = Image.new("RGB", (100, 100), (128, 128, 128))


def where_red(guide: Image.Image) -> tuple[int, int, int, int]:
    """The box (left, upper, right, lower) of the red exemplar."""
    samples = np.asarray(guide).astype(int)
    box = Image.fromarray(((samples[..., 0] > 200) & (samples[..., 1] < 60)).astype(np.uint8) * 255).getbbox()
    assert box is not None
    return box


def test_placements_stay_in_their_ranges_and_vary() -> None:
    placements = [draw_placement(RANGES, 0, 3, "train", index) for index in range(200)]
    assert all(0.6 <= p.scale <= 0.8 and 0 <= p.x <= 1 and 0.4 <= p.y <= 1 for p in placements)
    assert 60 < sum(p.flip for p in placements) < 140
    assert len({p.x for p in placements}) > 190


def test_a_matched_set_shares_its_placement_whatever_the_background() -> None:
    """The identity is (class, split, index); there is no way to tell a background to the draw but through it."""
    sets = {background: [draw_placement(RANGES, 0, 3, "val", i) for i in range(5)] for background in ("grass", "water")}
    assert sets["grass"] == sets["water"]
    assert "background" not in inspect.signature(draw_placement).parameters


def test_neighbouring_identities_draw_their_own() -> None:
    drawn = {draw_placement(RANGES, *identity) for identity in [(0, 3, "val", 0), (0, 3, "val", 1), (0, 4, "val", 0)]}
    assert len(drawn) == 3


def test_flipping_can_be_switched_off() -> None:
    still = PlacementRanges(scale=(0.5, 0.5), flip=False, x=(0.0, 0.0), y=(1.0, 1.0))
    assert {draw_placement(still, 0, index) for index in range(20)} == {Placement(0.5, False, 0.0, 1.0)}


@pytest.mark.parametrize(
    ("x", "y", "box"),
    [(0.0, 0.0, (0, 0, 50, 25)), (1.0, 1.0, (50, 75, 100, 100)), (0.5, 0.0, (25, 0, 75, 25))],
)
def test_an_exemplar_lands_where_its_placement_says(x: float, y: float, box: tuple[int, int, int, int]) -> None:
    guide = paste(RED, GREY, Placement(scale=0.5, flip=False, x=x, y=y), size=100)
    assert (guide.mode, guide.size) == ("RGB", (100, 100))
    assert where_red(guide) == box


def test_scale_is_of_the_longer_side_and_of_the_guide() -> None:
    tall = RED.transpose(Image.Transpose.ROTATE_90)
    assert where_red(paste(tall, GREY, Placement(0.6, False, 0.0, 0.0), 50)) == (0, 0, 15, 30)


def test_a_flip_mirrors_the_exemplar_alone() -> None:
    half = RED.copy()
    half.paste((0, 0, 255, 255), (20, 0, 40, 20))
    template = GREY.copy()
    template.paste((0, 255, 0), (0, 0, 10, 100))
    guide = paste(half, template, Placement(0.4, True, 0.5, 0.5), 100)
    assert guide.getpixel((5, 50)) == (0, 255, 0)
    assert where_red(guide)[0] == pytest.approx(50, abs=1)


def test_transparency_lets_the_template_show() -> None:
    guide = paste(Image.new("RGBA", (10, 10), (255, 0, 0, 128)), GREY, Placement(1.0, False, 0.0, 0.0), 20)
    assert guide.getpixel((10, 10)) == pytest.approx((192, 64, 64), abs=1)


def test_pasting_leaves_its_inputs_alone() -> None:
    before = RED.tobytes(), GREY.tobytes()
    paste(RED, GREY, Placement(0.4, True, 0.3, 0.3), 100)
    assert (RED.tobytes(), GREY.tobytes()) == before


def test_a_mask_says_where_the_exemplar_is() -> None:
    exemplar = Image.new("RGBA", (40, 20), (255, 0, 0, 255))
    exemplar.paste((0, 0, 0, 0), (0, 0, 20, 20))
    placement = Placement(0.5, True, 1.0, 0.0)
    mask = paste_mask(exemplar, placement, 80)
    assert (mask.mode, mask.size) == ("L", (80, 80))
    guide = np.asarray(paste(exemplar, Image.new("RGB", (80, 80), (0, 0, 255)), placement, 80))
    covered = np.asarray(mask) == 255
    assert (guide[covered] == (255, 0, 0)).all()
    assert (guide[np.asarray(mask) == 0] == (0, 0, 255)).all()
    assert covered.any()
