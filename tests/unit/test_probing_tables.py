"""All probes of encoders, and the tables that are built from them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from d3s.errors import D3SError
from d3s.features import Features
from d3s.probing.encoder_probes import Key, Outcome, probe_encoder, rows_of
from d3s.probing.goals import leakage_table, usefulness_table, verdict
from d3s.probing.nearest import nearest_table
from d3s.probing.settings import ProbeSettings
from d3s.probing.tables import METRICS, Outcomes, paired_table, score_table
from probe_data import encoder, noise, planned

SETTINGS = ProbeSettings(probes=("linear",), folds=2, template_folds=2, permutations=2)


@pytest.fixture(scope="module")
def outcomes() -> Outcomes:
    return {
        (objective, seed): probe_encoder(encoder(objective, seed, objective == "erm"), SETTINGS)
        for objective in ("erm", "wasserstein", "hsic")
        for seed in (0, 1)
    }


@pytest.fixture(scope="module")
def rows() -> dict[str, pd.DataFrame]:
    return rows_of(encoder("erm", 0, leak=True))


def test_scores_hold_every_probe_and_metric(outcomes: Outcomes, rows: dict[str, pd.DataFrame]) -> None:
    scores = score_table(outcomes, rows)
    assert " ".join(scores.columns) == (
        "objective seed features target probe fitted_on evaluated_on metric value ci_low ci_high chance n clusters"
    )
    # Objectives, seeds and their mean, parts, targets, data sets; all metrics inside val and two from train to val.
    assert len(scores) == 3 * (2 + 1) * 3 * 2 * 2 * (len(METRICS) + 2)
    assert set(scores["seed"]) == {"0", "1", "mean"}
    assert (scores["ci_low"] <= scores["value"] + 1e-9).all()
    assert (scores["value"] <= scores["ci_high"] + 1e-9).all()
    shares = scores[scores["metric"].isin(["top1", "control"])]
    assert shares[["value", "ci_low", "ci_high"]].stack().between(0, 1).all()
    assert (scores["chance"].notna() == (scores["metric"] == "top1")).all()
    assert set(scores["clusters"]) == {5}  # five panoramas, fewer than the twelve exemplars


def test_what_a_part_shows_is_read_and_nothing_else(outcomes: Outcomes, rows: dict[str, pd.DataFrame]) -> None:
    scores = score_table(outcomes, rows).set_index(
        ["objective", "seed", "features", "target", "fitted_on", "evaluated_on", "metric"]
    )["value"]
    inside = ("val_crossfit", "images")
    assert scores[("wasserstein", "mean", "foreground", "foreground", *inside, "top1")] == 1.0
    assert scores[("wasserstein", "mean", "foreground", "foreground", *inside, "v_information")] > 1.2  # of 1.58 bits
    assert scores[("erm", "mean", "background", "foreground", *inside, "top1")] == 1.0
    assert scores[("wasserstein", "mean", "background", "foreground", *inside, "top1")] < 0.5
    assert scores[("wasserstein", "mean", "background", "foreground", *inside, "v_information")] < 0.1
    assert scores[("wasserstein", "mean", "foreground", "foreground", *inside, "compression")] > 1.5
    assert scores[("wasserstein", "mean", "background", "foreground", *inside, "compression")] < 1.1
    given = ("erm", "0", "all", "foreground", *inside)
    assert scores[(*given, "selectivity")] == pytest.approx(scores[(*given, "top1")] - scores[(*given, "control")])


def test_objectives_are_paired_with_both_baselines(outcomes: Outcomes, rows: dict[str, pd.DataFrame]) -> None:
    paired = paired_table(outcomes, rows)
    assert {tuple(pair) for pair in paired[["objective", "baseline"]].to_numpy()} == {
        ("wasserstein", "erm"),
        ("hsic", "erm"),
        ("hsic", "wasserstein"),
    }
    assert set(paired["seeds"]) == {2}
    own = paired[(paired["metric"] == "top1") & (paired["fitted_on"] == "val_crossfit")].set_index(
        ["objective", "baseline", "features", "target", "evaluated_on"]
    )
    leak = own.loc[("wasserstein", "erm", "background", "foreground", "images")]
    assert leak["ci_high"] < 0
    assert leak["difference"] < -0.3
    same = own.loc[("hsic", "wasserstein", "background", "foreground", "images")]
    assert same["difference"] == same["ci_low"] - same["ci_low"] == 0.0


def test_goals_hold_are_missed_or_stay_open(outcomes: Outcomes, rows: dict[str, pd.DataFrame]) -> None:
    leakage = leakage_table(outcomes, rows).set_index(["objective", "part", "fitted_on", "dataset"])
    assert len(leakage) == 3 * 2 * 2 * 2
    leaky = leakage.loc[("erm", "background", "val_crossfit", "images")]
    assert leaky["holds"] == "no"
    assert leaky["goal"] == 0.05
    assert leaky["upper_minus_chance"] == pytest.approx(leaky["ci_high"] - leaky["chance"])
    assert leakage.loc[("hsic", "background", "val_crossfit", "images"), "holds"] in ("yes", "unresolved")
    useful = usefulness_table(outcomes, rows)
    assert set(useful["holds"]) == {"yes"}
    assert (useful["value"] == 1.0).all()


@pytest.mark.parametrize(
    ("low", "high", "below", "expected"),
    [
        (0.1, 0.2, True, "yes"),
        (0.1, 0.4, True, "unresolved"),
        (0.35, 0.4, True, "no"),
        (0.35, 0.4, False, "yes"),
        (0.1, 0.4, False, "unresolved"),
        (0.1, 0.2, False, "no"),
        (float("nan"), float("nan"), True, "unresolved"),
    ],
)
def test_a_goal_of_thirty_per_cent(low: float, high: float, below: bool, expected: str) -> None:
    assert verdict(low, high, 0.3, below) == expected


def test_means_over_seeds_are_means_per_picture() -> None:
    key = Key("all", "foreground", "linear", "train", "images")
    runs: Outcomes = {
        ("erm", seed): {
            key: Outcome({"top1": np.array([1.0, 1, 0, seed]), "chance": np.full(4, 0.25 + 0.5 * seed)}, labels=2)
        }
        for seed in (0, 1)
    }
    frame = pd.DataFrame({"split_group": ["a", "a", "b", "b"], "template_group": ["t", "u", "t", "u"]})
    table = score_table(runs, {"images": frame}).set_index("seed")
    assert table.loc["mean", "value"] == 0.625
    assert table.loc["mean", "chance"] == 0.5
    assert table.loc["mean", "n"] == 4


def test_without_a_baseline_there_is_nothing_to_pair_with(outcomes: Outcomes, rows: dict[str, pd.DataFrame]) -> None:
    alone = {key: found for key, found in outcomes.items() if key[0] == "hsic"}
    assert paired_table(alone, rows).empty
    assert usefulness_table(alone, rows).empty


def test_the_same_features_give_the_same_numbers(outcomes: Outcomes) -> None:
    again = probe_encoder(encoder("erm", 0, leak=True), SETTINGS)
    for key, outcome in outcomes["erm", 0].items():
        for metric, values in outcome.metrics.items():
            assert values.tobytes() == again[key].metrics[metric].tobytes(), (key, metric)


def test_knowing_the_exemplar_does_not_help() -> None:
    # The features name the cut-out and nothing that cut-outs of a class share.
    found = encoder("erm", 0, leak=False)
    for name, table in found.rows.items():
        found.matrices[name] = np.hstack(
            [pd.get_dummies(table["exemplar"]).to_numpy(float)[:, :12], noise(len(table), 3)]
        )
    scores = probe_encoder(found, SETTINGS)[Key("all", "foreground", "linear", "val_crossfit", "images")].metrics
    assert scores["top1"].mean() < 0.5
    assert scores["control"].mean() > 0.8
    assert scores["selectivity"].mean() < 0


def test_a_background_with_one_template_group_is_left_out_of_its_own_probe() -> None:
    found = encoder("erm", 0, leak=False)
    val = planned(backgrounds=(3, 1))
    for name in ("images_val", "guides_val"):
        found.rows[name] = val
    scores = probe_encoder(found, SETTINGS)
    alone = (val["background"] == "b1").to_numpy()
    told = scores[Key("all", "background", "linear", "val_crossfit", "images")].metrics["top1"]
    assert np.isnan(told[alone]).all()
    assert not np.isnan(told[~alone]).any()
    # Its images still count where the class is asked for, and where probes were fitted on train.
    assert not np.isnan(scores[Key("all", "foreground", "linear", "val_crossfit", "images")].metrics["top1"]).any()
    assert not np.isnan(scores[Key("all", "background", "linear", "train", "images")].metrics["top1"]).any()


def test_nothing_to_test_is_an_error() -> None:
    found = encoder("erm", 0, leak=False)
    val = planned(exemplars=1)
    for name in ("images_val", "guides_val"):
        found.rows[name], found.matrices[name] = val, found.matrices[name][: len(val)]
    with pytest.raises(D3SError, match="no picture can be tested"):
        probe_encoder(found, SETTINGS)


def test_features_that_are_not_numbers_are_named() -> None:
    found = encoder("erm", 3, leak=False)
    found.matrices["images_val"][4, 2] = np.nan
    with pytest.raises(
        D3SError, match=f"erm, seed 3, are not finite for 1 of images_val, such as {planned()['sample'][4]}"
    ):
        probe_encoder(found, SETTINGS)


def test_a_data_set_without_pictures_is_named() -> None:
    found = encoder("erm", 0, leak=False)
    found.matrices["images_train"] = found.matrices["images_train"][:0]
    with pytest.raises(D3SError, match="images of train"):
        probe_encoder(found, SETTINGS)


def test_constant_features_score_as_chance_does() -> None:
    found = encoder("erm", 0, leak=False)
    for name, matrix in found.matrices.items():
        found.matrices[name] = np.zeros_like(matrix)
    for probe in ("linear", "mlp", "knn"):
        scores = probe_encoder(found, replace(SETTINGS, probes=(probe,)))
        for outcome in scores.values():
            assert np.isfinite(outcome.metrics["top1"]).all()
            if probe != "knn":  # of equally near rows any may be the neighbours
                assert np.abs(outcome.metrics["v_information"]).max() < 0.05


def test_without_guides_images_are_probed_alone() -> None:
    found = encoder("erm", 0, leak=False)
    for held in (found.rows, found.matrices):
        del held["guides_val"]
    assert {key.evaluated_on for key in probe_encoder(found, SETTINGS)} == {"images"}
    assert nearest_table(found).empty


def test_nearest_counts_images_that_left_their_guide() -> None:
    names = ["a", "b", "c", "d"]
    guides = pd.DataFrame({"sample": names, "exemplar": [f"e{name}" for name in names]})
    rows = {
        "guides_val": guides,
        "images_val": guides,
        "images_train": pd.DataFrame({"sample": ["t", "u"], "exemplar": ["et", "eu"]}),
    }

    def shares(images: np.ndarray) -> dict[str, float]:
        matrices = {
            "guides_val": np.eye(4, 5),
            "images_val": images + 9.0,  # 9 stands for what the generator does to all of its images
            "images_train": np.array([[0.0, 0, 0, 0, 2], [0, 0, 0, 0, -2]]) + 9.0,
        }
        table = nearest_table(Features("erm", 0, 2, matrices, rows)).set_index("measure")
        assert set(table["n"]) == {4}
        return table["value"].to_dict()

    faithful = np.eye(4, 5)
    assert set(shares(faithful).values()) == {0.0}
    learnt = faithful.copy()
    learnt[2] = [0, 0, 0, 0, 1]  # image c shows the train exemplar
    found = shares(learnt)
    assert found["nearer_to_a_train_image"] == found["nearer_to_a_train_exemplar"] == 0.25
    assert found["nearer_to_another_guide"] == 0.0
    swapped = faithful.copy()
    swapped[3] = swapped[0]  # image d shows what the guide of a shows
    assert shares(swapped)["nearer_to_another_guide"] == 0.25
