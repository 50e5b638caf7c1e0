"""Figures: drawn from tables alone, the same bytes each time, and never a crash for want of rows."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from d3s.drawing import svg_of
from d3s.errors import D3SError
from d3s.figures import FIGURES, over_seeds, write_figure
from d3s.result_tables import load_table
from encoder_tables import feature_map_table, training_table
from evaluation_tables import evaluation_tables


def probe_rows(seeds: tuple[object, ...] = (0, 1)) -> pd.DataFrame:
    rows = [
        {"objective": objective, "seed": seed, "features": features, "target": target, "probe": "linear"}
        | {"fitted_on": "val_crossfit", "evaluated_on": "images", "metric": "top1"}
        | {"value": 0.5, "ci_low": 0.4, "ci_high": 0.6, "chance": 0.1, "n": 48}
        for objective in ("wasserstein", "erm")
        for seed in seeds
        for features in ("foreground", "background", "all")
        for target in ("foreground", "background")
    ]
    return pd.DataFrame(rows)


def tables() -> dict[str, pd.DataFrame]:
    spurious = [
        {"objective": "erm", "seed": seed, "features": features, "pairing": "mean", "rho": rho}
        | {"method": "erm", "target": "foreground", "tested_on": tested_on, "metric": "top1"}
        | {"value": 0.9 if tested_on == "images_cor" else 0.3, "n": 12, "ci_low": 0.2, "ci_high": 0.95}
        for seed in (0, 1, "mean")
        for rho in (0, 1)
        for features in ("foreground", "all")
        for tested_on in ("images_cor", "images_anticorr")
    ]
    counts = [
        {"split": split, "background": "grass", "class_id": 0, "class_name": "cat", "status": status, "n": 3}
        for split in ("train", "val")
        for status in ("ok", "blank")
    ]
    calibration = [
        {"scope": "all", "name": "all", "kind": kind, "threshold": threshold, "n": 40, "kept": 30}
        | {"precision": 0.9, "precision_low": 0.8, "precision_high": 0.95}
        | {"recall": 1 - threshold, "recall_low": 0.0, "recall_high": 1.0, "held_out_precision": 0.85}
        for kind, threshold in (("in_force", 0.1), ("for_precision", 0.4), ("curve", 0.0), ("curve", 1.0))
    ]
    return {
        **evaluation_tables(),
        "probes": probe_rows(),
        "probes_paired": probe_rows(("mean",)).assign(value=-0.1, ci_low=-0.2, ci_high=0.0),
        "spurious": pd.DataFrame(spurious),
        "training": training_table(),
        "feature_map": feature_map_table(),
        "counts": pd.DataFrame(counts),
        "calibration": pd.DataFrame(calibration),
    }


@pytest.mark.parametrize("name", FIGURES)
def test_equal_tables_give_equal_bytes(name: str, tmp_path: Path) -> None:
    table = tables()[FIGURES[name][0]]
    for path in (tmp_path / "a" / f"{name}.svg", tmp_path / "b" / f"{name}.svg"):
        write_figure(path, table)
    text = (tmp_path / "a" / f"{name}.svg").read_text(encoding="utf-8")
    assert text == (tmp_path / "b" / f"{name}.svg").read_text(encoding="utf-8")
    assert "<metadata" not in text
    ET.fromstring(text)


@pytest.mark.parametrize("name", FIGURES)
def test_without_rows_a_figure_says_so(name: str, tmp_path: Path) -> None:
    source, columns, _ = FIGURES[name]
    write_figure(tmp_path / f"{name}.svg", load_table(tmp_path / f"{source}.csv", columns))
    assert "no rows" in (tmp_path / f"{name}.svg").read_text(encoding="utf-8")


def test_png_has_equal_bytes_too(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_figure(tmp_path / folder / "counts.png", tables()["counts"])
    assert (tmp_path / "a" / "counts.png").read_bytes() == (tmp_path / "b" / "counts.png").read_bytes()


def test_probe_figure_shows_the_papers_figures_and_ours() -> None:
    text = svg_of("probes", FIGURES["probes"][2], probe_rows())
    for shown in ("82.9 %", "93.8 %", "2.4 %", "45.6 %", "50.0 %", "40.0 to 60.0", "erm (mean of 2 seeds)"):
        assert shown in text
    assert text.index(">erm") < text.index(">wasserstein")


def test_over_seeds_takes_the_row_for_all_seeds() -> None:
    table = pd.DataFrame({"objective": "erm", "seed": ["0", "1", "mean"], "value": [0.2, 0.4, 0.3]})
    table = table.assign(ci_low=[0.0, 0.2, 0.25], ci_high=[0.4, 0.6, 0.35])
    row = over_seeds(table, ["objective"]).iloc[0]
    assert (row["value"], row["ci_low"], row["ci_high"], row["seeds"]) == (0.3, 0.25, 0.35, 2)
    assert (row["lowest"], row["highest"]) == (0.2, 0.4)


def test_over_seeds_takes_the_mean_without_such_a_row() -> None:
    table = pd.DataFrame({"objective": "erm", "seed": [0, 1], "value": [0.2, 0.4], "ci_low": [0.0, np.nan]})
    row = over_seeds(table, ["objective"]).iloc[0]
    assert row["value"] == pytest.approx(0.3)
    assert (row["ci_low"], row["seeds"]) == (0.0, 2)
    assert np.isnan(row["ci_high"])


@pytest.mark.parametrize("name", ["probe.svg", "probes.pdf"])
def test_an_unknown_figure_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(D3SError, match="no figure"):
        write_figure(tmp_path / name, probe_rows())
