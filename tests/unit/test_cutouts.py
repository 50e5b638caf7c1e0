"""Cut-outs on grey show what the guides of their matched sets show, at the same pixels."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from d3s.cutouts import GREY, paste_cutouts, plan_cutouts
from d3s.guides import Material, ShardPlan, compose_shard, mask_member
from d3s.imageio import image_digest
from material import CLASSES, PROMPTS, RANGES, make_material

PLAN = ShardPlan("val", "background", "", "", "", 0, 3, 7)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Material]:
    return make_material(tmp_path_factory.mktemp("material"))


def compose(material: Material, *revisions: int) -> tuple[pd.DataFrame, dict[str, Image.Image]]:
    planned = plan_cutouts(PLAN, revisions, CLASSES, material.exemplars, RANGES)
    table, members = paste_cutouts(planned, material.exemplars, material.exemplar_tar, 32)
    return table, {name: Image.open(io.BytesIO(data)) for name, data in members}


def test_pixels_of_the_object_equal_the_guides(material: dict[str, Material]) -> None:
    table, pictures = compose(material["grass"], 0)
    for background in ("grass", "sand"):
        plan = ShardPlan("val", "background", background, "", background, 0, 3, 7)
        guides, members = compose_shard(plan, CLASSES, material[background], RANGES, PROMPTS, 32, masks=True)
        drawn = {name: np.asarray(Image.open(io.BytesIO(data))) for name, data in members}
        assert set(guides["matched_set"]) == set(table["matched_set"])
        by_set = table.set_index("matched_set")
        for guide in guides.to_dict("records"):
            own = by_set.loc[guide["matched_set"]]
            shared = ["exemplar", "exemplar_digest", "split_group", "scale", "flip", "x", "y", "class_id", "revision"]
            assert [own[name] for name in shared] == [guide[name] for name in shared]
            mask = drawn[mask_member(guide["sample"])]
            cutout = np.asarray(pictures[own["member"]])
            assert (mask == 255).sum() > 20
            assert (cutout[mask == 255] == drawn[guide["member"]][mask == 255]).all()
            assert (cutout[mask == 0] == GREY).all()


def test_there_is_one_of_each_matched_set(material: dict[str, Material]) -> None:
    table, pictures = compose(material["grass"], 0)
    assert len(table) == len(CLASSES) * PLAN.count == len(pictures)
    assert table["matched_set"].is_unique
    assert table["sample"].is_unique
    assert table["guide_digest"].tolist() == [image_digest(pictures[name]) for name in table["member"]]


def test_backgrounds_of_another_revision_have_sets_of_their_own(material: dict[str, Material]) -> None:
    one, both = compose(material["grass"], 0)[0], compose(material["grass"], 1, 0, 1)[0]
    assert len(both) == 2 * len(one)
    assert both.head(len(one)).equals(one)
    assert both["matched_set"].is_unique


def test_a_class_without_exemplars_has_rows_that_say_so(material: dict[str, Material], tmp_path: Path) -> None:
    few = material["grass"].exemplars
    few = few.assign(status=few["status"].where(few["class_id"] != 1, "truncated"))
    table = plan_cutouts(PLAN, [0], CLASSES, few, RANGES)
    bad = table[table["class_id"] == 1]
    assert list(bad["status"]) == ["no_exemplar"] * 3
    assert (table[table["class_id"] == 0]["status"] == "ok").all()
