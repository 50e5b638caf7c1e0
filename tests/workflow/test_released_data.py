"""A released data set in place of generated images: what follows is the same, and nothing is said that is not known."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from released import make_released_project, write_metadata
from running import script, snakemake
from tiny import ROOT

SAMPLE = "val-background-road-00001-00001"


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that imported, screened, classified, asked and exported."""
    folder = tmp_path_factory.mktemp("released") / "run"
    config = make_released_project(folder / "project", per_cell=2)
    done = snakemake(folder, config, "classifiers", "annotation", "dataset")
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_every_record_has_a_row_and_is_judged(imported: Path) -> None:
    manifest = pd.read_parquet(imported / "results/validation/manifest.parquet")
    assert manifest.groupby(["split", "class_id", "background"]).size().tolist() == [2] * 8
    assert manifest["accepted"].all()
    assert set(manifest["verified_by"]) == {"model"}
    assert manifest["matched_set"].is_unique
    assert not manifest["set_complete"].any()
    # the second picture of each class and background shows no guide
    assert manifest.loc[manifest["guide_digest"] == "", "guide_distance"].isna().all()
    assert (manifest["guide_digest"] != "").sum() == manifest["guide_distance"].notna().sum() == 8


def test_classifiers_see_all_images_and_the_guides_that_there_are(imported: Path) -> None:
    table = pd.read_csv(imported / "results/tables/classifiers.csv")
    table = table[(table["background"] == "all") & (table["metric"] == "top1")]
    assert table.groupby("dataset")["n"].first().to_dict() == {"guides": 4, "images": 8, "images_accepted": 8}


def test_people_are_asked_without_examples_and_the_card_says_what_is_imported(imported: Path) -> None:
    assert (imported / "results/annotation/pages/batch-0001.html").exists()
    card = (imported / "results/dataset/README.md").read_text()
    assert "the images are those of its authors" in card
    assert "taken over from the data set that the authors of the method released" in card


def test_a_second_run_does_nothing(imported: Path) -> None:
    again = snakemake(imported, imported / "project/config.yaml", "classifiers", "dataset")
    assert "Nothing to be done" in again.stdout + again.stderr


def test_an_imported_image_is_explained_but_can_not_be_made_again(imported: Path) -> None:
    config = ["--configfile", str(imported / "project/config.yaml")]
    told = script(imported, "explain", SAMPLE, *config)
    assert told.returncode == 0, told.stderr
    for words in ("background-shift/7.png", "a photo of a carton, on a road", "logs/import_released"):
        assert words in told.stdout
    again = script(imported, "remake", SAMPLE, *config)
    assert again.returncode == 1
    assert "imported from a released data set" in again.stderr
    plan = script(imported, "plan", *config)
    assert plan.returncode == 1
    assert "snakemake --dry-run tells the jobs" in plan.stderr
    garbage = script(imported, "collect_garbage", "--dry-run", *config)
    assert "0 images, scores and files that nothing wants would go" in garbage.stderr


def test_a_folder_without_metadata_stops_before_any_job(imported: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((imported / "project/config.yaml").read_text())
    config["released"]["folder"] = "nowhere"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    stopped = snakemake(tmp_path, tmp_path / "config.yaml", "--dry-run")
    assert stopped.returncode != 0
    said = stopped.stdout + stopped.stderr
    assert "the released data set lacks nowhere/train/metadata.json" in said
    assert "Traceback" not in said


def test_the_shipped_example_plans_on_a_folder_of_the_data_set(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    for split in ("train", "val"):
        write_metadata(tmp_path / "resources/d3s", split, [])
    planned = snakemake(
        tmp_path, ROOT / "config/examples/released.yaml", "report", "dataset", "--dry-run", "--quiet", "rules"
    )
    assert planned.returncode == 0, planned.stderr
    assert "import_released" in planned.stdout + planned.stderr
