from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from d3s.errors import BadInput
from d3s.foregrounds import read_cutout, trim_cutout, whole_square

MakeImage = Callable[..., Path]


def cut_out(image: Path, mask: Path | None, max_side: int, min_side: int) -> Image.Image:
    return trim_cutout(read_cutout(image, mask), image.name, max_side, min_side)


def shape(width: int, height: int, box: tuple[int, int, int, int]) -> Image.Image:
    """A picture that shows only what lies in a box (left, upper, right, lower)."""
    samples = np.zeros((height, width, 4), np.uint8)
    samples[..., 1] = 200
    left, upper, right, lower = box
    samples[upper:lower, left:right, 3] = 255
    return Image.fromarray(samples)


def test_an_exemplar_is_trimmed_to_what_can_be_seen(make_image: MakeImage) -> None:
    exemplar = cut_out(make_image("bird.png", shape(100, 80, (10, 20, 60, 50))), None, max_side=256, min_side=10)
    assert (exemplar.mode, exemplar.size) == ("RGBA", (50, 30))


def test_a_faint_shadow_does_not_count_as_foreground(make_image: MakeImage) -> None:
    image = shape(40, 40, (10, 10, 30, 30))
    image.putpixel((0, 0), (0, 0, 0, 20))
    assert cut_out(make_image("bird.png", image), None, 256, 10).size == (20, 20)


def test_a_large_exemplar_is_reduced_in_proportion(make_image: MakeImage) -> None:
    exemplar = cut_out(make_image("bird.png", shape(200, 200, (0, 0, 200, 50))), None, max_side=64, min_side=10)
    assert exemplar.size == (64, 16)


def test_a_very_thin_one_keeps_a_pixel(make_image: MakeImage) -> None:
    assert cut_out(make_image("wire.png", shape(400, 4, (0, 1, 400, 2))), None, 64, 10).size == (64, 1)


def test_a_mask_beside_the_picture_becomes_its_transparency(make_image: MakeImage) -> None:
    image = make_image("photo.jpg", Image.new("RGB", (60, 40), (9, 99, 9)))
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 5:45] = 255
    exemplar = cut_out(image, make_image("mask.png", mask), 256, 10)
    assert exemplar.size == (40, 20)
    assert exemplar.getchannel("A").getextrema() == (255, 255)


def test_a_greyscale_photo_and_a_soft_mask_work_too(make_image: MakeImage) -> None:
    exemplar = cut_out(
        make_image("grey.png", Image.new("L", (20, 20), 90)),
        make_image("mask.png", Image.new("L", (20, 20), 128)),
        64,
        8,
    )
    assert exemplar.getpixel((5, 5)) == (90, 90, 90, 128)


def test_a_mask_follows_a_photo_that_its_exif_tag_turns(make_image: MakeImage) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = make_image("photo.jpg", Image.new("RGB", (40, 20)), exif=exif)
    assert cut_out(photo, make_image("mask.png", Image.new("L", (20, 40), 255)), 64, 8).size == (20, 40)


@pytest.mark.parametrize(
    ("image", "mask", "status", "reason"),
    [
        (shape(20, 20, (0, 0, 0, 0)), None, "empty_mask", "nothing of photo.png is visible"),
        (Image.new("RGB", (20, 20)), Image.new("L", (20, 20), 0), "empty_mask", "nothing of photo.png is visible"),
        (Image.new("RGB", (20, 20)), Image.new("L", (20, 10), 255), "mask_size", "mask.png is 20 x 10"),
        (Image.new("RGB", (20, 20)), None, "no_mask", "names no mask"),
        (shape(20, 20, (5, 5, 9, 9)), None, "too_small", "4 x 4; 10 is the least"),
    ],
    ids=["transparent", "empty mask", "mask of another size", "no mask", "too small"],
)
def test_what_cannot_be_used_says_why(
    make_image: MakeImage, image: Image.Image, mask: Image.Image | None, status: str, reason: str
) -> None:
    mask_file = make_image("mask.png", mask) if mask else None
    with pytest.raises(BadInput, match=reason) as caught:
        cut_out(make_image("photo.png", image), mask_file, max_side=64, min_side=10)
    assert caught.value.status == status


def test_a_missing_mask_is_named(make_image: MakeImage, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.png does not exist"):
        cut_out(make_image("photo.png", Image.new("RGB", (20, 20))), tmp_path / "gone.png", 64, 10)


@pytest.mark.parametrize(("size", "box"), [((60, 40), (10, 0, 50, 40)), ((40, 61), (0, 10, 40, 50))])
def test_the_whole_square_is_the_middle_of_a_picture(size: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    square = whole_square(Image.fromarray(noise))
    assert (square.mode, square.size) == ("RGBA", (40, 40))
    assert square.getchannel("A").getextrema() == (255, 255)
    assert square.convert("RGB").tobytes() == Image.fromarray(noise).crop(box).tobytes()
