"""Pairings and locked splits: size, nesting and independence, and what can't be paired."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from d3s.correlation.groups import groups_of_index, groups_of_manifest
from d3s.correlation.pairing import Pairing, find_pairing, pair_classes
from d3s.correlation.splits import (
    PRESETS,
    Split,
    SplitSettings,
    build_presets,
    build_splits,
    hold_out,
    native_split,
    read_split,
    write_split,
)
from d3s.errors import D3SError
from group_data import BACKGROUNDS, CLASSES, group_rows

RHOS = [0.0, 0.3, 0.7, 1.0]
SETTINGS = SplitSettings(seed=3)


def splits(rows: pd.DataFrame, each: int = 1, rhos: list[float] = RHOS, **settings: int) -> list[Split]:
    return build_splits(rows, pair_classes(CLASSES, BACKGROUNDS, each, 0, 3), rhos, SplitSettings(3, **settings))


def train(split: Split) -> set[str]:
    return set(split.rows("train")["sample"])


def test_a_pairing_is_one_to_one_while_backgrounds_last() -> None:
    for number in range(4):
        dealt = pair_classes(["0", "1", "2", "5"], BACKGROUNDS, 1, number).backgrounds
        assert sorted(place for own in dealt.values() for place in own) == BACKGROUNDS


@pytest.mark.parametrize("each", [1, 2, 3])
def test_over_all_pairings_every_class_has_every_background_equally_often(each: int) -> None:
    pairings = [pair_classes(CLASSES, BACKGROUNDS, each, number, 1) for number in range(4)]
    assert all(len(set(own)) == each for pairing in pairings for own in pairing.backgrounds.values())
    counts = pd.Series(
        [(label, name) for pairing in pairings for label, own in pairing.backgrounds.items() for name in own]
    ).value_counts()
    assert (counts == each).all()
    assert len(counts) == 12


def test_no_background_has_two_classes_more_than_another() -> None:
    pairing = pair_classes([str(number) for number in range(10)], BACKGROUNDS, 2)
    sizes = [len(pairing.classes_of(name)) for name in BACKGROUNDS]
    assert max(sizes) - min(sizes) <= 1


def test_a_pairing_depends_on_seed_and_names_not_on_their_order() -> None:
    assert pair_classes(["2", "0", "1"], BACKGROUNDS[::-1], 1, 0, 3) == pair_classes(CLASSES, BACKGROUNDS, 1, 0, 3)
    assert len({str(pair_classes(CLASSES, BACKGROUNDS, 1, 0, seed)) for seed in range(20)}) > 5


@pytest.mark.parametrize(
    ("classes", "backgrounds", "each", "said"),
    [
        (CLASSES, ["grass"], 1, "two backgrounds"),
        (["0"], BACKGROUNDS, 1, "two classes"),
        (CLASSES, BACKGROUNDS, 4, "4 backgrounds per class"),
        (CLASSES, BACKGROUNDS, 0, "0 backgrounds per class"),
    ],
)
def test_what_cannot_be_paired(classes: list[str], backgrounds: list[str], each: int, said: str) -> None:
    with pytest.raises(D3SError, match=said):
        pair_classes(classes, backgrounds, each)


@pytest.mark.parametrize("each", [1, 2])
def test_size_is_the_same_at_every_rho_and_rho_is_what_was_asked_for(each: int) -> None:
    made = splits(group_rows(each=24), each)
    share = each / len(made[0].pairing.used())
    sizes = [split.rows("train").groupby("class").size().to_dict() for split in made]
    assert all(size == sizes[0] == made[0].about["images_per_class"] for size in sizes)
    for split in made:
        rows = split.rows("train")
        wanted = split.rho + (1 - split.rho) * share
        assert rows["paired"].mean() == pytest.approx(wanted, abs=1.5 / len(rows))
        assert split.pairing.probability("0", split.rho) == pytest.approx(wanted)
    assert made[-1].rows("train")["paired"].all()


def test_an_unbiased_split_has_its_backgrounds_equally_often() -> None:
    counts = splits(group_rows(each=24))[0].rows("train")["group"].value_counts()
    assert counts.max() - counts.min() <= 1


def test_splits_are_nested_over_rho() -> None:
    made = splits(group_rows(each=24))
    for low, high in pairwise(made):
        gone = low.table[low.table["sample"].isin(train(low) - train(high))]
        come = high.table[high.table["sample"].isin(train(high) - train(low))]
        assert not gone["paired"].any()
        assert come["paired"].all()
        assert len(come)


def test_more_images_of_another_class_change_nothing() -> None:
    rows = group_rows()
    more = rows[(rows["class"] == "1") & (rows["split"] == "train")].assign(sample=lambda r: "new-" + r["sample"])
    for before, after in zip(splits(rows), splits(pd.concat([rows, more])), strict=True):
        own = [split.rows("train")[split.rows("train")["class"] != "1"] for split in (before, after)]
        pd.testing.assert_frame_equal(own[0].reset_index(drop=True), own[1].reset_index(drop=True))


def test_no_exemplar_is_trained_on_and_validated_or_tested_with() -> None:
    rows = group_rows()
    for split in splits(rows):
        uses = split.table.merge(rows[["sample", "split_group"]]).groupby("split_group")["use"].agg(set)
        assert (uses.map(len) == 1).all()
        assert set(split.rows("validation")["class"]) == set(CLASSES)


def test_a_class_with_one_exemplar_gives_none_to_validation() -> None:
    rows = group_rows()
    rows.loc[rows["class"] == "2", "split_group"] = "the-only-one"
    held = hold_out(rows, 0.5, 0)
    assert "the-only-one" not in held
    assert len(held) == 4


def test_the_guide_of_a_rejected_image_is_tested_all_the_same() -> None:
    rows = group_rows()
    rows["accepted"] = rows["sample"] != "test-0-grass-1"
    split = splits(rows, each=2)[0]
    assert split.rows("test_guide")["sample"].tolist() == ["test-0-grass-1"]


def test_presets_keep_to_the_pairing_or_break_it() -> None:
    cor, anticorr = build_presets(group_rows(), pair_classes(CLASSES, BACKGROUNDS), SETTINGS)
    assert (cor.name, anticorr.name) == PRESETS
    assert cor.table["paired"].all()
    assert not anticorr.table["paired"].any()
    assert len(cor.rows("train")) == len(anticorr.rows("train"))
    assert {"train", "validation", "test"} == set(cor.table["use"]) == set(anticorr.table["use"])


@pytest.mark.parametrize("rho", [-0.1, 1.01, float("nan")])
def test_rho_out_of_range(rho: float) -> None:
    with pytest.raises(D3SError, match="rho is"):
        splits(group_rows(), rhos=[rho])


def test_a_class_without_its_paired_background_is_left_out_with_a_reason() -> None:
    rows = group_rows()
    own = pair_classes(CLASSES, BACKGROUNDS, 1, 0, 3).backgrounds["1"][0]
    cut = rows[~((rows["class"] == "1") & (rows["background"] == own) & (rows["split"] == "train"))]
    split = splits(cut)[0]
    assert [row["class"] for row in split.about["left_out"]] == ["1"]  # type: ignore[attr-defined]
    assert split.about["left_out"][0]["status"] == "empty_cell"  # type: ignore[index]
    assert "1" not in set(split.table["class"])


def test_a_class_with_too_few_images_is_left_out() -> None:
    rows = group_rows(each=8)  # of which 6 are for training
    assert splits(rows, min_images=6)[0].about["left_out"] == []
    rows["accepted"] = (rows["class"] != "1") | ~rows["sample"].str.contains("-[0-5]$")
    split = splits(rows, min_images=3)[0]
    assert [(row["class"], row["status"]) for row in split.about["left_out"]] == [("1", "too_few")]  # type: ignore[attr-defined]
    with pytest.raises(D3SError, match="fewer than two classes have 7 images"):
        splits(group_rows(each=8), min_images=7)


def test_another_empty_cell_is_passed_over() -> None:
    rows = group_rows()
    pairing = pair_classes(CLASSES, BACKGROUNDS, 1, 0, 3)
    other = next(name for name in pairing.used() if name not in pairing.backgrounds["1"])
    cut = rows[~((rows["class"] == "1") & (rows["background"] == other) & (rows["split"] == "train"))]
    made = build_splits(cut, pairing, [0.0], SETTINGS)[0]
    assert f"1|{other}" not in set(made.rows("train")["group"])
    assert made.about["images_per_class"] == build_splits(rows, pairing, [0.0], SETTINGS)[0].about["images_per_class"]


def test_a_split_comes_back_as_it_was_locked(tmp_path: Path) -> None:
    split = splits(group_rows())[1]
    write_split(tmp_path, split)
    back = read_split(tmp_path / f"{split.name}.csv")
    assert (back.name, back.pairing, back.rho) == (split.name, split.pairing, split.rho)
    pd.testing.assert_frame_equal(back.table, split.table, check_dtype=False)
    text = (tmp_path / f"{split.name}.csv").read_text()
    (tmp_path / f"{split.name}.csv").write_text(text.replace("train", "test", 1))
    with pytest.raises(D3SError, match="not the table that was locked"):
        read_split(tmp_path / f"{split.name}.csv")


def test_a_missing_split_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(D3SError, match="can't be read"):
        read_split(tmp_path / "k1-p0-rho1.csv")


def test_the_manifest_as_group_data() -> None:
    manifest = pd.DataFrame(
        {"sample": ["b", "a", "c"], "split": ["train", "val", "crossed"], "class_id": [7, 7, 7], "background": "grass"}
        | {"split_group": "g", "template_group": "t", "accepted": [True, False, True]}
    )
    rows = groups_of_manifest(manifest)
    assert rows[["sample", "class", "split", "accepted"]].values.tolist() == [
        ["a", "7", "test", False],
        ["b", "7", "train", True],
    ]


def waterbirds(own: float = 0.9) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(300):
        bird = ("landbird", "waterbird")[number % 2]
        usual, other = ("land", "water") if bird == "landbird" else ("water", "land")
        split = ("train", "val", "test")[number // 2 % 3]
        place = usual if rng.random() < (own if split == "train" else 0.5) else other
        rows.append({"sample": f"{number:03d}.jpg", "class_name": bird, "background": place, "split": split})
    return pd.DataFrame(rows).assign(status="ok", matched_set="")


def test_a_benchmark_keeps_the_correlation_that_it_came_with() -> None:
    rows = groups_of_index(waterbirds(), "waterbirds")
    split = native_split(rows, find_pairing(rows, "waterbirds"), SETTINGS)
    assert split.pairing.backgrounds == {"landbird": ("land",), "waterbird": ("water",)}
    assert split.rows("train")["paired"].mean() > 0.8
    assert set(split.table["use"]) == {"train", "validation", "test"}
    assert len(split.table) == 300


def test_a_benchmark_is_cut_to_a_rho_as_the_manifest_is() -> None:
    rows = groups_of_index(waterbirds(), "waterbirds")
    pairing = Pairing("own", {"landbird": ("land",), "waterbird": ("water",)})
    for split in build_splits(rows, pairing, [0.0, 1.0], SETTINGS):
        assert split.rows("train")["paired"].mean() == pytest.approx(0.5 + split.rho / 2, abs=0.1)
        assert len(split.rows("validation")) == 100  # its own


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"background": ""}, "no picture of a known class, background and split"),
        ({"split": "train"}, "no pictures of test"),
        ({"split": "test"}, "no pictures of train"),
        ({"status": "missing"}, "no picture"),
    ],
)
def test_a_benchmark_without_groups(change: dict[str, str], said: str) -> None:
    with pytest.raises(D3SError, match=said):
        groups_of_index(waterbirds().assign(**change), "waterbirds")


def test_a_benchmark_without_splits_is_split_by_hashes() -> None:
    rows = groups_of_index(waterbirds().assign(split="domain_adaptation_ds"), "spawrious")
    assert set(rows["split"]) == {"train", "test"}
    assert (rows["split"] == "train").mean() == pytest.approx(0.6, abs=0.1)


def test_a_data_set_without_correlation_has_no_pairing() -> None:
    with pytest.raises(D3SError, match="on no background more often"):
        find_pairing(group_rows())
