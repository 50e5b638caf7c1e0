"""Pictures as people are shown them: small JPEG files, the same from the same pixels."""

import io

from PIL import Image

QUALITY = 92
GREY = (217, 220, 224)
"""Behind cut-outs."""


def shown_picture(image: Image.Image, side: int) -> bytes:
    """An image as JPEG, at most ``side`` pixels wide and high, all colour kept."""
    if max(image.size) > side:
        image = image.copy()
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    image.convert("RGB").save(data, "JPEG", quality=QUALITY, subsampling=0)
    return data.getvalue()


def shown_cut_out(cut_out: Image.Image, side: int = 144) -> bytes:
    """A cut-out (RGBA) on grey, as JPEG."""
    cut_out = cut_out.copy()
    cut_out.thumbnail((side, side), Image.Resampling.LANCZOS)
    ground = Image.new("RGBA", cut_out.size, (*GREY, 255))
    ground.alpha_composite(cut_out)
    return shown_picture(ground.convert("RGB"), side)
