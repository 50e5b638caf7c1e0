"""A picture as a network wants it: resized, cut, normalised. By numpy and Pillow, so that threads can do it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colours of ImageNet's pictures, where white is 1."""


@dataclass(frozen=True)
class InputTransform:
    """What is done to a picture.

    Attributes:
        size: side of the input in pixels.
        mean, std: of each colour, where white is 1.
        interpolation: of Pillow's filters, in lower case.
        crop: side of the part that is looked at, of the resized picture's shorter side; 1 takes the largest square.
        squash: whether the whole picture is resized to the square, whatever its proportions, and nothing cut off.
    """

    size: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: str = "bicubic"
    crop: float = 1.0
    squash: bool = False

    def with_settings(self, settings: Mapping[str, Any]) -> "InputTransform":
        """This transform with what an entry's ``input`` says in place of its own."""
        chosen: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
        }
        if "crop" in chosen:
            chosen["squash"] = False
        return replace(self, **chosen)

    def array(self, image: Image.Image) -> np.ndarray:
        """A picture as 3 x size x size float32.

        Its shorter side becomes ``size / crop`` pixels (antialiased), and the middle is cut out, as torchvision and
        timm do it for an evaluation. Nothing else enters: a picture's numbers don't depend on its neighbours.
        """
        rgb = image.convert("RGB")
        wide, high = self._resized(rgb.width, rgb.height)
        if (wide, high) != rgb.size:
            rgb = rgb.resize((wide, high), Image.Resampling[self.interpolation.upper()])
        samples = np.asarray(rgb)
        top, left = (round((side - self.size) / 2.0) for side in (high, wide))
        if top < 0 or left < 0:  # the resized picture is smaller than the input: it stands on black
            padded = np.zeros((max(high, self.size), max(wide, self.size), 3), np.uint8)
            over, before = (max(-offset, 0) for offset in (top, left))
            padded[over : over + high, before : before + wide] = samples
            samples, top, left = padded, max(top, 0), max(left, 0)
        cut = samples[top : top + self.size, left : left + self.size]
        planes = np.ascontiguousarray(cut.transpose(2, 0, 1)).astype(np.float32)
        planes /= np.float32(255.0)
        planes -= np.asarray(self.mean, np.float32)[:, None, None]
        planes /= np.asarray(self.std, np.float32)[:, None, None]
        return planes

    def _resized(self, wide: int, high: int) -> tuple[int, int]:
        if self.squash:
            return self.size, self.size
        short = math.floor(self.size / self.crop + 1e-6)  # 224 / 0.9655... is 232, not 231.99...
        if wide <= high:
            return short, int(short * high / wide)
        return int(short * wide / high), short
