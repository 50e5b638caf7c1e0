"""Data sets in the layouts of their publishers, drawn: ImageNet's folders, Salient ImageNet, COCO."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

TENCH, COCK = "n01440764", "n01514668"


def draw_photo(number: int, size: tuple[int, int] = (80, 60)) -> Image.Image:
    """A photograph of coarse coloured noise, unlike those of other numbers."""
    fields = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(fields).resize(size, Image.Resampling.BICUBIC)


def make_imagenet(folder: Path, counts: Mapping[str, int], size: tuple[int, int] = (80, 60)) -> Path:
    """``FOLDER/SYNSET/SYNSET_NUMBER.JPEG``, so many of each synset."""
    for place, (synset, count) in enumerate(counts.items()):
        (folder / synset).mkdir(parents=True)
        for number in range(count):
            draw_photo(1000 * place + number, size).save(folder / synset / f"{synset}_{number}.JPEG")
    return folder


def make_salient(folder: Path, features: Mapping[str, Mapping[str, Sequence[str]]]) -> tuple[Path, Path]:
    """Salient ImageNet's folder of masks and its table of answers.

    Args:
        folder: made.
        features: by synset and number of the feature, the names of its images; the last feature of a class lies on the
            background, by three of five answers.
    """
    rows = []
    for index, (synset, own) in enumerate(features.items()):
        (folder / synset).mkdir(parents=True)
        for rank, (feature, images) in enumerate(own.items(), start=1):
            spurious = rank == len(own) and rank > 1
            answers = ["main_object"] * 2 + (
                ["background", "separate_object", "background"] if spurious else ["main_object"] * 3
            )
            rows += [
                [worker, synset, index, feature, rank, answer, 4.0, 'focus is on it, "as" said']
                for worker, answer in enumerate(answers)
            ]
            for name in images:
                path = folder / synset / f"feature_{feature}" / f"{name}.JPEG"
                path.parent.mkdir(exist_ok=True)
                mask = np.zeros((224, 224), np.uint8)
                mask[:, 112 * (rank - 1) : 112 * rank] = 250  # the first is on the left half, the second on the right
                Image.fromarray(mask).save(path, quality=95)
        longest = max(map(len, own.values()))
        with open(folder / synset / "image_names_map.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(own)
            writer.writerows(
                [names[line] if line < len(names) else "" for names in own.values()] for line in range(longest)
            )
    table = folder / "discover_spurious_features.csv"
    head = "WorkerId,Input.wordnet_id,Input.class_index,Input.feature_index,Input.feature_rank,Answer.main"
    with open(table, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*head.split(","), "Answer.confidence", "Answer.reasons"])
        writer.writerows(rows)
    return folder, table


def make_coco(folder: Path, annotations: Sequence[Mapping[str, Any]], images: int = 4) -> tuple[Path, Path]:
    """An instances file with the categories cat (17) and traffic light (10), and images of 80 x 60 pixels."""
    (folder / "val2017").mkdir(parents=True)
    listed = []
    for number in range(1, images + 1):
        name = f"{number:012d}.jpg"
        draw_photo(number).save(folder / "val2017" / name, quality=95)
        listed.append({"id": number, "file_name": name, "width": 80, "height": 60, "license": 1})
    categories = [{"id": 17, "name": "cat"}, {"id": 10, "name": "traffic light"}]
    usual = {"iscrowd": 0, "category_id": 17, "area": 900.0, "bbox": [10.0, 10.0, 30.0, 30.0]}
    rows = [usual | {"id": 100 + number} | dict(row) for number, row in enumerate(annotations)]
    file = folder / "instances_val2017.json"
    file.write_text(json.dumps({"info": {}, "images": listed, "annotations": rows, "categories": categories}))
    return file, folder / "val2017"


def class_row(class_id: int, name: str, synset: str = "", label: str = "") -> dict[str, str]:
    """A row of the class table."""
    cells = {"class_id": str(class_id), "name": name, "label": label or name, "synset": synset}
    return {**cells, "definition": "", "imagenet_indices": ""}


def source_settings(**given: object) -> dict[str, Any]:
    """The section ``foregrounds: source:`` of a config, with its defaults."""
    from d3s.config import load_schema, with_defaults

    section = load_schema()["properties"]["foregrounds"]["properties"]["source"]
    return with_defaults(
        {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}, section
    )
