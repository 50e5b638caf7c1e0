"""Exemplars of two classes and templates of two backgrounds, drawn and prepared, for guides to be made of."""

from pathlib import Path

import pandas as pd

from d3s.composition import PlacementRanges
from d3s.exemplars import ExemplarSettings, prepare_exemplars
from d3s.guides import Material, PromptSettings
from d3s.shards import TarReader, write_shard
from d3s.sources.table import TableSource
from d3s.tables import Row
from d3s.templates import prepare_templates
from scenery import settings
from tiny import BACKGROUNDS, draw_ground, draw_object

CLASSES: list[Row] = [
    {"class_id": "0", "name": "ball", "label": "ball", "definition": "a round thing", "imagenet_indices": "1"},
    {"class_id": "1", "name": "box", "label": "box", "definition": "", "imagenet_indices": "2"},
]
RANGES = PlacementRanges((0.4, 0.8), True, (0, 1), (0, 1))
PROMPTS = PromptSettings(("a photo of a {class}, {definition}, {background}",), "", lambda text: len(text.split()), 77)


def make_material(folder: Path, exemplars: int = 4) -> dict[str, Material]:
    """Material by background: so many exemplars of each class, the first two of them of train, and six templates."""
    rows_of_exemplars: list[Row] = []
    for class_id in (0, 1):
        for number in range(exemplars):
            path = folder / f"{class_id}-{number}.png"
            draw_object(class_id, number).save(path)
            split = "train" if number < 2 else "val"
            rows_of_exemplars.append(
                {
                    "exemplar": path.stem,
                    "class_id": str(class_id),
                    "split_group": "",
                    "split": split,
                    "image": str(path),
                    "mask": "",
                }
            )
    write_shard(
        folder / "fg.tar",
        *prepare_exemplars(TableSource({}, rows_of_exemplars), CLASSES, ExemplarSettings(40, 8, 0, 0.3, 1)),
    )
    found = {}
    for name, colour in BACKGROUNDS.items():
        rows: list[Row] = []
        for number in range(6):
            path = folder / f"{name}{number}.png"
            draw_ground(colour, number).save(path)
            split = "train" if number < 3 else "val"
            rows.append(
                {
                    "template_source": path.stem,
                    "background": name,
                    "kind": "photo",
                    "split": split,
                    "file": str(path),
                    "yaw_start": "",
                    "exposure": "",
                }
            )
        write_shard(folder / f"{name}.tar", *prepare_templates(rows, settings(size=32)))
        found[name] = Material(
            pd.read_parquet(folder / "fg.parquet"),
            TarReader(folder / "fg.tar"),
            pd.read_parquet(folder / f"{name}.parquet"),
            TarReader(folder / f"{name}.tar"),
        )
    return found
