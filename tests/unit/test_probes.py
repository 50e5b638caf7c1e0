"""Probes: honest folds, chance, and the tables that are built from them."""

import numpy as np
import pandas as pd
import pytest

from d3s.errors import D3SError
from d3s.features import Features
from d3s.probes import (
    Outcome,
    Probe,
    ProbeSettings,
    assign_folds,
    crossfit,
    crossfit_splits,
    nearest_table,
    paired_table,
    probe_encoder,
    score_table,
    transfer,
)

SETTINGS = ProbeSettings(folds=4, template_folds=3, resamples=200)


def planned(classes: int = 3, exemplars: int = 4, backgrounds: tuple[int, ...] = (3, 2), each: int = 3) -> pd.DataFrame:
    """A val split: every exemplar on every background, on each of its template groups in turn."""
    rows = [
        {
            "sample": f"{klass}-{exemplar}-{place}-{number}",
            "class_id": klass,
            "exemplar": f"e{klass}{exemplar}",
            "split_group": f"g{klass}{exemplar}",
            "background": f"b{place}",
            "template_group": f"b{place}:{(number + exemplar) % groups}",
        }
        for klass in range(classes)
        for exemplar in range(exemplars)
        for place, groups in enumerate(backgrounds)
        for number in range(each)
    ]
    return pd.DataFrame(rows)


def one_hot(values: pd.Series) -> np.ndarray:
    return pd.get_dummies(values).to_numpy(dtype=float)


def noise(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


@pytest.mark.parametrize("backgrounds", [(3, 2), (2, 2), (5, 2, 3)])
@pytest.mark.parametrize("exemplars", [2, 3, 7])
def test_fit_and_test_share_neither_split_group_nor_template_group(
    exemplars: int, backgrounds: tuple[int, ...]
) -> None:
    rows = planned(exemplars=exemplars, backgrounds=backgrounds, each=6)
    tested: list[int] = []
    for fit, test in crossfit_splits(rows, 5, 3, seed=0):
        for column in ("split_group", "template_group"):
            assert not set(rows[column].iloc[fit]) & set(rows[column].iloc[test])
        for column in ("class_id", "background"):
            assert set(rows[column].iloc[fit]) == set(rows[column])  # every label keeps data to fit on
        tested += test.tolist()
    assert sorted(tested) == list(range(len(rows)))


def test_folds_are_balanced_and_do_not_depend_on_the_order_of_rows() -> None:
    rows = planned(exemplars=6)
    folds = assign_folds(rows["split_group"], rows["class_id"].astype(str), 3, 0, "test")
    assert len(set(np.bincount(folds))) == 1
    order = np.random.default_rng(0).permutation(len(rows))
    mixed = rows.iloc[order]
    again = assign_folds(mixed["split_group"], mixed["class_id"].astype(str), 3, 0, "test")
    assert (again == folds[order]).all()


def test_a_probe_reads_what_is_there_and_only_that() -> None:
    rows = planned(each=6)
    labels = rows["class_id"].astype(str).to_numpy()
    readable = np.hstack([one_hot(rows["class_id"]), noise(len(rows), 5)])
    assert crossfit(readable, labels, rows, SETTINGS).correct.mean() == 1.0
    found = crossfit(noise(len(rows), 5), labels, rows, SETTINGS)
    assert abs(found.correct.mean() - 1 / 3) < 0.12
    assert abs(found.chance - 1 / 3) < 0.12


def test_knowing_the_exemplar_does_not_help() -> None:
    # The features name the cut-out and nothing that cut-outs of a class share.
    rows = planned(exemplars=4, each=6)
    names = one_hot(rows["exemplar"])
    labels = rows["class_id"].astype(str).to_numpy()
    assert crossfit(names, labels, rows, SETTINGS).correct.mean() < 0.5
    assert transfer(names, labels, names, labels, SETTINGS).correct.mean() == 1.0


def test_fits_in_the_span_of_few_rows_are_the_same_probe() -> None:
    from sklearn.linear_model import LogisticRegression

    x, new = noise(20, 50), noise(10, 50, seed=1)
    labels = np.array(["a", "b"] * 10)
    probe = Probe(x, SETTINGS)
    assert probe.fitted_on.shape[1] < 50
    scale = x.std(axis=0) * np.sqrt(50)
    plain = LogisticRegression(C=SETTINGS.regularisation, class_weight="balanced", tol=1e-6, max_iter=2000)
    expected = plain.fit((x - x.mean(axis=0)) / scale, labels).predict((new - x.mean(axis=0)) / scale)
    assert (probe.predictions(labels, probe.place(new)) == expected).all()


def test_constant_features_are_no_trouble() -> None:
    rows = planned()
    constant = np.hstack([one_hot(rows["class_id"]), np.full((len(rows), 2), 7.0)])
    labels = rows["class_id"].astype(str).to_numpy()
    assert crossfit(constant, labels, rows, SETTINGS).correct.mean() == 1.0
    assert np.isfinite(crossfit(np.zeros((len(rows), 4)), labels, rows, SETTINGS).correct).all()


def test_a_background_with_one_template_group_is_left_out_of_its_own_probe() -> None:
    rows = planned(backgrounds=(3, 2, 1))
    features = one_hot(rows["background"])
    found = crossfit(features, rows["background"].to_numpy(), rows, SETTINGS)
    assert np.isnan(found.correct[rows["background"] == "b2"]).all()
    assert (found.correct[rows["background"] != "b2"] == 1).all()
    # Its images still count where the class is asked for.
    assert not np.isnan(crossfit(features, rows["class_id"].astype(str).to_numpy(), rows, SETTINGS).correct).any()


def test_nothing_to_test_is_an_error() -> None:
    rows = planned(exemplars=1)
    with pytest.raises(D3SError, match="no picture can be tested"):
        crossfit(noise(len(rows), 3), rows["class_id"].astype(str).to_numpy(), rows, SETTINGS)


def features(objective: str, seed: int, leak: bool) -> Features:
    """An encoder whose background part shows the class only if it leaks."""
    train = planned(exemplars=5).assign(exemplar=lambda t: "t" + t["exemplar"])
    rows = {"images_train": train, "images_val": planned(), "guides_val": planned()}
    matrices = {}
    for number, (name, table) in enumerate(rows.items()):
        shown = one_hot(table["class_id"]) if leak else noise(len(table), 3, seed + number)
        matrices[name] = np.hstack([one_hot(table["class_id"]), one_hot(table["background"]), shown])
    return Features(objective, seed, 3, matrices, rows)


def test_the_tables_hold_every_probe_and_the_paired_difference() -> None:
    settings = ProbeSettings(folds=2, template_folds=2, resamples=200)
    found = {
        (objective, seed): probe_encoder(features(objective, seed, objective == "erm"), settings)
        for objective in ("erm", "wasserstein")
        for seed in (0, 1)
    }
    exemplars = {name: planned()["exemplar"].to_numpy() for name in ("images", "guides")}
    scores = score_table(found, exemplars, settings)
    assert " ".join(scores.columns) == (
        "objective seed features target probe fitted_on evaluated_on metric value ci_low ci_high chance n"
    )
    assert len(scores) == 2 * (2 + 1) * 3 * 2 * 2 * 2  # objectives, seeds and mean, parts, targets, fits, data sets
    assert set(scores["seed"]) == {"0", "1", "mean"}
    assert scores["value"].between(0, 1).all()
    assert (scores["ci_low"] <= scores["value"]).all()
    assert (scores["value"] <= scores["ci_high"]).all()

    paired = paired_table(found, exemplars, settings)
    assert set(paired["objective"]) == {"wasserstein"}
    assert set(paired["seeds"]) == {2}
    rows = paired.set_index(["features", "target", "fitted_on", "evaluated_on"])
    leak = rows.loc[("background", "foreground", "val_crossfit", "images")]
    assert leak["ci_high"] < 0
    assert leak["difference"] < -0.3
    same = rows.loc[("foreground", "foreground", "val_crossfit", "images")]
    assert same["difference"] == same["ci_low"] == same["ci_high"] == 0.0


def test_means_over_seeds_are_means_per_picture() -> None:
    key = ("all", "foreground", "train", "images")
    runs = {
        ("erm", seed): {key: Outcome(np.array([1.0, 1.0, 0.0, float(seed)]), chance=0.25 + 0.5 * seed)}
        for seed in (0, 1)
    }
    table = score_table(runs, {"images": np.array(["a", "a", "b", "b"])}, SETTINGS).set_index("seed")
    assert table.loc["mean", "value"] == 0.625
    assert table.loc["mean", "chance"] == 0.5
    assert table.loc["mean", "n"] == 4


def test_without_plain_training_there_is_nothing_to_pair_with() -> None:
    key = ("all", "foreground", "train", "images")
    runs = {("wasserstein", 0): {key: Outcome(np.ones(2), chance=0.5)}}
    assert paired_table(runs, {"images": np.array(["a", "b"])}, SETTINGS).empty


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


def test_without_guides_images_are_probed_alone() -> None:
    found = features("erm", 0, leak=False)
    for held in (found.rows, found.matrices):
        del held["guides_val"]
    assert {key[-1] for key in probe_encoder(found, ProbeSettings(folds=2, template_folds=2))} == {"images"}
    assert nearest_table(found).empty
