"""What classifiers look at, in the workflow: cut-outs, a crossed design and a benchmark are added to a finished run."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from test_changes import CONFIG_FILE, jobs_of

from benchmark_layouts import draw, make_tree
from d3s.label_maps import read_label_map
from d3s.subjects import loads_of, read_index, read_shards
from running import script, snakemake


@pytest.fixture(scope="module")
def folder(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished run, whose config has a crossed design and a benchmark now."""
    folder = tmp_path_factory.mktemp("subjects") / "run"
    shutil.copytree(run, folder, symlinks=True)
    make_tree(folder / "theirs", "ball/1.png", "ball/2.png", "box/1.png", "bag/1.png")
    (folder / "project/labels.csv").write_text("label,imagenet_indices\nball,430 522\nbox,478\n")
    path = folder / "project/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["crossed"] = {"exemplars": 2, "placements": 1, "noises": 2}
    theirs = {"name": "theirs", "kind": "imagefolder", "folder": "theirs", "labels": "project/labels.csv"}
    config["benchmarks"] = [theirs]
    path.write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="module")
def made(folder: Path) -> Path:
    """The same, with all that classifiers look at; one class has one usable exemplar in val in place of two."""
    told = script(folder, "plan", "--configfile", "project/config.yaml").stdout
    assert re.search(r"^all +32 +0 +12 +4 ", told, re.MULTILINE), told  # (1 + 2) exemplars x 2 noises x 2 backgrounds
    done = snakemake(folder, folder / "project/config.yaml", "subjects")
    assert done.returncode == 0, done.stderr[-4000:]
    assert len(re.findall(r"generate_images: 6 images to make", done.stdout + done.stderr)) == 2
    return folder


def test_nothing_of_train_and_val_is_made_again(folder: Path) -> None:
    planned = snakemake(folder, folder / "project/config.yaml", "demo", "--dry-run", "--quiet", "rules")
    assert planned.returncode == 0, planned.stderr[-3000:]
    of_its_own = {"compose_guides": 2, "generate_images": 2, "index_benchmark": 1}
    asked = {"list_shards": 2, "predict_classifier": 9}
    after = {"score_classifiers": 1, "draw_figures": 1, "draw_fragile_sets": 1}
    assert jobs_of(planned.stdout + planned.stderr) == of_its_own | asked | after | CONFIG_FILE


def test_a_crossed_part_changes_nothing_else(run: Path, made: Path) -> None:
    for stage in ("guides", "images"):
        for digests in sorted((run / "results" / stage).glob("*/*/*/*.digests.json")):
            assert (made / digests.relative_to(run)).read_bytes() == digests.read_bytes()
    manifest = Path("results/validation/manifest.parquet")
    assert (made / manifest).read_bytes() == (run / manifest).read_bytes()
    assert not (made / "results/validation/screens/crossed").exists()


def test_images_of_the_crossed_design_differ_by_noise_and_guides_do_not(made: Path) -> None:
    tables = [
        pd.read_parquet(made / f"results/images/crossed/background/{name}/0.parquet") for name in ("grass", "sand")
    ]
    table = pd.concat(tables)
    assert len(table) == 16
    assert table["status"].value_counts().to_dict() == {"ok": 12, "no_exemplar": 4}
    table = table[table["status"] == "ok"]
    cells = table.groupby(["class_id", "background", "exemplar", "placement"])
    assert (cells["guide_digest"].nunique() == 1).all()
    assert (cells["image_digest"].nunique() == 2).all()
    assert (table.groupby("matched_set")["background"].nunique() == 2).all()


def test_all_of_it_can_be_looked_at(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    places = {
        "cutouts": [Path("results/cutouts/val/background/0.tar")],
        "templates": sorted(Path("results/backgrounds").glob("*.tar")),
        "crossed": sorted(Path("results/images/crossed").rglob("*.tar")),
        "crossed_guides": sorted(Path("results/guides/crossed").rglob("*.tar")),
    }
    counts = {"cutouts": 8, "templates": 8, "crossed": 12, "crossed_guides": 6}
    for dataset, tars in places.items():
        rows = read_shards(dataset, tars)
        usable = [place for place, status in enumerate(rows["status"]) if status == "ok"]
        opened = [load() for _, load in loads_of(rows, usable)]
        assert len(opened) == len(usable) == counts[dataset]
    rows = read_index("results/benchmarks/theirs.parquet")
    assert rows["status"].tolist() == ["unknown_label", "ok", "ok", "ok"]
    assert len([load() for _, load in loads_of(rows, [1, 2, 3])]) == 3
    assert read_label_map("results/benchmarks/theirs.labels.csv").names == ("ball", "box")


def test_a_benchmark_is_indexed_again_if_its_folder_or_map_changed(made: Path) -> None:
    config = made / "project/config.yaml"
    assert "Nothing to be done" in snakemake(made, config, "subjects").stderr
    draw(made / "theirs" / "bag.png", 9)
    done = snakemake(made, config, "subjects")
    assert done.returncode == 0, done.stderr[-3000:]
    assert jobs_of(done.stdout + done.stderr) == {"index_benchmark": 1, "subjects": 1}
    (made / "project/labels.csv").write_text("label,imagenet_indices\nball,430 522\nbox,478\nbag,414\n")
    done = snakemake(made, config, "subjects")
    assert done.returncode == 0, done.stderr[-3000:]
    assert pd.read_parquet(made / "results/benchmarks/theirs.parquet")["status"].tolist().count("ok") == 4


def test_collecting_garbage_keeps_it(made: Path) -> None:
    told = script(made, "collect_garbage", "--configfile", "project/config.yaml", "--dry-run")
    assert told.returncode == 0, told.stderr
    assert "results/images/crossed" not in told.stderr


def test_an_image_of_the_crossed_design_is_explained(made: Path) -> None:
    sample = pd.read_parquet(made / "results/images/crossed/background/sand/0.parquet")["sample"].iloc[0]
    told = script(made, "explain", sample, "--configfile", "project/config.yaml")
    assert told.returncode == 0, told.stderr
    assert "logs/generate_images/crossed/background/sand/0.log" in told.stdout


def test_a_folder_that_is_gone_stops_the_run_before_any_job(made: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((made / "project/config.yaml").read_text())
    config["benchmarks"][0]["folder"] = "nowhere"
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(config))
    told = snakemake(made, tmp_path / "wrong.yaml", "--dry-run")
    assert told.returncode != 0
    said = told.stdout + told.stderr
    assert "benchmarks: theirs: the folder nowhere is not there" in said
    assert "Traceback" not in said
