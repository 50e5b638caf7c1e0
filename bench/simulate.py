"""Lay out a project of any size without its pictures: tables, a config and sparse stand-in files, to plan runs on.

python bench/simulate.py FOLDER --classes 1000 --backgrounds 10 --train 100 --val 20
"""

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PICTURE_BYTES = 120_000
"""Apparent size of a stand-in; it takes no disk."""
MOST_PER_SHARD = 3_400  # images


def lay_out(
    folder: Path,
    classes: int,
    backgrounds: int,
    train: int,
    val: int,
    classifiers: Path = ROOT / "config/classifiers.yaml",
    exemplars: int = 20,
    templates: int = 60,
) -> Path:
    """Write the project.

    Args:
        folder: made.
        classes, backgrounds: how many.
        train, val: images per class and background.
        classifiers: the list of networks.
        exemplars: cut-outs per class.
        templates: photographs per background.

    Returns:
        The config's path.
    """
    assets = folder / "assets"
    assets.mkdir(parents=True)
    generator = folder / "generator"
    generator.mkdir()
    (generator / "digests.json").write_text(json.dumps({"unet/weights.safetensors": "0" * 64}))
    _write(
        folder / "classes.csv",
        (
            {
                "class_id": number,
                "name": f"class_{number}",
                "label": f"class {number}",
                "definition": "a thing",
                "imagenet_indices": number if number < 1000 else "",
            }
            for number in range(classes)
        ),
    )
    _write(folder / "exemplars.csv", _exemplars(folder, classes, exemplars))
    _write(
        folder / "backgrounds.csv",
        ({"background": f"bg{b}", "phrase": f"in place {b}", "revision": 0} for b in range(backgrounds)),
    )
    _write(folder / "templates.csv", _templates(folder, backgrounds, templates))
    config = {
        "seed": 1,
        "classes_per_chunk": max(1, MOST_PER_SHARD // max(train, val)),
        "tables": {name: str(folder / f"{name}.csv") for name in ("classes", "exemplars", "backgrounds", "templates")}
        | {"classifiers": str(classifiers)},
        "images_per_cell": {"train": train, "val": val},
        "backgrounds": {"size": 512},
        "guides": {"size": 512},
        "generator": {"model": str(generator), "dtype": "float16", "device": "cuda", "gpus": 1},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def _exemplars(folder: Path, classes: int, exemplars: int) -> Iterator[dict[str, Any]]:
    for class_id in range(classes):
        for number in range(exemplars):
            name = f"c{class_id}-{number}"
            row = {"exemplar": name, "class_id": class_id, "split_group": name, "split": _split(number, exemplars)}
            yield row | {"image": _stand_in(folder, f"{name}.png"), "mask": ""}


def _templates(folder: Path, backgrounds: int, templates: int) -> Iterator[dict[str, Any]]:
    for background in range(backgrounds):
        for number in range(templates):
            name = f"b{background}-{number}"
            row = {"template_source": name, "background": f"bg{background}", "kind": "photo"}
            yield row | {"split": _split(number, templates), "file": _stand_in(folder, f"{name}.jpg")}


def _split(number: int, total: int) -> str:
    return "train" if number < total * 2 // 3 else "val"


def _stand_in(folder: Path, name: str) -> Path:
    path = folder / "assets" / name
    path.touch()
    with open(path, "r+b") as file:
        file.truncate(PICTURE_BYTES)
    return path


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    first = next(rows)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(first))
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name in ("classes", "backgrounds", "train", "val"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--exemplars", type=int, default=20, help="per class")
    parser.add_argument("--templates", type=int, default=60, help="per background")
    given = parser.parse_args()
    print(lay_out(**vars(given)))


if __name__ == "__main__":
    main()
