"""D3S-cor and D3S-anticorr: the pairing, the two sets, and what a classifier that leans on the background does."""

import numpy as np
import pandas as pd
import pytest

from d3s.errors import D3SError
from d3s.features import Features
from d3s.probes import ProbeSettings
from d3s.spurious import COLUMNS, pair_classes, select, spurious_rows, spurious_table

BACKGROUNDS = ["cave", "grass", "road", "water"]


def test_the_pairing_is_one_to_one_while_backgrounds_last() -> None:
    for seed in range(20):
        pairing = pair_classes([0, 1, 2, 5], BACKGROUNDS, seed)
        assert sorted(pairing) == [0, 1, 2, 5]  # class 0 is a class
        assert sorted(pairing.values()) == BACKGROUNDS
    assert len({tuple(pair_classes([0, 1, 2, 5], BACKGROUNDS, seed).items()) for seed in range(20)}) > 5


def test_more_classes_than_backgrounds_share_them_evenly() -> None:
    shared = pd.Series(pair_classes(list(range(10)), BACKGROUNDS, 0)).value_counts()
    assert set(shared.index) == set(BACKGROUNDS)
    assert shared.max() - shared.min() <= 1


def test_the_pairing_depends_on_the_seed_and_the_names_not_on_their_order() -> None:
    assert pair_classes([2, 0, 1], BACKGROUNDS[::-1], 3) == pair_classes([0, 1, 2], BACKGROUNDS, 3)


def test_one_background_cannot_be_decorrelated() -> None:
    with pytest.raises(D3SError, match="at least two backgrounds"):
        pair_classes([0, 1], ["grass"], 0)


def grid(each: int) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"sample": f"{klass}-{place}-{n}", "class_id": klass, "background": place, "exemplar": f"e{klass}{n}"}
            for klass in range(3)
            for place in BACKGROUNDS
            for n in range(each)
        ]
    )


def test_cor_holds_each_class_on_its_background_and_anticorr_on_the_others() -> None:
    rows = grid(2)
    pairing = {0: "grass", 1: "road", 2: "water"}
    cor, anticorr = (rows.iloc[select(rows, pairing, name)] for name in ("cor", "anticorr"))
    assert len(cor) == 6
    assert all(pairing[klass] == place for klass, place in zip(cor["class_id"], cor["background"], strict=True))
    assert len(anticorr) == 3 * 2 * 2
    assert all(pairing[k] != place for k, place in zip(anticorr["class_id"], anticorr["background"], strict=True))
    assert "cave" not in set(anticorr["background"])  # no class has it, so no classifier could name it


def features(entangled: bool) -> Features:
    """A foreground part that shows the class, or nothing but the background."""
    rows = {"images_train": grid(6), "images_val": grid(4)}
    matrices = {}
    for number, (name, table) in enumerate(rows.items()):
        shown = table["background"] if entangled else table["class_id"]
        one_hot = [pd.get_dummies(column).to_numpy(dtype=float) for column in (shown, table["background"])]
        jitter = 0.01 * np.random.default_rng(number).normal(size=(len(table), one_hot[0].shape[1] + 4))
        matrices[name] = np.hstack(one_hot) + jitter
    return Features("erm", 1, matrices["images_val"].shape[1] - 4, matrices, rows)


def test_anticorr_tells_whether_the_class_was_read_off_the_background() -> None:
    for entangled, expected in ((False, 1.0), (True, 0.0)):
        table = spurious_table(spurious_rows(features(entangled), ProbeSettings(), 0))
        assert list(table.columns) == COLUMNS
        found = table[table["seed"] == "1"].set_index(["features", "tested_on", "target"])["value"]
        assert found["foreground", "cor", "foreground"] == 1.0
        assert found["foreground", "anticorr", "foreground"] == expected
        assert found["background", "anticorr", "background"] == 1.0
        assert found["background", "anticorr", "foreground"] == 0.0


def test_the_table_has_means_over_seeds() -> None:
    rows = spurious_rows(features(False), ProbeSettings(), 0)
    other = [row | {"seed": "2", "value": 0.0} for row in rows]
    table = spurious_table(rows + other)
    mean = table[table["seed"] == "mean"]
    assert len(table) == 3 * len(rows)
    assert mean.loc[(mean["features"] == "background") & (mean["target"] == "background"), "value"].eq(0.5).all()


def test_an_empty_set_is_an_error() -> None:
    whole = features(False)
    rows = whole.rows["images_train"]
    pairing = pair_classes([0, 1, 2], BACKGROUNDS, 0)
    keep = np.setdiff1d(np.arange(len(rows)), select(rows, pairing, "cor"))
    cut = Features(
        "erm",
        1,
        whole.foreground_features,
        whole.matrices | {"images_train": whole.matrices["images_train"][keep]},
        whole.rows | {"images_train": rows.iloc[keep].reset_index(drop=True)},
    )
    with pytest.raises(D3SError, match="no images"):
        spurious_rows(cut, ProbeSettings(), 0)
