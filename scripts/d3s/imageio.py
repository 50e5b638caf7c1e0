"""Reading pictures that come from anywhere, and writing ours so that equal pixels give equal bytes."""

import io
import warnings
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from d3s.errors import BadInput
from d3s.identity import pixels_digest

MAX_PIXELS = 64_000_000
"""The largest picture that is decoded (64 megapixels): a small file can claim to hold a huge one."""


def read_image(source: str | Path | IO[bytes], max_pixels: int = MAX_PIXELS, upright: bool = True) -> Image.Image:
    """Decode a picture to 8-bit ``RGB`` or, where it has transparency, ``RGBA``.

    CMYK, palettes, greyscale (8 or 16 bits, or float) and 16-bit colour all come out as plain 8-bit colour.

    Args:
        source: its path, or a file.
        max_pixels: what is larger is not decoded.
        upright: whether it is turned by its EXIF tag.

    Raises:
        BadInput: ``missing``, ``not_an_image``, ``too_large`` or ``truncated``.
    """
    name, image = _open(source, max_pixels)
    with image:
        try:
            image.load()
            turned = ImageOps.exif_transpose(image) if upright else image
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise BadInput("truncated", f"{name} is cut short or damaged ({error})") from None
        return _to_8_bit_colour(turned)


def read_size(source: str | Path, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Width and height of a picture as it is stored, from its header; no pixel is decoded.

    Raises:
        BadInput: ``missing``, ``not_an_image`` or ``too_large``.
    """
    _, image = _open(source, max_pixels)
    with image:
        return image.size


def _open(source: str | Path | IO[bytes], max_pixels: int) -> tuple[str, Image.Image]:
    """What to call a picture, and the picture with its header read."""
    name = Path(source).name if isinstance(source, str | Path) else "the picture"
    try:
        # A picture over Pillow's own limit only warns; ours is checked below, before any pixel is decoded.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(source)
    except FileNotFoundError:
        raise BadInput("missing", f"{name} does not exist") from None
    except Image.DecompressionBombError:
        raise BadInput("too_large", f"{name} holds far more than the {max_pixels:,} pixels allowed") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise BadInput("not_an_image", f"{name} can't be read as a picture ({error})") from None
    if image.width * image.height > max_pixels:
        size = f"{image.width} x {image.height}"
        image.close()
        raise BadInput("too_large", f"{name} is {size}; the limit is {max_pixels:,} pixels")
    return name, image


def _to_8_bit_colour(image: Image.Image) -> Image.Image:
    if image.mode in ("I;16", "I;16L", "I;16B", "I"):
        # Pillow's own conversion clips 16-bit samples to white instead of scaling them.
        samples = np.asarray(image).astype(np.float64) / 257.0
        return Image.fromarray(np.clip(np.rint(samples), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        samples = np.nan_to_num(np.asarray(image))
        scale = 255.0 if samples.max(initial=0.0) <= 1.0 else 1.0
        return Image.fromarray(np.clip(np.rint(samples * scale), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("RGB")


def read_mask(source: str | Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a mask to 8-bit greyscale, 0 outside and 255 inside.

    A mask with transparency gives its alpha, unless that hides nothing: editors add such a channel by themselves.

    Raises:
        BadInput: as ``read_image``.
    """
    image = read_image(source, max_pixels)
    if image.mode == "RGBA" and (alpha := image.getchannel("A")).getextrema() != (255, 255):
        return alpha
    return image.convert("L")


def encode_png(image: Image.Image) -> bytes:
    """The PNG of a picture, without metadata, at a fixed compression level."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def decode_png(data: bytes) -> Image.Image:
    """A picture of our own shards, back from its bytes."""
    return read_image(io.BytesIO(data))


def image_digest(image: Image.Image) -> str:
    """The digest of a picture's decoded pixels."""
    return pixels_digest((image.height, image.width, len(image.getbands())), image.tobytes())


def resize_rgba(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize a cut-out with its colours weighted by alpha, so that hidden colours don't bleed into its edge."""
    if image.size == size:
        return image
    return image.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
