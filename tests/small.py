"""A small finished data set to export: shards of drawn images, their manifest and the tables; no generator is run.

Two classes, two backgrounds, matched sets of two images; one image was rejected, and one was never made.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from d3s.export.facts import About
from d3s.export.folder import export_folder
from d3s.export.records import Labels
from d3s.identity import digest
from d3s.imageio import encode_png, image_digest
from d3s.manifest import build_manifest, gather
from d3s.screening import DTYPES
from d3s.shards import write_shard, write_table

CLASSES = [
    {"class_id": "7", "name": "zebra", "label": "zebra", "definition": "a striped animal", "imagenet_indices": "340"},
    {"class_id": "12", "name": "apple", "label": "apple", "definition": "", "imagenet_indices": "948"},
]
"""The order of their numbers is not that of their names."""
BACKGROUNDS = [
    {"background": "sand", "phrase": "in sand", "revision": "0", "note": ""},
    {"background": "st.moritz", "phrase": "in a town", "revision": "0", "note": ""},
]
"""A dot in a name is allowed, and is what readers of tars stumble over."""
PER_SPLIT = {"train": 3, "val": 2}
SETTINGS: dict[str, Any] = {
    "seed": 1,
    "prompts": {"background": {"templates": ["a photo of a {class}, {background}"], "negative": ""}},
    "guides": {"scale": [0.4, 0.4], "flip": True},
    "screens": {"min_contrast": 0.02, "min_probability": 0.1, "duplicate_distance": 2},
    "annotations": {"rule": "veto", "votes": 5},
    "foregrounds": {"licence_source": ""},
    "export": {
        "name": "small",
        "title": "A small data set",
        "licence": "CC-BY-4.0",
        "creators": ["A. Person"],
        "url": "https://example.org/small",
        "version": "1.0.0",
        "published": "2022-11-20",
        "which": "accepted",
        "images_per_file": 4,
    },
}


@dataclass(frozen=True)
class Small:
    """Where the data set lies, and what its images are.

    Attributes:
        folder: of tables, shards and manifest.
        tars: the shards.
        manifest: of all planned images.
        pixels: of every image, by sample.
    """

    folder: Path
    tars: list[Path]
    manifest: pd.DataFrame
    pixels: Mapping[str, np.ndarray]

    @property
    def accepted(self) -> pd.DataFrame:
        return self.manifest[self.manifest["accepted"]]

    def arguments(self, output: Path, **export: object) -> list[str]:
        """The command line of ``export_dataset.py``, with some settings of the export changed."""
        tables = [f"--{kind}={self.folder / kind}.csv" for kind in tables_of(CLASSES)]
        settings = SETTINGS | {"export": SETTINGS["export"] | export}
        return [
            "export_dataset.py",
            f"--manifest={self.folder / 'manifest.parquet'}",
            "--images",
            *map(str, self.tars),
            *tables,
            f"--settings={json.dumps(settings)}",
            f"--output={output}",
        ]


def tables_of(classes: Sequence[Mapping[str, str]]) -> dict[str, list[dict[str, str]]]:
    """The tables of the data set, by kind."""
    return {
        "classes": [dict(row) for row in classes],
        "backgrounds": BACKGROUNDS,
        "exemplars": [
            {"exemplar": f"{row['name']}-{split}", "class_id": row["class_id"], "split": split}
            | {"source": "stamps" if split == "train" else "", "image": "x.png", "split_group": ""}
            for row in classes
            for split in PER_SPLIT
        ],
        "templates": [
            {"template_source": f"pan-{row['background']}", "background": row["background"], "kind": "panorama"}
            | {"source": "panoramas", "file": "x.exr", "yaw_start": "0", "exposure": "1"}
            for row in BACKGROUNDS
        ],
        "sources": [
            {"source": "stamps", "kind": "debian", "package": "stamps-default", "version": "1"}
            | {"licence": "GPL-2.0-only", "attribution": "Stamps | and contributors"},
            {"source": "panoramas", "kind": "npm", "package": "@pan/assets", "version": "2"}
            | {"licence": "CC0-1.0", "attribution": "Pan"},
        ],
    }


def about_small(classes: Sequence[Mapping[str, str]] = CLASSES, **export: object) -> About:
    """What config and tables say of the data set, with some settings of the export changed."""
    tables = tables_of(classes)
    settings = SETTINGS | {"export": SETTINGS["export"] | export}
    labels = Labels.of(tables["classes"], tables["backgrounds"])
    return About(labels, tables["exemplars"], tables["templates"], tables["sources"], settings, "")


def make_small(folder: Path, classes: Sequence[Mapping[str, str]] = CLASSES) -> Small:
    """Write the data set into a folder."""
    for kind, rows in tables_of(classes).items():
        write_csv(folder / f"{kind}.csv", rows)
    tars, tables, pixels = [], [], {}
    for split, number in PER_SPLIT.items():
        for background in BACKGROUNDS:
            tar = folder / "images" / split / "background" / background["background"] / "0.tar"
            rows, members = [], []
            for row in classes:
                for index in range(number):
                    record = record_of(split, background["background"], row, index)
                    if index == 0 and split == "train" and row == classes[0] and background == BACKGROUNDS[0]:
                        record |= {
                            "status": "truncated",
                            "reason": "it was cut short",
                            "member": "",
                            "image_digest": "",
                        }
                    else:
                        picture = _draw(record["sample"])
                        pixels[record["sample"]] = np.asarray(picture)
                        record["image_digest"] = image_digest(picture)
                        members.append((record["member"], encode_png(picture)))
                    rows.append(record)
            table = pd.DataFrame(rows).assign(shard=tar.as_posix())
            write_shard(tar, table, members)
            tars.append(tar)
            tables.append(table)
    manifest = build_manifest(gather(tables), screens_of(gather(tables)), 2)
    write_table(folder / "manifest.parquet", manifest)
    return Small(folder, tars, manifest, pixels)


def export_small(small: Small, output: Path, **export: Any) -> Path:
    """Export it by the library, with some settings changed."""
    from d3s.export.dataset import export as write

    with export_folder(output) as folder:
        write(folder, small.manifest, small.tars, about_small(**export))
    return output


def write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write rows as a CSV table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def record_of(split: str, background: str, row: Mapping[str, str], index: int) -> dict[str, Any]:
    """A row of the manifest of an image shard; its picture is yet to be drawn."""
    class_id = int(row["class_id"])
    sample = f"{split}-background-{background}-{class_id:05d}-{index:05d}"
    return {
        "sample": sample,
        "split": split,
        "shift": "background",
        "class_id": class_id,
        "class_name": row["name"],
        "background": background,
        "index": index,
        "revision": 0,
        "matched_set": f"{split}-background-{class_id:05d}-{index:05d}-r0",
        "exemplar": f"{row['name']}-{split}",
        "split_group": f"{row['name']}-{split}",
        "template": f"pan-{background}-{split}-{index:03d}",
        "template_group": f"pan-{background}:{split}:{index}",
        "prompt": f"a photo of a {row['label']}, {background}",
        "negative_prompt": "",
        "prompt_trimmed": False,
        "seed": 2**63 - 1 - index,
        "recipe": digest(sample, "recipe"),
        "guide_digest": digest(sample, "guide"),
        "image_digest": "",
        "safety": "",
        "member": f"{sample}.png",
        "status": "ok",
        "reason": "",
        "model": "/home/someone/models/dreamer",
        "model_digest": "00112233445566778899aabbccddeeff",
        "mode": "image2image",
        "scheduler": "DDIMScheduler",
        "options": "{}",
        "steps": 20,
        "strength": 0.55,
        "guidance": 2.5,
        "dtype": "float32",
        "size": 16,
        "generation_version": 1,
    }


def _draw(sample: str) -> Image.Image:
    """A picture that no other sample has, 16 x 16."""
    rng = np.random.default_rng(int(digest(sample)[:8], 16))
    return Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))


def screens_of(images: pd.DataFrame) -> pd.DataFrame:
    """Screens that accept all images that there are but the last one of val."""
    made = images["status"] == "ok"
    off = images["sample"] == images.loc[images["split"] == "val", "sample"].iloc[-1]
    found = pd.DataFrame(
        {
            "sample": images["sample"],
            "image_digest": images["image_digest"],
            "status": np.where(off, "off_class", np.where(made, "ok", "not_generated")),
            "reason": np.where(off, "it looks like a <zebra>", np.where(made, "", "it was cut short")),
            "brightness": np.where(made, 0.5, np.nan),
            "contrast": np.where(made, 0.25, np.nan),
            "dhash": [digest(sample)[:16] for sample in images["sample"]],
            "guide_distance": np.where(made, 0.1, np.nan),
            "classifier": ["lite1" if there else None for there in made],
            "super_top1": images["class_id"].where(made).astype("Int64"),
            "super_probability": np.where(made, 0.75, np.nan),
        }
    )
    return found.astype(DTYPES)
