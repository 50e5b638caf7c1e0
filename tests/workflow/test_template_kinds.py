"""Backgrounds in the workflow: folders and archives, the inspection of templates, and what leaving some out costs."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from d3s.imageio import encode_png
from running import script, snakemake
from scenery import scene, zipped


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, with its files' times."""
    shutil.copytree(run, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def edit(folder: Path, **backgrounds: object) -> Path:
    """Set keys of ``backgrounds:`` in the config."""
    path = folder / "project/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["backgrounds"] |= backgrounds
    path.write_text(yaml.safe_dump(config))
    return path


def planned(folder: Path, config: Path, *targets: str) -> str:
    told = snakemake(folder, config, *targets, "--dry-run", "--quiet", "rules")
    assert told.returncode == 0, told.stderr[-3000:]
    return told.stdout + told.stderr


def test_every_template_is_inspected_and_listed(run: Path) -> None:
    table = pd.read_csv(run / "results/tables/templates.csv", keep_default_na=False)
    assert table["template"].tolist() == [f"{name}{number}" for name in ("grass", "sand") for number in range(8)]
    assert table["status"].unique().tolist() == ["ok"]
    assert table["probability"].between(0, 1).all()
    assert set(table["target_class"]) <= {"ball", "box"}
    assert (table["licence"] == "").all()
    assert "16 rows" not in (run / "logs/prepare_backgrounds/grass.log").read_text()
    assert "8 rows without a source" in (run / "logs/prepare_backgrounds/grass.log").read_text()
    page = (run / "results/report/index.html").read_text(encoding="utf-8")
    assert 'id="templates"' in page


def test_flagged_templates_are_left_out_if_the_config_says_so(folder: Path) -> None:
    inspection = pd.read_parquet(folder / "results/backgrounds/grass.inspection.parquet")
    seen = inspection.set_index("template")["probability"]
    most = max(seen[[f"grass{number}" for number in split]].median() for split in ((0, 1, 2, 3), (4, 5, 6, 7)))
    config = edit(folder, on_target_object="refuse", max_target_probability=float(most))
    jobs = planned(folder, config, "guides")
    assert "compose_guides" in jobs
    assert "inspect_templates" not in jobs.split("Reasons:")[0], "what was seen of templates is known already"
    done = snakemake(folder, config, "images")
    assert done.returncode == 0, done.stderr[-3000:]
    tables = [folder / f"results/guides/{split}/background/grass/0.parquet" for split in ("train", "val")]
    used = {template for path in tables for template in pd.read_parquet(path)["template"]}
    assert 0 < (seen > most).sum() < len(seen)
    assert used <= set(seen[seen <= most].index)
    again = script(folder, "plan", "--configfile", str(config)).stdout
    total = next(line for line in again.splitlines() if line.startswith("all "))
    assert total.split() == ["all", "32", "0", "0", "0", "0"]  # keep, reuse, make, unusable, drop


def test_a_folder_and_an_archive_are_inputs_as_a_whole(folder: Path) -> None:
    project = folder / "project"
    for split, numbers in (("train", range(3)), ("val", range(3, 5))):
        (project / "lakes" / split).mkdir(parents=True)
        for number in numbers:
            scene(number).save(project / "lakes" / split / f"lake {number}.png")
    zipped(project / "more.zip", {f"more/{number}.png": encode_png(scene(number)) for number in range(10, 16)})
    rows = [
        {"template_source": "lakes", "background": "grass", "kind": "folder", "file": "project/lakes"},
        {"template_source": "more", "background": "grass", "kind": "archive", "file": "project/more.zip"},
    ]
    table = pd.read_csv(project / "templates.csv", dtype=str, keep_default_na=False)
    pd.concat([table, pd.DataFrame(rows)]).fillna("").to_csv(project / "templates.csv", index=False)
    config, manifest = project / "config.yaml", "results/backgrounds/grass.parquet"
    done = snakemake(folder, config, manifest)
    assert done.returncode == 0, done.stderr[-3000:]
    made = pd.read_parquet(folder / manifest)
    assert made["kind"].value_counts().to_dict() == {"photo": 8, "archive": 6, "folder": 5}
    assert set(made["status"]) == {"ok"}
    assert "prepare_backgrounds" not in planned(folder, config, manifest)
    later = (folder / manifest).stat().st_mtime + 10
    scene(99).save(project / "lakes/train/new.png")
    os.utime(project / "lakes/train", (later, later))
    assert "prepare_backgrounds" in planned(folder, config, manifest)
