"""From features to spurious.csv: what relies on the background is told from what does not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from d3s.correlation.answers import COLUMNS as ANSWER_COLUMNS
from d3s.correlation.answers import Source, answer, read_answers, write_answers
from d3s.correlation.measures import COLUMNS, MEAN, NETWORK, Answers, spurious_table
from d3s.correlation.pairing import pair_classes
from d3s.correlation.splits import Split, SplitSettings, build_splits
from d3s.errors import D3SError
from d3s.metrics.two_way_bootstrap import TwoWayBootstrap
from group_data import BACKGROUNDS, CLASSES, group_rows, shown

ROWS = group_rows(each=12, tests=6)


def splits(pairings: int = 2) -> list[Split]:
    return [
        split
        for number in range(pairings)
        for split in build_splits(ROWS, pair_classes(CLASSES, BACKGROUNDS, 1, number), [0, 1], SplitSettings())
    ]


def source(parts: dict[str, np.ndarray]) -> Source:
    place = {sample: row for row, sample in enumerate(ROWS["sample"])}

    def read(part: str, samples: Sequence[str]) -> np.ndarray:
        return parts[part][[place[sample] for sample in samples]]

    return Source(list(parts), read, {name: (read, frozenset(place)) for name in ("images", "guides")})


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    given = []
    for objective, strength in (("erm", 0.1), ("clean", 2.0)):
        for seed in (0, 1):
            entangled = shown(ROWS, 1.0, 3.0, seed=seed)
            features = {"all": entangled, "foreground": shown(ROWS, 1.0, 0.0, seed=seed)}
            features = (
                features if objective == "clean" else {"all": entangled, "foreground": shown(ROWS, strength, 3.0)}
            )
            answers, choices = answer(source(features), splits(), ("erm", "balanced"), 0)
            assert list(answers.columns) == list(ANSWER_COLUMNS)
            assert len(choices) == 4 * 2 * 3
            given.append(Answers(objective, seed, answers))
    return spurious_table(given, splits(), ROWS, 0, 200)


def value(table: pd.DataFrame, metric: str, tested_on: str, objective: str, features: str, rho: str = "1") -> pd.Series:
    rows = table[(table["seed"] == MEAN) & (table["pairing"] == MEAN) & (table["method"] == "erm")]
    rows = rows[(rows["target"] == "foreground") & (rows["rho"] == rho) & (rows["objective"] == objective)]
    found = rows[(rows["metric"] == metric) & (rows["tested_on"] == tested_on) & (rows["features"] == features)]
    assert len(found) == 1
    return found.iloc[0]


def test_the_table_has_its_columns_and_one_row_for_each_key(table: pd.DataFrame) -> None:
    assert list(table.columns) == list(COLUMNS)
    assert not table.duplicated(list(COLUMNS[:9])).any()
    assert {"0", "1", MEAN} == set(table["seed"])
    assert {"k1-p0", "k1-p1", MEAN} == set(table["pairing"])


def test_who_relies_on_the_background_falls_where_the_pairing_is_broken(table: pd.DataFrame) -> None:
    assert value(table, "top1", "images_cor", "erm", "all")["value"] > 0.95
    assert value(table, "top1", "images_anticorr", "erm", "all")["value"] < 0.3
    assert value(table, "drop", "images", "erm", "all")["value"] > 0.7
    assert value(table, "drop", "guides", "erm", "all")["ci_low"] > 0.5
    assert abs(value(table, "drop", "images", "clean", "foreground")["value"]) < 0.2
    assert value(table, "drop_over_unbiased", "images", "erm", "all")["value"] > 0.5


def test_wrong_answers_are_the_class_shown(table: pd.DataFrame) -> None:
    said = value(table, "wrong_as_shown", "images_anticorr", "erm", "all")
    chance = value(table, "wrong_as_shown_by_chance", "images_anticorr", "erm", "all")
    assert said["value"] > 0.9
    assert chance["value"] == pytest.approx(0.5)  # of two other classes, one is shown


def test_clean_features_close_the_gap(table: pd.DataFrame) -> None:
    gap, closed = (
        value(table, metric, "images_anticorr", objective, features)
        for metric, objective, features in (("gap", "erm", "all"), ("gap_closed", "clean", "foreground"))
    )
    assert gap["ci_low"] > 0.3
    assert closed["ci_low"] > 0.5
    assert closed["ci_low"] < closed["value"] < closed["ci_high"]
    top1 = [
        value(table, "top1", "images_anticorr", *cell)["value"]
        for cell in (("clean", "foreground", "1"), ("erm", "all", "1"), ("erm", "all", "0"))
    ]
    assert closed["value"] == pytest.approx((top1[0] - top1[1]) / (top1[2] - top1[1]))


def test_worst_groups_are_worse_than_the_mean(table: pd.DataFrame) -> None:
    worst = value(table, "worst_group", "images_all", "clean", "foreground")["value"]
    assert worst <= value(table, "worst_class", "images_all", "clean", "foreground")["value"]
    assert worst <= value(table, "top1", "images_all", "clean", "foreground")["value"]


def test_a_mean_is_of_all_answers(table: pd.DataFrame) -> None:
    rows = table[(table["objective"] == "clean") & (table["features"] == "foreground") & (table["method"] == "erm")]
    rows = rows[(rows["metric"] == "top1") & (rows["target"] == "foreground") & (rows["tested_on"] == "images_all")]
    rows = rows[(rows["rho"] == "0") & (rows["pairing"] == MEAN)].set_index("seed")["value"]
    assert rows[MEAN] == pytest.approx((rows["0"] + rows["1"]) / 2)


def perfect(split: Split, wrong: bool = False) -> pd.DataFrame:
    rows = split.rows("test")
    shown_class = [(split.pairing.classes_of(place) or ["none"])[0] for place in rows["background"]]
    said = shown_class if wrong else rows["class"]
    about = {"split": split.name, "features": "all", "method": "erm", "target": "foreground", "dataset": "guides"}
    return pd.DataFrame({**about, "sample": rows["sample"], "answer": said})


def test_encoders_are_compared_with_the_network_that_saw_correlated_images() -> None:
    made = splits(1)
    given = [
        Answers("clean", 0, pd.concat([perfect(split) for split in made])),
        Answers(NETWORK, 0, pd.concat([perfect(split, wrong=split.rho == 1) for split in made])),
    ]
    table = spurious_table(given, made, ROWS, 0, 50)
    rows = table[(table["metric"] == "drop_over_network") & (table["pairing"] == MEAN) & (table["seed"] == MEAN)]
    rows = rows.set_index(["objective", "rho"])["value"]
    assert rows["clean", "0"] == pytest.approx(-1.0)  # the network is right on paired guides alone
    assert rows[NETWORK, "0"] == pytest.approx(-1.0)


def test_answers_of_an_unknown_split_or_sample_are_refused() -> None:
    made = splits(1)
    with pytest.raises(D3SError, match="not given"):
        spurious_table([Answers("erm", 0, perfect(made[0]).assign(split="k9-p0-rho1"))], made, ROWS, 0, 20)
    with pytest.raises(D3SError, match="other pictures"):
        spurious_table([Answers("erm", 0, perfect(made[0]).assign(sample="nobody"))], made, ROWS, 0, 20)


def test_answers_come_back_from_disk(tmp_path: Path) -> None:
    given = perfect(splits(1)[0])
    write_answers(tmp_path / "a.parquet", given)
    pd.testing.assert_frame_equal(read_answers(tmp_path / "a.parquet"), given[list(ANSWER_COLUMNS)].astype(str))
    with pytest.raises(D3SError, match="can't be read"):
        read_answers(tmp_path / "b.parquet")


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(D3SError, match="no method"):
        answer(source({"all": shown(ROWS, 1, 1)}), splits(1), ("irm",), 0)


def test_draws_of_two_ways_multiply_and_one_way_alone_is_drawn_alone() -> None:
    first, second = ["a", "a", "b", "c"], ["x", "y", "x", "y"]
    both = TwoWayBootstrap.of(first, second, 0, 100)
    product, one, other, _ = both.weights.reshape(4, 100, 4)
    assert both.clusters == 2
    assert (product == one * other).all()
    assert (one[:, 0] == one[:, 1]).all()
    assert (other[:, 0] == other[:, 2]).all()
    alone = TwoWayBootstrap.of(first, ["1", "2", "3", "4"], 0, 100)
    assert (alone.clusters, alone.weights.shape) == (3, (100, 4))
    assert np.allclose(TwoWayBootstrap.of(["1", "2", "3"], ["4", "5", "6"], 0, 100).weights.sum(axis=1), 3)


def test_one_cluster_has_no_interval() -> None:
    assert np.isnan(TwoWayBootstrap.of(["a", "a"], ["x", "y"], 0, 50).interval(1.0, np.ones(200))).all()


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_intervals_of_two_ways_cover_what_they_say(spread: float) -> None:
    """Exemplars and panoramas with effects of their own, or none; docs/correlation.md has the larger simulation."""
    covered, widths = 0, []
    exemplars, panoramas = np.repeat(np.arange(20), 16), np.tile(np.arange(16), 20)
    draws = TwoWayBootstrap.of([f"e{n}" for n in exemplars], [f"p{n}" for n in panoramas], 0, 300)
    for repeat in range(100):
        rng = np.random.default_rng(repeat)
        effects = spread * (rng.normal(size=20)[exemplars] + rng.normal(size=16)[panoramas])
        values = effects + rng.normal(size=320)
        low, high = draws.interval(float(values.mean()), draws.weights @ values / draws.weights.sum(axis=1))
        covered += low <= 0 <= high
        widths.append(high - low)
    assert covered >= 90
    if not spread:
        assert np.mean(widths) < 1.5 * 2 * 1.96 / np.sqrt(
            320
        )  # nearly as if rows were drawn, not three times the variance
