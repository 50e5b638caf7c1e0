"""A tiny data set laid out as the authors of D3S released theirs: two classes, two backgrounds, drawn pictures."""

import json
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from d3s.composition import Placement, paste
from tiny import ROOT, draw_ground, draw_object, write_csv

SIZE = 32
CLASSES = {430: (0, "basketball"), 478: (1, "carton")}
"""By ImageNet's index: class id, which is also how it is drawn, and name."""
BACKGROUNDS = {"grass": ("on grass", (60, 150, 60)), "road": ("on a road", (120, 120, 120))}


def draw_pair(index: int, background: str, number: int) -> tuple[Image.Image, Image.Image]:
    """A guide, and what stands for the image that was made from it."""
    cut_out, ground = draw_object(CLASSES[index][0], number % 4), draw_ground(BACKGROUNDS[background][1], number)
    placement = Placement(0.5, False, number % 5 / 5, 0.5)
    guide = paste(cut_out, ground.resize((SIZE, SIZE)).convert("RGBA"), placement, SIZE)
    return guide.convert("RGB"), guide.convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def beside(guide: Image.Image, image: Image.Image, margin: int = 2) -> Image.Image:
    """Guide and image in one picture, with black margins around and between them."""
    side = image.width
    picture = Image.new("RGB", (2 * side + 3 * margin, side + 2 * margin))
    picture.paste(guide, (margin, margin))
    picture.paste(image, (side + 2 * margin, margin))
    return picture


def record(split: str, number: int, index: int, background: str, guided: bool, **other: object) -> dict[str, Any]:
    """A record as the generating script wrote them: on another computer, and with numbers as texts."""
    return {
        "image": f"/elsewhere/d3s/{split}/background-shift/{number}.png",
        "classIdx": str(index),
        "prompt": f"a photo of a {CLASSES[index][1]}, {BACKGROUNDS[background][0]}",
        "args": {"class_idx": str(index), "background": BACKGROUNDS[background][0], "fg_scale": 0.4},
        "hasInit": guided,
        "background": background,
        **other,
    }


def make_released(folder: Path, per_cell: int = 4, guided: bool = True) -> None:
    """Write a data set; the last picture of every cell shows no guide, or none does."""
    for split in ("train", "val"):
        records: list[dict[str, Any]] = []
        for index in CLASSES:
            for background in BACKGROUNDS:
                for place in range(per_cell):
                    number = len(records)
                    guide, image = draw_pair(index, background, number + 50 * (split == "val"))
                    with_guide = guided and place < per_cell - 1
                    path = folder / split / "background-shift" / f"{number}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    (beside(guide, image) if with_guide else image).save(path)
                    records.append(record(split, number, index, background, with_guide))
        write_metadata(folder, split, records)


def write_metadata(folder: Path, split: str, records: Any) -> Path:
    path = folder / split / "metadata.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


def make_released_project(folder: Path, per_cell: int = 4, guided: bool = True) -> Path:
    """Write a data set, its tables and a config that imports it; give the config's path."""
    make_released(folder / "data", per_cell, guided)
    write_csv(
        folder / "classes.csv",
        [
            {"class_id": class_id, "name": name, "label": name, "definition": "", "imagenet_indices": index}
            for index, (class_id, name) in CLASSES.items()
        ],
    )
    write_csv(
        folder / "backgrounds.csv",
        [{"background": name, "phrase": phrase, "revision": 0} for name, (phrase, _) in BACKGROUNDS.items()],
    )
    config = {
        "seed": 1,
        "released": {"folder": str(folder / "data")},
        "tables": {
            "classes": str(folder / "classes.csv"),
            "backgrounds": str(folder / "backgrounds.csv"),
            "classifiers": str(ROOT / "config" / "classifiers.yaml"),
        },
        "guides": {"size": SIZE},
        "screens": {"min_contrast": 0.001, "min_probability": 0.0, "duplicate_distance": 0},
        "classifiers": {"bootstrap": 50},
        "encoders": {
            "seeds": [0],
            "input_size": SIZE,
            "frozen_stages": 6,
            "steps": 4,
            "warmup_steps": 2,
            "batch_size": 4,
            "device": "cpu",
        },
        "probes": {"permutations": 1, "folds": 2, "template_folds": 2},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path
