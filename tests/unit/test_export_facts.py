"""What is counted of an export, and what is said of its limits."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from d3s.export.facts import Facts, gather_facts
from d3s.export.images import MADE_WITH
from d3s.export.records import choose_rows
from small import CLASSES, Small, about_small, make_small, record_of


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return make_small(tmp_path_factory.mktemp("small"))


def facts_of(manifest: pd.DataFrame, which: str = "accepted", **export: Any) -> Facts:
    rows = choose_rows(manifest, which)
    made = {name: record_of("val", "sand", CLASSES[0], 0)[name] for name in MADE_WITH}
    made_with = pd.DataFrame([made] * len(rows))
    return gather_facts(manifest, rows, made_with, Counter({(16, 16): len(rows)}), about_small(**export))


def said(facts: Facts, words: str) -> list[str]:
    return [limit for limit in facts.limits if words in limit]


def test_splits_sets_and_cells_are_counted(small: Small) -> None:
    facts = facts_of(small.manifest)
    assert facts.images == 18
    train, val = facts.splits
    assert (train["images"], train["sets"], train["complete"]) == (11, 6, 5)
    assert (val["images"], val["sets"], val["complete"]) == (7, 4, 3)
    assert facts.cells["val"].to_dict() == {"sand": {"zebra": 2, "apple": 2}, "st.moritz": {"zebra": 2, "apple": 1}}
    assert facts.outcomes[0] == {"status": "ok", "train": 11, "val": 7}
    assert said(facts, "2 of 10 matched sets (20.0 %) are not complete")


def test_what_a_classifier_accepted_is_never_said_to_be_human(small: Small) -> None:
    facts = facts_of(small.manifest)
    assert facts.verified == [{"verified_by": "model", "train": 11, "val": 7}]
    assert (facts.votes, facts.voted, facts.judges) == (0, 0, ["lite1"])
    assert said(facts, "No person decided about 18 images (100.0 %): a classifier alone did (lite1)")


def test_people_are_counted_where_they_decided(small: Small) -> None:
    manifest = small.manifest.copy()
    voted = manifest.index[manifest["accepted"]][:4]
    manifest.loc[voted, ["verified_by", "votes", "decision"]] = ["human", 5, "accepted"]
    facts = facts_of(manifest)
    assert (facts.votes, facts.voted) == (20, 4)
    assert said(facts, "No person decided about 14 images (77.8 %)")
    everybody = facts_of(manifest.assign(verified_by="human"))
    assert not said(everybody, "No person decided")
    nobody = facts_of(manifest.assign(verified_by="none"))
    assert said(nobody, "Neither a person nor a classifier judged 18 images")


def test_rejected_images_are_told_in_either_kind_of_export(small: Small) -> None:
    assert said(facts_of(small.manifest), "Of 19 generated images, 1 (5.3 %) were rejected and left out")
    assert said(facts_of(small.manifest, which="all"), "1 image of the export were rejected")


def test_an_overlap_of_the_splits_is_counted_and_said(small: Small) -> None:
    assert set(facts_of(small.manifest).shared.values()) == {0}
    assert not said(facts_of(small.manifest), "in common")
    leaking = small.manifest.copy()
    leaking.loc[leaking["split"] == "val", "exemplar"] = leaking.loc[leaking["split"] == "val", "class_name"] + "-train"
    facts = facts_of(leaking)
    assert facts.shared["exemplars"] == 2
    assert said(facts, "Train and val have 2 exemplars in common")


def test_panoramas_may_show_in_both_splits_and_are_counted(small: Small) -> None:
    assert facts_of(small.manifest).panoramas == 2


def test_sources_come_with_their_licences_and_unknown_ones_are_said(small: Small) -> None:
    facts = facts_of(small.manifest)
    found = {(row["source"], row["what"]): row for row in facts.sources}
    assert found["stamps", "foregrounds"]["licence"] == "GPL-2.0-only"
    assert found["panoramas", "backgrounds"]["images"] == 18
    assert found["", "foregrounds"]["pictures"] == 2
    assert said(facts, "No licence is recorded for 2 pictures")


def test_exemplars_that_no_table_lists_have_the_licence_that_the_config_names(small: Small) -> None:
    about = about_small()
    chosen = {**about.settings, "foregrounds": {"licence_source": "stamps"}}
    rows = choose_rows(small.manifest, "accepted")
    made_with = pd.DataFrame([{name: record_of("val", "sand", CLASSES[0], 0)[name] for name in MADE_WITH}] * len(rows))
    facts = gather_facts(
        small.manifest, rows, made_with, Counter({(16, 16): len(rows)}), replace(about, exemplars=[], settings=chosen)
    )
    (foregrounds,) = [row for row in facts.sources if row["what"] == "foregrounds"]
    assert (foregrounds["licence"], foregrounds["images"]) == ("GPL-2.0-only", len(rows))
    assert not said(facts, "No licence is recorded")


def test_a_panorama_counts_as_one_picture_and_a_folder_as_its_photographs(small: Small) -> None:
    def pictures_of(templates: list[dict[str, str]]) -> dict[str, tuple[int, int]]:
        rows = choose_rows(manifest, "accepted")
        made_with = pd.DataFrame([{name: record_of("val", "sand", CLASSES[0], 0)[name] for name in MADE_WITH}] * 18)
        about = replace(about_small(), templates=templates)
        facts = gather_facts(manifest, rows, made_with, Counter({(16, 16): len(rows)}), about)
        return {
            row["source"]: (row["pictures"], row["images"]) for row in facts.sources if row["what"] == "backgrounds"
        }

    manifest = small.manifest.copy()
    manifest["template_group"] = [
        f"pan-{background}:{number % 3}"
        for number, background in zip(range(len(manifest)), manifest["background"], strict=True)
    ]
    sand, other = about_small().templates
    assert pictures_of([sand, other]) == {"panoramas": (2, 18)}
    assert pictures_of([dict(sand, kind="folder", source="sand"), other])["sand"][0] == 3
    assert pictures_of([dict(sand, kind="archive", source="sand"), other])["panoramas"][0] == 1
    assert pictures_of([dict(sand), dict(other, template_source="else")])[""][0] == 1, "no table lists it: no licence"


def test_a_missing_licence_of_the_data_set_is_a_limit(small: Small) -> None:
    assert not said(facts_of(small.manifest), "No licence is stated")
    assert said(facts_of(small.manifest, licence=""), "No licence is stated for the data set as a whole")


def test_a_class_that_a_split_lacks_is_named(small: Small) -> None:
    manifest = small.manifest
    lacking = manifest[(manifest["split"] == "train") | (manifest["class_name"] == "zebra")]
    facts = facts_of(lacking)
    assert said(facts, "val has no image of apple")
    assert facts.cells["val"].loc["apple"].tolist() == [0, 0], "it keeps its row, and its number"


def test_the_place_of_the_model_on_the_disk_is_not_told(small: Small) -> None:
    (generator,) = facts_of(small.manifest).generators
    assert generator["model"] == "dreamer"
    assert generator["images"] == 18


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("image2image", "painted this guide anew"),
        ("inpainting", "kept its pixels"),
        ("text2image", "had no part in it"),
    ],
)
def test_what_the_model_was_given_is_told(small: Small, mode: str, told: str) -> None:
    made = {name: record_of("val", "sand", CLASSES[0], 0)[name] for name in MADE_WITH} | {"mode": mode}
    rows = small.manifest[small.manifest["accepted"]]
    facts = gather_facts(small.manifest, rows, pd.DataFrame([made] * len(rows)), Counter({(16, 16): 1}), about_small())
    assert len(facts.modes) == 1
    assert told in facts.modes[0]


def test_of_imported_images_nothing_is_said_that_is_not_known(small: Small) -> None:
    unknown = dict.fromkeys(("exemplar", "split_group", "template", "template_group"), "")
    manifest = small.manifest.assign(**unknown, matched_set=small.manifest["sample"], set_complete=False)
    rows = manifest[manifest["accepted"]]
    made = dict.fromkeys(MADE_WITH, "") | {"mode": "released"}
    facts = gather_facts(manifest, rows, pd.DataFrame([made] * len(rows)), Counter({(16, 16): 1}), about_small())
    assert facts.imported
    assert [(row["exemplars"], row["templates"]) for row in facts.splits] == [(0, 0), (0, 0)]
    assert facts.shared == {"images": 0}
    assert facts.sources == []
    assert said(facts, "went into 18 images was not recorded")
    assert not said(facts, "matched sets") + said(facts, "cut-out in train")


def test_facts_do_not_depend_on_the_folder(small: Small, tmp_path: Path) -> None:
    other = make_small(tmp_path)
    assert facts_of(other.manifest).limits == facts_of(small.manifest).limits
