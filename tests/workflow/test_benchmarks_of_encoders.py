"""Data sets of others, in the workflow of encoders: one with groups is probed for shortcuts, one is a second stream."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmark_layouts import make_tree, make_waterbirds
from running import snakemake

LABELS = "label,imagenet_indices\nball,430 522\nbox,478\n"


@pytest.fixture(scope="module")
def folder(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished run with both, and what follows from them made for one seed."""
    folder = tmp_path_factory.mktemp("benchmarks") / "run"
    shutil.copytree(run, folder, symlinks=True)
    rows = pd.read_csv(make_waterbirds(folder / "birds", images=72) / "metadata.csv")
    # in each part as many of each kind before each background
    rows.assign(y=rows["img_id"] // 3 % 2, place=rows["img_id"] // 6 % 2).to_csv(folder / "birds/metadata.csv")
    make_tree(folder / "real", *[f"{name}/{number}.png" for name in ("ball", "box") for number in range(6)])
    (folder / "project/birds.csv").write_text("label,imagenet_indices\nlandbird,7-19\nwaterbird,127-137\n")
    (folder / "project/real.csv").write_text(LABELS)
    path = folder / "project/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["benchmarks"] = [
        {"name": "birds", "kind": "waterbirds", "folder": "birds", "labels": "project/birds.csv"},
        {"name": "real", "kind": "imagefolder", "folder": "real", "labels": "project/real.csv"},
    ]
    config["correlation"]["benchmarks"] = ["birds"]
    config["encoders"]["second"] = {"benchmark": "real", "share": 0.25}
    config["encoders"]["seeds"] = [0]
    path.write_text(yaml.safe_dump(config))
    done = snakemake(folder, path, "results/tables/spurious_birds.csv")
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_shortcuts_are_measured_on_a_data_set_with_groups(folder: Path) -> None:
    table = pd.read_csv(folder / "results/tables/spurious_birds.csv")
    assert set(table["objective"]) == {"erm", "wasserstein"}
    assert set(table["rho"].astype(str)) == {"own", "0", "1"}
    tops = table[table["metric"] == "top1"]
    assert tops["value"].between(0, 1).all()
    assert len(tops[tops["method"] == "dfr"])


def test_encoders_are_trained_on_the_second_stream_too(folder: Path) -> None:
    about = json.loads((folder / "results/encoders/erm/0/encoder.json").read_text())
    assert about["n_second"] == 12


def test_what_is_made_is_not_made_again(folder: Path) -> None:
    planned = snakemake(folder, folder / "project/config.yaml", "results/tables/spurious_birds.csv", "--dry-run")
    assert "Nothing to be done" in planned.stdout + planned.stderr
