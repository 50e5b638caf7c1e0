"""Pictures and videos of places, drawn, archives of them, and rows of the template table that name them."""

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from d3s.config import check_config
from d3s.tables import SCHEMAS, Row
from d3s.template_source import TemplateSettings


def settings(**chosen: Any) -> TemplateSettings:
    """Templates of 16 pixels; the rest as a config has it, but for what is chosen under ``backgrounds:``."""
    few = {"train_views": 4, "val_views": 2, "pitches": [0], "size": 16, "train_frames": 4, "val_frames": 2}
    tables = {name: f"{name}.csv" for name in ("classes", "exemplars", "backgrounds", "templates", "classifiers")}
    given = {"seed": 1, "tables": tables, "generator": {"model": "m"}, "guides": {"size": 16}}
    return TemplateSettings.of(check_config(given | {"backgrounds": few | chosen}))


def row(path: Path, kind: str, split: str = "", **cells: str) -> Row:
    """A row of the template table, named by its file."""
    filled = {"template_source": path.stem, "background": "grass", "kind": kind, "split": split, "file": str(path)}
    return dict.fromkeys(SCHEMAS["templates"].columns, "") | filled | cells


def scene(number: int, width: int = 48, height: int = 40) -> Image.Image:
    """A place with large patches of light and dark, unlike that of any other number."""
    patches = np.random.default_rng(number).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC)


def write_video(path: Path, seconds: float, rate: int = 5, rotation: int = 0, still: bool = False) -> Path:
    """A video of 64 x 48 pixels that shows another place in each frame, or one and the same in all of them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = 8
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(round(seconds * rate)):
            frame = av.VideoFrame.from_image(scene(0 if still else number, 64, 48))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def zipped(path: Path, members: dict[str, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def tarred(path: Path, members: dict[str, bytes], mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path
