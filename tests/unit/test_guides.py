"""Guides: every choice comes from identities, and sets match across backgrounds."""

import pandas as pd
import pytest

from d3s.guides import Material, PromptSettings, ShardPlan, compose_shard, mask_member
from d3s.tables import Row
from material import CLASSES, PROMPTS, RANGES, make_material


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Material]:
    return make_material(tmp_path_factory.mktemp("material"))


def compose(
    material: Material,
    background: str = "grass",
    count: int = 5,
    revision: int = 0,
    classes: list[Row] = CLASSES,
    templates: str = "",
    prompts: PromptSettings = PROMPTS,
) -> pd.DataFrame:
    plan = ShardPlan("train", "background", background, f"on {background}", templates or background, revision, count, 7)
    table, _ = compose_shard(plan, classes, material, RANGES, prompts, 32)
    return table.set_index("sample")


def test_every_sample_has_a_row_and_a_guide(material: dict[str, Material]) -> None:
    plan = ShardPlan("val", "background", "grass", "on grass", "grass", 0, 3, 7)
    table, members = compose_shard(plan, CLASSES, material["grass"], RANGES, PROMPTS, 32)
    assert list(table["status"]) == ["ok"] * 6
    assert [name for name, _ in members] == list(table["member"])
    assert table["sample"].is_unique
    assert table["prompt"][0] == "a photo of a ball, a round thing, on grass"
    assert table["prompt"][5] == "a photo of a box, on grass"


def test_matched_sets_differ_in_the_background_alone(material: dict[str, Material]) -> None:
    grass, sand = compose(material["grass"]), compose(material["sand"], "sand")
    same = ["matched_set", "exemplar", "seed", "scale", "flip", "x", "y"]
    assert grass[same].to_numpy().tolist() == sand[same].to_numpy().tolist()
    assert not set(grass["guide_digest"]) & set(sand["guide_digest"])


def test_backgrounds_that_share_templates_match_in_the_template_too(material: dict[str, Material]) -> None:
    chile = compose(material["grass"], "chile", templates="grass")
    japan = compose(material["grass"], "japan", templates="grass")
    assert list(chile["guide_digest"]) == list(japan["guide_digest"])
    assert not set(chile["prompt"]) & set(japan["prompt"])


def test_the_wording_of_a_prompt_is_chosen_by_identity(material: dict[str, Material]) -> None:
    wordings = ("a photo of a {class}, {background}", "a {class}, seen {background}")
    both = PromptSettings(wordings, "", PROMPTS.count, 77)
    grass, sand = (compose(material[name], name, 12, prompts=both) for name in ("grass", "sand"))
    seen = grass["prompt"].str.contains("seen")
    assert 0 < seen.sum() < len(seen)
    assert list(seen) == list(sand["prompt"].str.contains("seen"))  # a matched set is worded alike


def test_more_images_or_classes_change_no_earlier_sample(material: dict[str, Material]) -> None:
    few = compose(material["grass"], count=2, classes=CLASSES[:1])
    many = compose(material["grass"], count=6)
    assert many.loc[few.index].equals(few)


def test_a_revision_makes_fresh_samples_in_sets_of_their_own(material: dict[str, Material]) -> None:
    before, after = compose(material["grass"]), compose(material["grass"], revision=1)
    assert not set(before["seed"]) & set(after["seed"])
    assert not set(before["matched_set"]) & set(after["matched_set"])


def test_exemplars_and_templates_stay_in_their_split(material: dict[str, Material]) -> None:
    table = compose(material["grass"], count=20)
    assert set(table["exemplar"]) == {"0-0", "0-1", "1-0", "1-1"}
    assert set(table["template"]) == {"grass0", "grass1", "grass2"}


def test_a_class_without_usable_exemplars_keeps_its_rows(material: dict[str, Material]) -> None:
    lonely = [*CLASSES, {"class_id": "7", "name": "cone", "label": "cone", "definition": "", "imagenet_indices": "3"}]
    table = compose(material["grass"], count=2, classes=lonely)
    bad = table[table["class_id"] == 7]
    assert list(bad["status"]) == ["no_exemplar"] * 2
    assert bad["reason"].str.contains("cone").all()
    assert (table[table["class_id"] != 7]["status"] == "ok").all()


def test_masks_come_with_the_guides_if_they_are_wanted(material: dict[str, Material]) -> None:
    plan = ShardPlan("train", "background", "grass", "on grass", "grass", 0, 2, 1)
    table, members = compose_shard(plan, CLASSES, material["grass"], RANGES, PROMPTS, 64, masks=True)
    names = [name for name, _ in members]
    assert sorted(names) == sorted([*table["member"], *map(mask_member, table["sample"])])
    assert table["mask_digest"].nunique() == len(table)
    bare, without = compose_shard(plan, CLASSES, material["grass"], RANGES, PROMPTS, 64)
    assert len(without) == len(bare)
    assert bare["mask_digest"].eq("").all()
    assert bare["guide_digest"].equals(table["guide_digest"])
