"""Benchmarks of others as their publishers lay them out, drawn on the fly; and an index of one."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from d3s.benchmark_index import build_index
from d3s.benchmark_kind import BenchmarkKind, build_benchmark
from d3s.config import load_schema, with_defaults
from d3s.identity import file_sha256
from d3s.imagenet import built_in_map
from d3s.label_maps import LabelMap
from pictures import COCK, TENCH, draw_photo

SIZE = (24, 18)
VARIANTS = ("original", "mixed_same", "mixed_rand", "only_fg", "only_bg_t")
MAP = LabelMap.from_rows(
    [
        {"label": "00_dog", "name": "dog", "imagenet_indices": "151-268"},
        {"label": "02_wheeled vehicle", "name": "wheeled vehicle", "imagenet_indices": "407 436"},
    ],
    "in9.csv",
)


def draw(path: Path, number: int) -> Path:
    """A picture of its own, with the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_photo(number, SIZE).save(path)
    return path


def make_tree(folder: Path, *paths: str) -> Path:
    """Pictures at the paths below a folder."""
    for number, path in enumerate(paths):
        draw(folder / path, number)
    return folder


def make_imagenet9(folder: Path, images: int = 2) -> Path:
    """``VARIANT/val/CLASS/*.JPEG``: names as the generating code of its authors gave them."""
    number = 0
    for variant in VARIANTS:
        for label, synset in (("00_dog", "n02085620"), ("02_wheeled vehicle", "n02814533")):
            for image in range(images):
                own = f"{synset}_{image:05d}"
                name = f"fg_{own}_bg_n01440764_00009" if variant.startswith("mixed") else own
                number += 1
                draw(folder / variant / "val" / label / f"{name}.JPEG", number)
    return folder


def make_imagenet_c(folder: Path, group: str = "noise", images: int = 3) -> Path:
    """``CORRUPTION/SEVERITY/SYNSET/*.JPEG``, in the folder of a group if it is named."""
    number = 0
    for corruption in ("gaussian_noise", "fog"):
        for severity in (1, 3):
            for synset in (TENCH, COCK):
                for image in range(images):
                    number += 1
                    name = f"ILSVRC2012_val_{image:08d}.JPEG"
                    draw(folder / group / corruption / str(severity) / synset / name, number)
    return folder


def make_waterbirds(folder: Path, rows: Sequence[Mapping[str, Any]] = (), images: int = 6) -> Path:
    """``metadata.csv`` with a column of row numbers, as its authors' code writes it, and the pictures."""
    own = []
    for number in range(images):
        name = f"{number:03d}.Bird/Bird_{number:04d}.jpg"
        draw(folder / name, number)
        own.append(
            {"img_id": number, "img_filename": name, "y": number % 2, "split": number % 3, "place": number // 3 % 2}
            | {"place_filename": f"/o/ocean/{number}.jpg"}
        )
    write_rows(folder / "metadata.csv", [*own, *rows])
    return folder


def make_spawrious(folder: Path) -> Path:
    """``SPLIT/PLACE/BREED/*.png``."""
    number = 0
    for split in ("0", "1", "domain_adaptation_ds"):
        for place in ("beach", "snow"):
            for breed in ("bulldog", "dachshund"):
                number += 1
                draw(folder / split / place / breed / f"{split}_{breed}_{number}.png", number)
    return folder


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A CSV; columns that a row lacks are empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def entry(kind: str, folder: Path, **settings: Any) -> dict[str, Any]:
    """An entry of ``benchmarks:``, complete."""
    given = {"name": "theirs", "kind": kind, "folder": str(folder), **settings}
    return with_defaults(given, load_schema()["$defs"]["benchmark"])


def benchmark(kind: str, folder: Path, **settings: Any) -> BenchmarkKind:
    """A benchmark as a job has it: what the config says, of its own settings alone."""
    whole = build_benchmark(entry(kind, folder, **settings))
    return build_benchmark(whole.own)


def index(kind: str, folder: Path, labels: LabelMap | None = None, **settings: Any) -> pd.DataFrame:
    """The index of a benchmark, by sample."""
    found = benchmark(kind, folder, **settings)
    found.check(labels)
    return build_index(found, labels or built_in_map(found.built_in), file_sha256, seed=1).set_index("sample")
