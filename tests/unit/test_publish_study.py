"""A study is kept without its single seeds, with figures and with what determined it; whole or not at all."""

import json
from pathlib import Path

import pandas as pd
import pytest

from encoder_tables import feature_map_table, training_table
from running import script

KEY = {"objective": "erm", "features": "foreground", "target": "background", "fitted_on": "val_crossfit"}
KEY |= {"probe": "linear", "evaluated_on": "images"}
FIGURES = {"probes", "tradeoff", "leakage", "rho", "spurious", "training", "feature_map"}


def write_results(folder: Path) -> Path:
    """Tables of a study with seeds 0, 1 and their mean, one encoder and a manifest."""
    found = {"value": 0.4, "ci_low": 0.3, "ci_high": 0.5, "chance": 0.2, "n": 9, "clusters": 3}
    probes = [
        KEY | found | {"seed": seed, "metric": metric} for seed in ("0", "1", "mean") for metric in ("top1", "control")
    ]
    goal = {"dataset": "images", "holds": "no", "upper_minus_chance": 0.3}
    sides = [{"part": part} for part in ("foreground", "background")]
    kinds = [{"probe": "linear"}, {"probe": "mlp"}]
    correlation = {"pairing": "mean", "rho": 1, "method": "erm", "tested_on": "images_anticorr", "metric": "top1"}
    tables = {
        "probes": pd.DataFrame(probes),
        "probes_paired": pd.DataFrame([KEY | {"baseline": "erm", "metric": "top1"} | found]),
        "leakage": pd.DataFrame([KEY | found | goal | side | probe for side in sides for probe in kinds]),
        "usefulness": pd.DataFrame([KEY | found | goal | side for side in sides]),
        "spurious": pd.DataFrame([KEY | correlation | found | {"seed": seed} for seed in ("0", "mean")]),
        "training": training_table(),
        "feature_map": feature_map_table(),
    }
    (folder / "tables").mkdir(parents=True)
    for name, table in tables.items():
        table.to_csv(folder / "tables" / f"{name}.csv", index=False)
    config = {"seed": 1, "encoders": {"seeds": [0, 1]}, "probes": {}, "correlation": {}, "store": "/somewhere"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "encoders/erm/0").mkdir(parents=True)
    (folder / "encoders/erm/0/encoder.json").write_text(json.dumps({"versions": {"torch": "2.14.1"}}))
    (folder / "validation").mkdir()
    pd.DataFrame({"sample": ["a", "b"]}).to_parquet(folder / "validation/manifest.parquet")
    return folder


def publish(folder: Path) -> str:
    """Publish; gives what was said if it failed."""
    arguments = ("--results", "results", "--benchmarks", "benchmarks", "--output", "study")
    return script(folder, "publish_study", *arguments).stderr if not (folder / "study").exists() else ""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_results(folder / "results")
    said = publish(folder)
    assert (folder / "study").is_dir(), said
    return folder / "study"


def test_means_over_seeds_are_kept(study: Path) -> None:
    probes = pd.read_csv(study / "probes.csv")
    assert probes[["seed", "metric"]].values.tolist() == [["mean", "top1"]]
    assert pd.read_csv(study / "spurious.csv")["seed"].tolist() == ["mean"]


def test_verdicts_stand_beside_them(study: Path) -> None:
    assert "no (+30.0)" in (study / "verdicts.md").read_text()


def test_figures_stand_beside_them(study: Path) -> None:
    assert {path.stem for path in study.glob("*.svg")} == FIGURES


def test_the_provenance_names_settings_and_versions_and_no_places(study: Path) -> None:
    text = (study / "provenance.json").read_text()
    about = json.loads(text)
    assert about["config"]["encoders"] == {"seeds": [0, 1]}
    assert about["versions"]["torch"] == "2.14.1"
    assert about["manifest_rows"] == 2
    assert "/somewhere" not in text


def test_a_table_that_can_t_be_read_leaves_nothing(tmp_path: Path) -> None:
    write_results(tmp_path / "results")
    (tmp_path / "results/tables/leakage.csv").write_text("objective\nerm\n")
    assert "lacks the column 'value'" in publish(tmp_path)
    assert not (tmp_path / "study").exists()
