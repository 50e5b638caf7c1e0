"""Which images are asked about, and what is mixed among them."""

import pandas as pd
import pytest

from d3s.annotation.campaign import CampaignSettings, make_gold, plan_batches, select_images
from d3s.annotation.items import parse_item, read_key


def settings(**other: object) -> CampaignSettings:
    given = {"name": "demo", "choice": "all", "doubt_below": 0.5, "per_cell": 2, "batch_size": 20, "gold": 0.1}
    return CampaignSettings(**given | {"repeats": 0.1, "seed": 7} | other)  # type: ignore[arg-type]


def images(count: int = 50) -> pd.DataFrame:
    rows = [
        {
            "sample": f"val-{n:03d}",
            "recipe": f"r{n}",
            "class_id": n % 2,
            "background": ("grass", "sea")[n // 2 % 2],
            "status": "off_class" if n == 3 else "ok",
            "super_probability": None if n == 4 else n / count,
            "tar": "0.tar",
            "member": f"val-{n:03d}.png",
        }
        for n in range(count)
    ]
    return pd.DataFrame(rows)


def guides(count: int = 30) -> pd.DataFrame:
    table = images(count).drop(columns=["recipe", "status", "super_probability"])
    return table.assign(sample=table["sample"].str.replace("val", "train"), guide_digest="d")


INDICES = {0: [1], 1: [400]}


def test_all_the_doubtful_or_a_sample_of_each_cell() -> None:
    table = images()
    assert len(select_images(table, settings())) == 50
    doubtful = select_images(table, settings(choice="doubtful", doubt_below=0.1))
    assert doubtful["sample"].tolist() == [f"val-{n:03d}" for n in range(5)]
    sample = select_images(table, settings(choice="sample"))
    assert sample.groupby(["class_id", "background"]).size().tolist() == [2, 2, 2, 2]
    more = select_images(images(80), settings(choice="sample", per_cell=30))
    assert set(sample["sample"]) <= set(more["sample"])


def test_every_image_is_asked_about_once_with_gold_and_repeats_among_them() -> None:
    items = plan_batches(images(), guides(), INDICES, settings())
    assert items.groupby("batch")["kind"].value_counts().unstack().to_dict("index") == {
        1: {"image": 20, "gold": 2, "repeat": 2},
        2: {"image": 20, "gold": 2, "repeat": 2},
        3: {"image": 10, "gold": 1, "repeat": 1},
    }
    shown = items[items["kind"] == "image"]
    assert sorted(shown["sample"]) == images()["sample"].tolist()
    assert items.groupby("batch")["place"].apply(list).map(lambda places: places == [*range(1, len(places) + 1)]).all()
    first = shown.set_index("item")["place"]
    repeats = items[items["kind"] == "repeat"].set_index("item")["place"]
    assert (repeats > first.reindex(repeats.index)).all()
    pd.testing.assert_frame_equal(plan_batches(images(), guides(), INDICES, settings()), items)


def test_batches_take_gold_by_turns() -> None:
    items = plan_batches(images(), guides(3), INDICES, settings())
    assert items.loc[items["kind"] == "gold", "sample"].nunique() == 3
    assert plan_batches(images(), guides()[:0], INDICES, settings())["kind"].isin(["image", "repeat"]).all()
    assert (plan_batches(images(), guides(), INDICES, settings(gold=0, repeats=0))["kind"] == "image").all()
    assert plan_batches(images()[:0], guides(), INDICES, settings()).empty


def test_what_is_known_of_gold_is_in_its_key() -> None:
    rows = make_gold(guides(8).to_dict("records"), ["grass", "sea"], INDICES, settings(), batch=1)
    told = []
    for row, guide in zip(rows, guides(8).to_dict("records"), strict=True):
        item = parse_item(str(row["item"]))
        assert item
        known = read_key(settings().secret, item, str(row["key"]))
        assert known
        assert known["object"] == ("yes" if row["class_id"] == guide["class_id"] else "no") == row["known_object"]
        assert known["background"] == ("yes" if row["background"] == guide["background"] else "no")
        told.append((known["object"], known["background"]))
    assert told == [("yes", "yes"), ("no", "yes"), ("yes", "no"), ("no", "yes")] * 2


@pytest.mark.parametrize("batch_size", [5, 20])
def test_who_always_says_the_same_is_right_on_half_of_the_gold(batch_size: int) -> None:
    items = plan_batches(images(), guides(), INDICES, settings(batch_size=batch_size))
    known = items.loc[items["kind"] == "gold", "known_object"]
    assert abs((known == "yes").sum() - (known == "no").sum()) <= 1


@pytest.mark.parametrize(
    ("indices", "expected"), [({0: [1], 1: [5], 2: [300]}, 2), ({0: [1], 1: [5]}, 1), ({0: []}, 0)]
)
def test_gold_is_shown_as_a_class_that_nobody_takes_it_for(indices: dict[int, list[int]], expected: int) -> None:
    rows = make_gold(guides(4)[lambda t: t["class_id"] == 0].to_dict("records"), ["grass"], indices, settings(), 1)
    assert rows[1]["class_id"] == expected
