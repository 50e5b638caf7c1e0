import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from d3s.metrics.agreement import ANSWER_COLUMNS, PICTURE_COLUMNS, agreement_table
from d3s.metrics.estimates import Bootstrap
from judged import judged_rows

BOOTSTRAP = Bootstrap(seed=0, resamples=300)


def answers(predicted: np.ndarray, own: np.ndarray) -> pd.DataFrame:
    pairs = zip(predicted, own, strict=True)
    return judged_rows([{"predicted": p, "class_id": o, "top1": float(p == o)} for p, o in pairs])


def table_of(first: np.ndarray, second: np.ndarray, own: np.ndarray) -> pd.DataFrame:
    frames = {"b": answers(second, own), "a": answers(first, own)}
    table = agreement_table(
        {name: frame[list(ANSWER_COLUMNS)] for name, frame in frames.items()},
        frames["a"][list(PICTURE_COLUMNS)],
        "images",
        BOOTSTRAP,
    )
    assert table[["first", "second"]].drop_duplicates().to_numpy().tolist() == [["a", "b"]]
    return table.set_index("metric")


def test_kappas_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    own = rng.integers(0, 5, 200)
    first, second = (np.where(rng.random(200) < 0.7, own, rng.integers(0, 5, 200)) for _ in range(2))
    table = table_of(first, second, own)
    assert table.loc["kappa", "value"] == pytest.approx(cohen_kappa_score(first, second))
    assert table.loc["error_consistency", "value"] == pytest.approx(cohen_kappa_score(first == own, second == own))
    assert ((table["ci_low"] < table["value"]) & (table["value"] < table["ci_high"])).all()


def test_agreement_by_hand() -> None:
    own = np.array([0, 0, 0, 0, 1])
    table = table_of(np.array([0, 1, 2, 1, 1]), np.array([0, 1, 1, 0, 1]), own)
    assert table["value"][["same_prediction", "both_wrong", "same_error"]].tolist() == pytest.approx([0.6, 0.4, 0.5])
    assert table["n"][["same_prediction", "same_error"]].tolist() == [5, 2]


def test_two_that_always_say_the_same_one_word_have_no_kappa() -> None:
    table = table_of(np.zeros(4, dtype=int), np.zeros(4, dtype=int), np.zeros(4, dtype=int))
    assert np.isnan(table.loc["kappa", "value"])
    assert table.loc["same_prediction", "value"] == 1
    assert "same_error" not in table.index, "neither ever errs"


def test_only_pictures_of_both_are_compared() -> None:
    frame = answers(np.array([0, 1, 0]), np.zeros(3))
    given = {"a": frame[list(ANSWER_COLUMNS)], "b": frame[list(ANSWER_COLUMNS)].iloc[1:]}
    table = agreement_table(given, frame[list(PICTURE_COLUMNS)], "images", BOOTSTRAP)
    assert table.loc[table["metric"] == "same_prediction", "n"].tolist() == [2]


def test_a_single_classifier_agrees_with_nobody() -> None:
    frame = answers(np.array([0]), np.array([0]))
    assert agreement_table({"a": frame}, frame, "images", BOOTSTRAP).empty
