"""What several tests share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
"""The project's folder."""


@pytest.fixture
def make_image(tmp_path: Path) -> Callable[..., Path]:
    """A function that saves a picture (an image, or an array of samples) under a name and gives its path."""

    def make(name: str, picture: Image.Image | np.ndarray, **options: object) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        image.save(file, **options)  # type: ignore[arg-type]
        return file

    return make
