import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from d3s.errors import BadInput
from d3s.imageio import decode_png, encode_png, image_digest, read_image, read_mask, resize_rgba

MakeImage = Callable[..., Path]


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    return tuple(np.atleast_1d(np.asarray(image)[y, x]).tolist())


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    """A PNG by hand: Pillow can't write 16-bit colour, nor a header that claims more than there is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_a_colour_photo_stays_as_it_is(make_image: MakeImage) -> None:
    image = read_image(make_image("red.png", Image.new("RGB", (3, 2), (255, 0, 0))))
    assert (image.mode, image.size, pixel(image, 0, 0)) == ("RGB", (3, 2), (255, 0, 0))


def test_a_cmyk_jpeg_becomes_rgb(make_image: MakeImage) -> None:
    image = read_image(make_image("print.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0))))
    assert image.mode == "RGB"
    red, green, blue = pixel(image, 4, 4)
    assert red > 230
    assert max(green, blue) < 30


def test_16_bit_grey_is_scaled_and_not_clipped(make_image: MakeImage) -> None:
    image = read_image(make_image("deep.png", np.array([[0, 128 * 257, 65535]], dtype=np.uint16)))
    assert image.mode == "RGB"
    assert [pixel(image, x, 0)[0] for x in range(3)] == [0, 128, 255]


def test_16_bit_colour_is_scaled(tmp_path: Path) -> None:
    file = tmp_path / "deep.png"
    file.write_bytes(png(1, 1, bits=16, colour=2, rows=b"\0" + struct.pack(">HHH", 65535, 32896, 0)))
    assert pixel(read_image(file), 0, 0) == (255, 128, 0)


def test_a_photo_is_turned_upright_by_its_exif_tag(make_image: MakeImage) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    samples = np.zeros((8, 16, 3), np.uint8)
    samples[:, :8] = 255
    image = read_image(make_image("portrait.jpg", samples, exif=exif, quality=95))
    assert image.size == (8, 16)
    assert pixel(image, 4, 2)[0] > 230
    assert pixel(image, 4, 13)[0] < 25


def test_greyscale_becomes_rgb(make_image: MakeImage) -> None:
    assert pixel(read_image(make_image("grey.png", Image.new("L", (2, 2), 77))), 0, 0) == (77, 77, 77)


def test_a_palette_keeps_its_transparency(make_image: MakeImage) -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    image = read_image(make_image("icon.png", palette, transparency=1))
    assert image.mode == "RGBA"
    assert [pixel(image, x, 0)[3] for x in range(2)] == [255, 0]


def test_a_palette_without_transparency_becomes_rgb(make_image: MakeImage) -> None:
    assert read_image(make_image("icon.gif", Image.new("P", (2, 2)))).mode == "RGB"


def test_grey_with_alpha_becomes_rgba(make_image: MakeImage) -> None:
    image = read_image(make_image("soft.png", Image.new("LA", (2, 2), (10, 20))))
    assert pixel(image, 0, 0) == (10, 10, 10, 20)


@pytest.mark.parametrize("name", ["plain.png", "plain.jpg", "plain.webp"])
def test_a_truncated_image_is_refused(make_image: MakeImage, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    file = make_image(name, noise)
    file.write_bytes(file.read_bytes()[:-400])
    with pytest.raises(BadInput) as caught:
        read_image(file)
    assert caught.value.status in ("truncated", "not_an_image")
    assert name in caught.value.reason


def test_every_cut_of_a_file_is_refused_or_read_and_never_a_crash(make_image: MakeImage) -> None:
    data = make_image("photo.png", np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).read_bytes()
    for length in range(len(data)):
        try:
            read_image(io.BytesIO(data[:length]))
        except BadInput as error:
            assert error.status in ("truncated", "not_an_image")  # noqa: PT017  (a cut checksum alone still reads)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_photo_may_be_wanted_as_it_is_stored(make_image: MakeImage) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = make_image("portrait.jpg", Image.new("RGB", (40, 20)), exif=exif)
    assert read_image(file).size == (20, 40)
    stored = read_image(file, upright=False)
    assert stored.size == (40, 20)
    assert ImageOps.exif_transpose(stored).size == (20, 40)


def test_damaged_exif_does_not_stop_a_photo(make_image: MakeImage) -> None:
    file = make_image("photo.jpg", Image.new("RGB", (8, 8)), exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_image(file).size == (8, 8)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"GIF", b"a text", bytes(100)):
        (tmp_path / "notes.png").write_bytes(data)
        with pytest.raises(BadInput) as caught:
            read_image(tmp_path / "notes.png")
        assert caught.value.status == "not_an_image"


def test_a_small_file_that_claims_to_be_huge_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    for side, name in ((8_001, "large.png"), (100_000, "bomb.png")):
        (tmp_path / name).write_bytes(png(side, side, bits=8, colour=2, rows=b"\0"))
        with pytest.raises(BadInput) as caught:
            read_image(tmp_path / name)
        assert caught.value.status == "too_large"
        assert name in caught.value.reason


def test_the_limit_is_a_setting(make_image: MakeImage) -> None:
    file = make_image("photo.png", Image.new("RGB", (10, 10)))
    assert read_image(file, max_pixels=100).size == (10, 10)
    with pytest.raises(BadInput, match="99 pixels"):
        read_image(file, max_pixels=99)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        read_image(tmp_path / "gone.png")
    assert (caught.value.status, caught.value.reason) == ("missing", "gone.png does not exist")


def test_a_folder_is_not_an_image(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can't be read"):
        read_image(tmp_path)


@pytest.mark.parametrize("name", ["a b.png", "été.png", "it's 100 %.png", "#1;$(x).png", "日本.png"])
def test_odd_characters_in_names_are_no_matter(make_image: MakeImage, name: str) -> None:
    assert read_image(make_image(name, Image.new("RGB", (2, 2)))).size == (2, 2)


@pytest.mark.parametrize(
    "mask",
    [
        Image.new("1", (2, 2), 1),
        Image.new("L", (2, 2), 255),
        Image.new("RGB", (2, 2), (255, 255, 255)),
        Image.new("RGBA", (2, 2), (0, 0, 0, 255)).convert("LA"),
        Image.fromarray(np.full((2, 2), 65535, np.uint16)),
    ],
    ids=["1 bit", "grey", "colour", "alpha", "16 bits"],
)
def test_masks_of_any_kind_become_8_bit_grey(make_image: MakeImage, mask: Image.Image) -> None:
    if mask.mode == "LA":
        mask.putalpha(Image.fromarray(np.array([[0, 255], [255, 255]], np.uint8)))
    read = read_mask(make_image("mask.png", mask))
    assert read.mode == "L"
    assert pixel(read, 1, 1) == (255,)


def test_a_mask_saved_with_an_alpha_channel_that_hides_nothing_is_read_from_its_grey(make_image: MakeImage) -> None:
    mask = Image.new("RGBA", (2, 1), (0, 0, 0, 255))
    mask.putpixel((1, 0), (255, 255, 255, 255))
    assert list(np.asarray(read_mask(make_image("mask.png", mask))).ravel()) == [0, 255]


def test_equal_pixels_give_equal_bytes(make_image: MakeImage) -> None:
    image = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    described = make_image("described.png", image, dpi=(300, 300))
    assert encode_png(image) == encode_png(read_image(described))
    assert image_digest(decode_png(encode_png(image))) == image_digest(image)


def test_a_digest_of_pixels_sees_their_shape() -> None:
    assert image_digest(Image.new("RGB", (2, 3))) != image_digest(Image.new("RGB", (3, 2)))


def test_hidden_colours_do_not_bleed_into_an_edge() -> None:
    samples = np.zeros((8, 8, 4), np.uint8)
    samples[..., 0] = 255  # red everywhere, but hidden on the left
    samples[:, 4:] = (0, 0, 255, 255)
    small = np.asarray(resize_rgba(Image.fromarray(samples), (3, 3)))
    assert small[small[..., 3] > 0][:, 0].max() <= 1
    assert small.shape == (3, 3, 4)
