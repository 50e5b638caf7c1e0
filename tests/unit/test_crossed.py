"""The crossed design: balanced, matched across backgrounds, and never upset by what is added."""

from itertools import product

import pandas as pd
import pytest

from d3s.crossed import Crossed, choose_exemplars
from d3s.guides import Material, PromptSettings, ShardPlan, compose_shard
from material import CLASSES, PROMPTS, RANGES, make_material

DESIGN = Crossed(2, 3, 2)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Material]:
    return make_material(tmp_path_factory.mktemp("material"), exemplars=5)


def compose(
    material: dict[str, Material], background: str = "grass", design: Crossed = DESIGN, revision: int = 0
) -> pd.DataFrame:
    plan = ShardPlan("crossed", "background", background, f"on {background}", background, revision, design.count, 7)
    table, members = compose_shard(plan, CLASSES, material[background], RANGES, PROMPTS, 32, choices=design)
    assert [name for name, _ in members] == list(table.loc[table["status"] == "ok", "member"])
    return table.set_index("sample")


def test_every_exemplar_stands_at_every_placement_under_every_noise(material: dict[str, Material]) -> None:
    table = compose(material)
    assert len(table) == len(CLASSES) * DESIGN.count == 24
    assert (table["status"] == "ok").all()
    assert table.index.is_unique
    for _, rows in table.groupby("class_id"):
        assert rows["exemplar"].nunique() == 2
        cells = set(zip(rows["exemplar"], rows["placement"], rows["noise"], strict=True))
        assert cells == set(product(rows["exemplar"].unique(), range(3), range(2)))
    assert set(table["exemplar"]) <= {f"{class_id}-{number}" for class_id in (0, 1) for number in (2, 3, 4)}, "val's"
    assert set(table["template"]) <= {"grass3", "grass4", "grass5"}, "val's"


def test_a_factor_is_the_same_thing_wherever_it_stands(material: dict[str, Material]) -> None:
    for _, rows in compose(material).groupby("class_id"):
        where = ["scale", "flip", "x", "y", "template"]
        assert (rows.groupby("placement")[where].nunique() == 1).all().all(), "for all exemplars and noises"
        assert rows["x"].nunique() == 3
        assert (rows.groupby("noise")["seed"].nunique() == 1).all(), "for all exemplars and placements"
        assert rows["seed"].nunique() == 2


def test_noise_changes_no_guide(material: dict[str, Material]) -> None:
    table = compose(material)
    digests = table.groupby(["class_id", "exemplar", "placement"])["guide_digest"].agg(["nunique", "size"])
    assert (digests["nunique"] == 1).all()
    assert (digests["size"] == 2).all()
    assert table["guide_digest"].nunique() == 2 * 2 * 3


def test_sets_match_across_backgrounds(material: dict[str, Material]) -> None:
    grass, sand = compose(material), compose(material, "sand")
    same = ["matched_set", "exemplar", "placement", "noise", "seed", "scale", "flip", "x", "y"]
    assert grass[same].to_numpy().tolist() == sand[same].to_numpy().tolist()
    assert not set(grass["guide_digest"]) & set(sand["guide_digest"])
    assert grass["matched_set"].is_unique


@pytest.mark.parametrize("more", [Crossed(3, 3, 2), Crossed(2, 4, 2), Crossed(2, 3, 3)], ids=str)
def test_what_is_added_changes_no_sample(material: dict[str, Material], more: Crossed) -> None:
    before, after = compose(material), compose(material, design=more)
    assert len(after) > len(before)
    pd.testing.assert_frame_equal(after.loc[before.index], before)


def test_a_revision_makes_fresh_samples_of_the_same_exemplars(material: dict[str, Material]) -> None:
    before, after = compose(material), compose(material, revision=1)
    assert not set(before["seed"]) & set(after["seed"])
    assert not set(before["matched_set"]) & set(after["matched_set"])
    assert set(before["exemplar"]) == set(after["exemplar"])


def test_a_wording_belongs_to_a_class(material: dict[str, Material]) -> None:
    both = PromptSettings(("a {class}, {background}", "the {class}, {background}"), "", PROMPTS.count, 77)
    plan = ShardPlan("crossed", "background", "grass", "on grass", "grass", 0, DESIGN.count, 7)
    table, _ = compose_shard(plan, CLASSES, material["grass"], RANGES, both, 32, choices=DESIGN)
    assert (table.groupby("class_id")["prompt"].nunique() == 1).all(), "or it would be one more thing that differs"


def test_a_class_with_too_few_exemplars_has_rows_that_say_so(material: dict[str, Material]) -> None:
    table = compose(material, design=Crossed(5, 1, 2))
    bad = table[table["status"] != "ok"]
    assert len(table) == 20
    assert list(bad["status"]) == ["no_exemplar"] * 8
    assert "has 3 usable exemplars in val, and crossed: exemplars: wants 5" in bad["reason"].iloc[0]


@pytest.mark.parametrize(
    ("split", "chosen"),
    [
        ("train", ["0-0", "grass1", 1343487566577244088, 0.766425, 0.091989]),
        ("val", ["0-3", "grass4", 5829691504223356802, 0.438292, 0.675077]),
    ],
)
def test_train_and_val_are_what_they_were(material: dict[str, Material], split: str, chosen: list[object]) -> None:
    """As they came out before there was a crossed design."""
    plan = ShardPlan(split, "background", "grass", "on grass", "grass", 0, 2, 7)
    table, _ = compose_shard(plan, CLASSES, material["grass"], RANGES, PROMPTS, 32)
    assert not {"placement", "noise"} & set(table.columns)
    assert table.loc[0, ["exemplar", "template", "seed", "scale", "x"]].tolist() == chosen


def exemplars(*names: str, **groups: str) -> dict[str, dict[str, str]]:
    return {name: {"split_group": groups.get(name, name)} for name in names}


def test_one_exemplar_more_takes_one_place_at_most() -> None:
    names = [f"e{number}" for number in range(12)]
    moved = []
    for left_out in names:
        fewer = [name for name in names if name != left_out]
        before, after = (set(choose_exemplars(exemplars(*own), 4, 1, 0)) for own in (fewer, names))
        moved.append(len(after - before))
    assert max(moved) == 1
    assert sum(moved) == 4, "those that were chosen of all"


def test_near_duplicates_come_last() -> None:
    own = exemplars("a", "b", "c", "d", a="pair", b="pair")
    assert len({"a", "b"} & set(choose_exemplars(own, 3, 1, 0))) == 1
    assert set(choose_exemplars(own, 4, 1, 0)) == {"a", "b", "c", "d"}
