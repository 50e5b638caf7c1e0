import numpy as np
import pandas as pd
import pytest
import torch
from torchmetrics.functional.classification import binary_accuracy

from d3s.metrics.background_effects import drop_rows, partners, sampling_variance, spread_rows
from d3s.metrics.estimates import Bootstrap
from d3s.metrics.resampling import Clusters
from judged import judged_rows, matched, simulated

BOOTSTRAP = Bootstrap(seed=0, resamples=500)
RIGHT = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 0]], dtype=float)


def of(table: pd.DataFrame, metric: str, background: str = "all") -> pd.Series:
    rows = table[(table["metric"] == metric) & (table["background"] == background)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_the_drop_against_guides_is_paired_picture_by_picture() -> None:
    guides = matched(np.array([[1.0, 1, 1], [1, 1, 1], [1, 1, 1], [1, 0, 0]]), dataset="guides")
    table = drop_rows(matched(RIGHT), guides, BOOTSTRAP)
    row = of(table, "drop_top1")
    assert row["value"] == pytest.approx(10 / 12 - 7 / 12)
    assert (row["reference"], row["detail"], row["n"]) == ("guides", "paired", 12)
    assert of(table, "drop_top1", "grass")["value"] == pytest.approx(1 - 3 / 4)


def test_pictures_without_a_partner_are_left_out_of_a_paired_drop() -> None:
    guides = matched(np.array([[1, 1, 1], [np.nan, 1, 1], [1, 1, 1], [1, 0, 0]]), dataset="guides")
    row = of(drop_rows(matched(RIGHT), guides, BOOTSTRAP), "drop_top1")
    assert row["n"] == 11
    assert row["value"] == pytest.approx((9 - 6) / 11)


def test_the_drop_against_cut_outs_takes_the_sets_only_picture() -> None:
    rows = [{"matched_set": f"s{n:04d}", "top1": top1, "background": "grey"} for n, top1 in enumerate([1, 1, 0, 0])]
    cutouts = judged_rows(rows, dataset="cutouts")
    row = of(drop_rows(matched(RIGHT), cutouts, BOOTSTRAP), "drop_top1")
    assert row["value"] == pytest.approx((3 + 3 + 0 + 0) / 12 - 7 / 12)
    assert row["detail"] == "paired"


def test_pairing_makes_a_drop_surer() -> None:
    rng = np.random.default_rng(0)
    right, _ = simulated(rng, 40, np.array([0.5, 0.5, 0.5]), exemplar=2.0)
    guides = np.maximum(right, rng.random(right.shape) < 0.3)
    paired = of(drop_rows(matched(right), matched(guides, dataset="guides"), BOOTSTRAP), "drop_top1")
    strangers = matched(guides, dataset="guides")
    strangers["matched_set"] = "t" + strangers["matched_set"]
    strangers["cluster"] = strangers["matched_set"]
    apart = of(drop_rows(matched(right), strangers, BOOTSTRAP), "drop_top1")
    assert apart["detail"] == "unpaired"
    assert apart["value"] == pytest.approx(paired["value"])
    assert paired["ci_high"] - paired["ci_low"] < 0.7 * (apart["ci_high"] - apart["ci_low"])


def test_other_classes_are_told_of() -> None:
    imagenet = judged_rows([{"top1": 1.0, "class_id": 4}, {"top1": 0.0, "class_id": 5}], dataset="imagenet_val")
    row = of(drop_rows(matched(RIGHT), imagenet, BOOTSTRAP), "drop_top1")
    assert row["detail"] == "unpaired, other classes"
    assert row["value"] == pytest.approx(0.5 - 7 / 12)


def test_data_sets_without_common_sets_have_no_partners() -> None:
    assert partners(matched(RIGHT), judged_rows([{"top1": 1.0}])) is None


def test_effects_are_within_sets_and_add_up_to_nothing() -> None:
    table = spread_rows(matched(RIGHT), BOOTSTRAP)
    effects = table[table["metric"] == "effect"].set_index("background")["value"]
    assert effects.to_dict() == pytest.approx({"grass": 0.75 - 7 / 12, "night": 0.5 - 7 / 12, "water": 0.5 - 7 / 12})
    assert effects.sum() == pytest.approx(0)


def test_spread_and_worst_background() -> None:
    table = spread_rows(matched(np.vstack([RIGHT, [[1, 0, 1]]])), BOOTSTRAP)
    assert of(table, "spread")["value"] == pytest.approx(0.8 - 0.4)
    assert of(table, "sd")["value"] == pytest.approx(np.std([0.8, 0.4, 0.6], ddof=1))
    worst = of(table, "worst_background", "night")
    expected = binary_accuracy(torch.tensor([1, 0, 1, 0, 0]), torch.ones(5, dtype=torch.int))
    assert worst["value"] == pytest.approx(float(expected))
    assert "% of draws" in worst["detail"]


def test_sets_that_lack_a_background_are_left_out_of_the_spread() -> None:
    right = np.vstack([RIGHT, [[0, np.nan, 1]]])
    row = of(spread_rows(matched(right), BOOTSTRAP), "spread")
    assert (row["n"], row["value"]) == (4, pytest.approx(0.25))


def test_if_backgrounds_do_nothing_the_spread_is_what_chance_gives() -> None:
    right, own = simulated(np.random.default_rng(5), 40, np.zeros(3), interaction=0.0)
    table = spread_rows(matched(right, exemplars=[f"e{e}" for e in own]), BOOTSTRAP)
    spread, chance = of(table, "spread"), of(table, "spread_by_chance")
    assert chance["ci_low"] <= spread["value"] <= chance["ci_high"]
    assert spread["p_value"] > 0.05
    assert of(table, "sd_corrected")["value"] < of(table, "sd")["value"]


def test_if_one_background_matters_the_permutation_test_says_so() -> None:
    right, own = simulated(np.random.default_rng(5), 40, np.array([0.0, 0.0, 1.5]))
    spread = of(spread_rows(matched(right, exemplars=[f"e{e}" for e in own]), BOOTSTRAP), "spread")
    assert spread["p_value"] < 0.01
    assert spread["ci_low"] > 0.1


def test_the_corrected_variance_between_backgrounds_is_unbiased() -> None:
    """On average over simulated data sets of 24 exemplars it is the variance of the true accuracies."""
    means = np.array([0.0, 0.3, 0.6])
    truth = simulated(np.random.default_rng(0), 200_000, means)[0].mean(axis=0).var(ddof=1)
    naive, corrected = [], []
    for seed in range(1500):
        right, own = simulated(np.random.default_rng(seed + 1), 24, means)
        drawn = Clusters([f"e{e}" for e in own], 0, 1)
        sums, sizes = drawn.sums(right), drawn.sizes()
        naive.append(right.mean(axis=0).var(ddof=1))
        added = sampling_variance(lambda w, s=sums, n=sizes: (w @ s) / (w @ n)[:, None], drawn.groups)  # type: ignore
        corrected.append(naive[-1] - added)
    assert np.mean(corrected) == pytest.approx(truth, rel=0.1)
    assert np.mean(naive) > 1.2 * truth


def test_without_matched_sets_classes_weigh_alike_on_every_background() -> None:
    """Class 0 is easy and stands mostly on water: water is not easier for that."""
    rows = [
        *({"class_id": 0, "background": "water", "top1": 1.0} for _ in range(30)),
        *({"class_id": 0, "background": "land", "top1": 1.0} for _ in range(10)),
        *({"class_id": 1, "background": "water", "top1": float(n < 5)} for n in range(10)),
        *({"class_id": 1, "background": "land", "top1": float(n < 15)} for n in range(30)),
        *({"class_id": 2, "background": "land", "top1": 0.0} for n in range(5)),
    ]
    table = spread_rows(judged_rows(rows, dataset="waterbirds"), BOOTSTRAP)
    assert of(table, "spread")["value"] == pytest.approx(0)
    assert of(table, "worst_background", "land")["value"] == pytest.approx(0.75)
    assert of(table, "spread")["detail"] == "pictures, classes weighing alike"
    assert of(table, "spread")["n"] == 80, "class 2 does not stand on water"


def test_a_single_background_has_no_spread() -> None:
    assert spread_rows(judged_rows([{"background": "grass"}]), BOOTSTRAP).empty
