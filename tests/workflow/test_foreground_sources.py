"""Exemplars that are chosen from folders: planned by looking at the folders, made again where one changed."""

import csv
import json
import os
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from PIL import Image

from pictures import COCK, TENCH, class_row, draw_photo, make_imagenet
from running import snakemake
from tiny import BACKGROUNDS, draw_ground, tiny_config
from tiny_segmentation import make_tiny_model

CLASSES = [class_row(0, "tench", TENCH), class_row(1, "cock", COCK)]


def make_project(folder: Path, **foregrounds: object) -> Path:
    """A project of two classes, one to a chunk, whose exemplars are chosen; its generator is there by name alone."""
    backgrounds = [{"background": name, "phrase": f"on {name}", "revision": 0} for name in BACKGROUNDS]
    templates = []
    for name, colour in BACKGROUNDS.items():
        draw_ground(colour, 0).save(folder / f"{name}.png")
        row = {"template_source": name, "background": name, "kind": "photo", "split": "train"}
        templates.append(row | {"file": folder / f"{name}.png"})
    sources = [{"source": "ilsvrc", "kind": "local", "package": "ILSVRC2012", "version": "2012"}]
    sources[0] |= {"licence": "LicenseRef-ImageNet", "attribution": "ImageNet"}
    tables: dict[str, list[dict[str, Any]]] = {"classes": list(CLASSES), "backgrounds": backgrounds}
    for name, rows in (tables | {"templates": templates, "sources": sources}).items():
        with open(folder / f"{name}.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    (folder / "generator").mkdir()
    (folder / "generator" / "digests.json").write_text(json.dumps({"unet/weights.safetensors": "0" * 64}))
    config = tiny_config(folder) | {"classes_per_chunk": 1, "foregrounds": foregrounds}
    del config["tables"]["exemplars"]
    config["tables"]["sources"] = str(folder / "sources.csv")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder / "config.yaml"


def jobs(folder: Path, config: Path, *options: str) -> Counter[str]:
    """The jobs that a run made, by rule and chunk."""
    done = snakemake(folder, config, "foregrounds", *options)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = done.stdout + done.stderr
    return Counter(re.findall(r"^(?:local)?rule (\w+):(?:\n    .*)*?\n    wildcards: (chunk=\d)", said, re.MULTILINE))


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    folder = make_imagenet(tmp_path / "train", {TENCH: 12, COCK: 12})
    for path in (folder / TENCH, folder / COCK):
        os.utime(path, (1e9, 1e9))  # long ago, so that what the tests do is newer
    source = {"kind": "imagenet", "folder": str(folder), "without_mask": "crop", "licence_source": "ilsvrc"}
    return make_project(tmp_path, min_side=20, exemplars_per_class={"train": 3, "val": 2}, source=source)


def test_exemplars_of_imagenet_are_chosen_and_a_new_picture_is_noticed(imagenet: Path, tmp_path: Path) -> None:
    planned = snakemake(tmp_path, imagenet, "--dry-run", "--quiet", "rules")
    assert planned.returncode == 0, planned.stderr
    assert "fetch_demo_assets" not in planned.stdout + planned.stderr

    assert jobs(tmp_path, imagenet) == {("prepare_foregrounds", "chunk=0"): 1, ("prepare_foregrounds", "chunk=1"): 1}
    listed = pd.read_csv(tmp_path / "results/foregrounds/0.csv")
    assert listed["status"].tolist() == ["ok"] * 5
    assert set(listed["source"]) == {"ilsvrc"}
    assert all(Path(path).is_file() for path in listed["image"])
    manifest = pd.read_parquet(tmp_path / "results/foregrounds/0.parquet")
    assert manifest["digest"].tolist() == listed["digest"].tolist()
    assert jobs(tmp_path, imagenet) == {}

    draw_photo(77).save(listed["image"][0])  # in place: no folder tells of it
    assert jobs(tmp_path, imagenet) == {}
    draw_photo(88).save(tmp_path / "train" / TENCH / f"{TENCH}_88.JPEG")
    assert jobs(tmp_path, imagenet) == {("prepare_foregrounds", "chunk=0"): 1}
    assert jobs(tmp_path, imagenet) == {}


def test_a_folder_that_is_missing_is_a_row_until_it_comes(imagenet: Path, tmp_path: Path) -> None:
    changed = yaml.safe_load(imagenet.read_text()) | {"classes_per_chunk": 2}
    imagenet.write_text(yaml.safe_dump(changed))
    (tmp_path / "train" / COCK).rename(tmp_path / COCK)
    assert jobs(tmp_path, imagenet) == {("prepare_foregrounds", "chunk=0"): 1}
    listed = pd.read_csv(tmp_path / "results/foregrounds/0.csv").set_index("exemplar")
    assert listed.loc["cock", "status"] == "no_folder"
    assert (listed["status"] == "ok").sum() == 5
    (tmp_path / COCK).rename(tmp_path / "train" / COCK)
    assert jobs(tmp_path, imagenet) == {("prepare_foregrounds", "chunk=0"): 1}
    assert set(pd.read_csv(tmp_path / "results/foregrounds/0.csv")["status"]) == {"ok"}


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A project whose exemplars are the rows of a table: three cut-outs of each class, made a minute ago."""
    config = make_project(tmp_path, min_side=20)
    rows = []
    for class_id in (0, 1):
        for number in range(3):
            path = tmp_path / f"{class_id}{number}.png"
            draw_cutout(10 * class_id + number).save(path)
            age(path)
            row = {"exemplar": path.stem, "class_id": class_id, "split_group": path.stem, "image": path.name}
            rows.append(row | {"split": "train" if number else "val", "mask": ""})
    pd.DataFrame(rows).to_csv(tmp_path / "exemplars.csv", index=False)
    settings = yaml.safe_load(config.read_text())
    settings["tables"]["exemplars"] = "exemplars.csv"
    config.write_text(yaml.safe_dump(settings))
    return config


def draw_cutout(number: int) -> Image.Image:
    picture = draw_photo(number, (40, 40)).convert("RGBA")
    picture.putalpha(255)
    return picture


def age(path: Path, seconds: int = 60) -> None:
    os.utime(path, ns=(0, time.time_ns() - seconds * 10**9))


def test_a_picture_of_a_table_is_noticed_by_its_contents_and_by_nothing_else(listed: Path, tmp_path: Path) -> None:
    first, second = {("prepare_foregrounds", "chunk=0"): 1}, {("prepare_foregrounds", "chunk=1"): 1}
    assert jobs(tmp_path, listed) == first | second
    metadata = "".join(path.read_text() for path in (tmp_path / ".snakemake/metadata").iterdir())
    assert "00.png" not in metadata, "pictures are no inputs"

    for path in tmp_path.glob("*.png"):
        path.touch()
    assert jobs(tmp_path, listed) == {}
    picture = tmp_path / "01.png"
    before = picture.stat()
    draw_cutout(77).save(picture)
    os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))  # as what copies files sets it
    assert jobs(tmp_path, listed) == first

    (tmp_path / "12.png").rename(tmp_path / "kept.png")
    assert jobs(tmp_path, listed) == second
    manifest = pd.read_parquet(tmp_path / "results/foregrounds/1.parquet").set_index("exemplar")
    assert manifest.loc["12", "status"] == "missing"
    assert jobs(tmp_path, listed) == {}
    (tmp_path / "kept.png").rename(tmp_path / "12.png")
    assert jobs(tmp_path, listed) == second
    (tmp_path / ".snakemake/d3s_pictures.txt").write_text("damaged")
    assert jobs(tmp_path, listed) == {}


def test_pictures_that_the_workflow_fetches_stay_inputs(listed: Path, tmp_path: Path) -> None:
    assert jobs(tmp_path, listed).total() == 2
    source = {"source": "theirs", "kind": "npm", "package": "theirs", "version": "1"}
    source |= {"licence": "CC0-1.0", "attribution": "them"}
    pd.DataFrame([source]).to_csv(tmp_path / "fetched_from.csv", index=False)
    asset = {"source": "theirs", "member": "01.png", "sha256": "0" * 64, "file": "01.png"}
    pd.DataFrame([asset]).to_csv(tmp_path / "assets.csv", index=False)
    settings = yaml.safe_load(listed.read_text())
    settings["tables"] |= {"sources": "fetched_from.csv", "assets": "assets.csv"}
    listed.write_text(yaml.safe_dump(settings))
    (tmp_path / "01.png").unlink()
    planned = snakemake(tmp_path, listed, "foregrounds", "--dry-run")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    said = planned.stdout + planned.stderr
    assert "rule fetch_demo_assets_theirs:" in said
    assert re.search(r"rule prepare_foregrounds:\n    input: 01\.png", said), said


def test_mistakes_stop_before_any_job(imagenet: Path, tmp_path: Path) -> None:
    given = yaml.safe_load(imagenet.read_text())
    for name, value, told in (
        ("licence_source", "ilsvcr", "did you mean 'ilsvrc'?"),
        ("folder", str(tmp_path), "it has train, so"),
        ("kind", "imagnet", "there is no kind 'imagnet'"),
    ):
        foregrounds = given["foregrounds"] | {"source": given["foregrounds"]["source"] | {name: value}}
        (tmp_path / "broken.yaml").write_text(yaml.safe_dump(given | {"foregrounds": foregrounds}))
        stopped = snakemake(tmp_path, tmp_path / "broken.yaml", "foregrounds")
        said = stopped.stdout + stopped.stderr
        assert stopped.returncode != 0
        assert told in said
        assert "Traceback" not in said


def test_pictures_without_masks_are_segmented_by_a_rule_of_their_own(tmp_path: Path) -> None:
    for name in ("tench", "cock"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for number in range(8):
            picture = Image.new("RGB", (60, 50), (10, 10, 10))
            picture.paste(draw_photo(number, (30, 30)).point(lambda sample: 155 + sample // 3), (15, 10))
            picture.save(tmp_path / "mine" / name / f"{number}.jpg", quality=95)
        os.utime(tmp_path / "mine" / name, (1e9, 1e9))
    model = {"model": "u2netp", "file": str(tmp_path / "tiny.onnx"), "sha256": make_tiny_model(tmp_path / "tiny.onnx")}
    source = {"kind": "folder", "folder": str(tmp_path / "mine"), "without_mask": "segment"}
    wanted = {"train": 3, "val": 1}
    config = make_project(tmp_path, min_side=20, exemplars_per_class=wanted, source=source, segmentation=model)

    rules = [("segment_foregrounds", f"chunk={n}") for n in (0, 1)] + [
        ("prepare_foregrounds", f"chunk={n}") for n in (0, 1)
    ]
    assert jobs(tmp_path, config) == dict.fromkeys(rules, 1)
    masks = pd.read_parquet(tmp_path / "results/segmentation/0.parquet")
    made = pd.read_parquet(tmp_path / "results/foregrounds/0.parquet")
    pd.testing.assert_frame_equal(masks.drop(columns="member"), made.drop(columns="member"))
    used = made[made["status"] == "ok"]
    assert set(used["split"]) == {"train", "val"}
    assert used["width"].between(28, 34).all()
    assert used["height"].between(28, 34).all()
    assert jobs(tmp_path, config) == {}

    changed = yaml.safe_load(config.read_text())
    changed["foregrounds"]["segmentation"]["sha256"] = "0" * 64
    config.write_text(yaml.safe_dump(changed))
    stopped = snakemake(tmp_path, config, "foregrounds")
    assert stopped.returncode != 0
    assert "tiny.onnx has the SHA-256" in stopped.stdout + stopped.stderr
