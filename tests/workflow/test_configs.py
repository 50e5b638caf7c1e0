"""Every config that comes with the repository plans its run on the files that it names."""

import shutil
from pathlib import Path

import pytest
import yaml

from benchmark_layouts import make_imagenet9, make_spawrious, make_tree, make_waterbirds, write_rows
from pictures import COCK, TENCH
from running import script, snakemake
from stand_ins import CONFIGS, lay_out_stand_ins
from tiny import ROOT


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_a_shipped_config_plans(tmp_path: Path, config: Path) -> None:
    planned = snakemake(tmp_path, lay_out_stand_ins(tmp_path, config), "images", "--dry-run", "--quiet", "rules")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "generate_images" in planned.stdout + planned.stderr


def test_benchmarks_are_laid_over_another_config(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "models").symlink_to(ROOT / "models")
    data = tmp_path / "data"
    make_tree(data / "ILSVRC2012/val", f"{TENCH}/1.JPEG", f"{COCK}/2.JPEG")
    make_imagenet9(data / "bg_challenge")
    make_tree(data / "imagenet-c", *[f"weather/{kind}/3/{TENCH}/1.JPEG" for kind in ("fog", "snow", "frost")])
    make_waterbirds(data / "waterbird_complete95_forest2water2")
    make_spawrious(data / "spawrious224")
    write_rows(data / "in9.csv", [{"label": "00_dog", "name": "dog", "imagenet_indices": "151-268"}])
    written = script(
        tmp_path, "write_label_map", "--classes", "config/classes.csv", "--output", "data/imagenet_as_mine.csv"
    )
    assert written.returncode == 0, written.stderr
    overlay = tmp_path / "config/examples/benchmarks.yaml"
    base = tmp_path / "config/config.yaml"
    both = ("--configfile", str(base), str(overlay))
    planned = snakemake(tmp_path, base, "classifiers", "--dry-run", "--printshellcmds", *both)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    for benchmark in yaml.safe_load(overlay.read_text(encoding="utf-8"))["benchmarks"]:
        assert f"results/benchmarks/{benchmark['name']}.parquet" in planned.stdout + planned.stderr


def test_the_study_trains_one_objective_with_several_settings(tmp_path: Path) -> None:
    for name in ("config", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    base = tmp_path / "config/config.yaml"
    both = ("--configfile", str(base), str(tmp_path / "config/study.yaml"))
    planned = snakemake(tmp_path, base, "study", "--dry-run", "--printshellcmds", *both)
    told = planned.stdout + planned.stderr
    assert planned.returncode == 0, told
    for arguments in (
        "--objective erm --name erm --weight-decay 0.0 --set",
        "--objective erm --name erm_decay --weight-decay 0.3 --set",
        "--objective matched --name matched_exemplar --weight-decay 0.3 --set foreground_weight=0.3",
    ):
        assert arguments in told
    assert "results/encoders/matched_exemplar/4/encoder.safetensors" in told
