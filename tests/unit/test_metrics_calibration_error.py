import numpy as np
import pandas as pd
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from d3s.metrics.calibration_error import (
    BINS,
    adaptive_bins,
    calibration_table,
    ece,
    equal_width_bins,
    reliability_table,
)
from d3s.metrics.estimates import Bootstrap
from judged import judged_rows

BOOTSTRAP = Bootstrap(seed=0, resamples=300)


def answers(confidence: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    return judged_rows([{"confidence": c, "top1": float(r)} for c, r in zip(confidence, right, strict=True)])


def of(table: pd.DataFrame, metric: str) -> float:
    return float(table.loc[(table["metric"] == metric) & (table["background"] == "all"), "value"].iloc[0])


def test_the_error_is_that_of_torchmetrics() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(8, 0.3), 400)
    labels = np.array([rng.choice(8, p=row) for row in probabilities])
    expected = multiclass_calibration_error(
        torch.tensor(probabilities), torch.tensor(labels), 8, n_bins=BINS, norm="l1"
    )
    table = calibration_table(answers(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels), BOOTSTRAP)
    assert of(table, "ece") == pytest.approx(float(expected), abs=1e-6)


def test_the_error_by_hand() -> None:
    confidence, right = np.array([0.95, 0.95, 0.55, 0.55]), np.array([1.0, 0, 1, 0])
    assert ece(confidence, right, equal_width_bins(confidence)) == pytest.approx((0.45 + 0.05) / 2)
    table = calibration_table(answers(confidence, right), BOOTSTRAP)
    assert of(table, "overconfidence") == pytest.approx(0.25)


def test_bins_are_closed_above() -> None:
    assert equal_width_bins(np.array([0.0, 1 / 15, 1 / 15 + 1e-9, 1.0])).tolist() == [0, 0, 1, 14]


def test_adaptive_bins_hold_equally_many_and_keep_ties_together() -> None:
    confidence = np.random.default_rng(0).random(150)
    assert np.bincount(adaptive_bins(confidence)).tolist() == [10] * 15
    assert len(set(adaptive_bins(np.full(20, 0.3)))) == 1


def test_a_calibrated_classifier_errs_no_more_than_chance() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.2, 1, 300)
    table = calibration_table(answers(confidence, rng.random(300) < confidence), BOOTSTRAP)
    row = table[(table["metric"] == "ece") & (table["background"] == "all")].iloc[0]
    assert of(table, "ece") == pytest.approx(of(table, "ece_by_chance"), abs=0.03)
    assert of(table, "ece_by_chance") > 0.03, "an error is never negative, so chance alone makes one"
    assert row["ci_low"] <= row["value"] <= row["ci_high"]


def test_reliability_is_bin_by_bin() -> None:
    confidence, right = np.array([0.95, 0.96, 0.55, 0.55]), np.array([1.0, 0, 1, 1])
    table = reliability_table(answers(confidence, right), BOOTSTRAP)
    bins = table[table["binning"] == "equal_width"]
    assert bins["n"].tolist() == [2, 2]
    assert bins["accuracy"].tolist() == [1.0, 0.5]
    assert bins["confidence"].tolist() == pytest.approx([0.55, 0.955])
    assert bins["low"].tolist() == pytest.approx([8 / 15, 14 / 15])
