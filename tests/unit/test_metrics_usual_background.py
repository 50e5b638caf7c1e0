import numpy as np
import pytest

from d3s.metrics.estimates import Bootstrap
from d3s.metrics.usual_background import usual_gap_rows, variant_gap_rows
from judged import judged_rows, matched

BOOTSTRAP = Bootstrap(seed=0, resamples=300)
RIGHT = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1], [0, 1, 1]], dtype=float)


def test_the_gap_is_usual_minus_other_backgrounds_set_by_set() -> None:
    frame = matched(RIGHT, class_ids=[0, 0, 1, 2])
    table = usual_gap_rows(frame, {0: ["grass"], 1: ["night", "water"], 2: []}, BOOTSTRAP)
    gaps = table[table["metric"] == "usual_background_gap"].set_index("class_name")
    assert gaps["value"].to_dict() == pytest.approx({"all": (0.5 + 0.5 + 0.5) / 3, "class0": 0.5, "class1": 0.5})
    assert gaps["n"].to_dict() == {"all": 3, "class0": 2, "class1": 1}


def test_sets_without_a_picture_of_either_kind_are_left_out() -> None:
    right = np.array([[np.nan, 0, 1], [1, np.nan, 0]])
    row = usual_gap_rows(matched(right), {0: ["grass"]}, BOOTSTRAP).iloc[0]
    assert (row["value"], row["n"]) == (1, 1)


def test_a_class_that_is_usual_everywhere_has_no_gap() -> None:
    assert usual_gap_rows(matched(RIGHT), {0: ["grass", "night", "water"]}, BOOTSTRAP).empty
    assert usual_gap_rows(matched(RIGHT), {}, BOOTSTRAP).empty


def variants(matched_set: str) -> list[dict[str, object]]:
    right = {"original": [1, 1, 1, 1], "mixed_same": [1, 1, 1, 0], "mixed_rand": [1, 0, 0, 0]}
    return [
        {"variant": variant, "top1": float(value), "matched_set": matched_set.format(number)}
        for variant, values in right.items()
        for number, value in enumerate(values)
    ]


def test_the_gap_of_imagenet_9_is_same_minus_rand() -> None:
    table = variant_gap_rows(judged_rows(variants("f{}"), dataset="imagenet9"), BOOTSTRAP)
    row = table.iloc[0]
    assert (row["value"], row["n"], row["detail"]) == (0.5, 4, "paired")
    apart = variant_gap_rows(judged_rows(variants(""), dataset="imagenet9"), BOOTSTRAP).iloc[0]
    assert (apart["value"], apart["n"], apart["detail"]) == (0.5, 8, "unpaired")


def test_other_benchmarks_have_none() -> None:
    assert variant_gap_rows(judged_rows([{"variant": "fog"}]), BOOTSTRAP).empty
