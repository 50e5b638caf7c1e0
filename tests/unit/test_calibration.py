"""The screen held against people: what it keeps, how right that is, and where to set it."""

import numpy as np
import pandas as pd
import pytest

from d3s.calibration import COLUMNS, calibrate, choose_threshold, judged_by_people, kept_by_screen


def manifest(count: int = 400, seed: int = 0) -> pd.DataFrame:
    """Images whose object people see as often as the screen's probability says."""
    rng = np.random.default_rng(seed)
    probability = rng.random(count)
    good = rng.random(count) < probability
    return pd.DataFrame(
        {
            "exemplar": [f"e{n % 40}" for n in range(count)],
            "class_id": 1,
            "class_name": np.where(rng.random(count) < 0.5, "ball", "box"),
            "background": "grass",
            "super_top1": pd.array(np.where(probability > 0.9, 1, 0), dtype="Int64"),
            "super_probability": probability,
            "decision": np.where(good, "accepted", "rejected"),
            "verified_by": "human",
        }
    )


def test_only_what_people_decided_and_a_classifier_scored_is_used() -> None:
    table = manifest(4)
    table.loc[0, "verified_by"] = "model"
    table.loc[1, "super_probability"] = None
    assert judged_by_people(table).index.tolist() == [2, 3]


def test_an_image_is_kept_if_its_class_comes_first_or_is_probable_enough() -> None:
    rows = manifest(3).assign(super_top1=pd.array([1, 0, 0], dtype="Int64"), super_probability=[0.1, 0.3, 0.2])
    assert kept_by_screen(rows, 0.25).tolist() == [True, True, False]


def test_the_chosen_threshold_is_the_lowest_that_is_precise_enough() -> None:
    rows = judged_by_people(manifest())
    chosen = choose_threshold(rows, 0.8)
    kept = kept_by_screen(rows, chosen)
    assert rows.loc[kept, "good"].mean() >= 0.8
    below = rows.loc[~kept, "super_probability"].max()
    assert rows.loc[kept_by_screen(rows, below), "good"].mean() < 0.8
    assert np.isnan(choose_threshold(rows, 1.01)), "nothing is as precise as that"


def test_the_table_has_precision_and_recall_by_class_and_background() -> None:
    table = calibrate(manifest(), threshold=0.5, precision=0.8, seed=1, resamples=200)
    assert table.columns.tolist() == COLUMNS
    assert table[table["kind"] == "in_force"][["scope", "name"]].values.tolist() == [
        ["all", "all"],
        ["class", "ball"],
        ["class", "box"],
        ["background", "grass"],
    ]
    row = table.iloc[0]
    people = manifest()
    kept, good = people["super_probability"] >= 0.5, people["decision"] == "accepted"
    assert row["precision"] == pytest.approx((kept & good).sum() / kept.sum())
    assert row["recall"] == pytest.approx((kept & good).sum() / good.sum())
    assert row["precision_low"] < row["precision"] < row["precision_high"]
    wanted = table[table["kind"] == "for_precision"].iloc[0]
    assert wanted["precision"] >= 0.8
    assert 0.7 < wanted["held_out_precision"] < 0.9
    curve = table[table["kind"] == "curve"]
    assert curve["recall"].is_monotonic_decreasing
    pd.testing.assert_frame_equal(calibrate(manifest(), 0.5, 0.8, 1, 200), table)


def test_while_votes_are_missing_nothing_is_measured() -> None:
    """Under a veto one person rejects and five accept, so what is decided first is what is bad."""
    table = manifest()
    table.loc[table.index[:100], ["decision", "verified_by"]] = ["undecided", "model"]
    found = calibrate(table, 0.5, 0.8, 1, 200)
    assert found["kind"].eq("in_force").all()
    assert found.loc[0, ["n", "undecided"]].tolist() == [300, 100]
    assert found["precision"].isna().all()
    table.loc[table.index[10:100], ["decision", "verified_by"]] = ["accepted", "human"]
    assert calibrate(table, 0.5, 0.8, 1, 200).loc[0, "precision"] > 0


def test_without_people_there_is_nothing_to_calibrate() -> None:
    table = calibrate(manifest().assign(verified_by="model"), 0.5, 0.8, 1, 200)
    assert table.empty
    assert table.columns.tolist() == COLUMNS


def test_a_precision_out_of_reach_is_told_as_such() -> None:
    table = calibrate(manifest().assign(decision="rejected"), 0.5, 0.95, 1, 200)
    wanted = table[table["kind"] == "for_precision"].iloc[0]
    assert wanted["kept"] == 0
    assert np.isnan([wanted["threshold"], wanted["precision"], wanted["recall"]]).all()
