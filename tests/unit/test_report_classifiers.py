"""The report's section of classifiers: its numbers are those of the tables, and it stands whatever is missing."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from d3s.errors import D3SError
from d3s.report import Sources, render
from d3s.report_classifiers import TABLES, classifier_section
from evaluation_tables import MANY, ROLES, evaluation_tables

PICTURE = "data:image/jpeg;base64,AAAA"


@dataclass
class Results:
    """Tables of the evaluation in a folder of their own, to spoil."""

    folder: Path
    tables: dict[str, pd.DataFrame] = field(default_factory=evaluation_tables)
    roles: dict[str, str] = field(default_factory=lambda: dict(ROLES))

    def written(self) -> list[Path]:
        """The tables as files."""
        for name, table in self.tables.items():
            table.to_csv(self.folder / f"{name}.csv", index=False)
        return [self.folder / f"{name}.csv" for name in self.tables]

    def section(self, sets: Path | None = None) -> dict[str, Any]:
        """What the section is told."""
        found = classifier_section(self.written(), self.roles, sets)
        assert found is not None
        return found

    def page(self, sets: Path | None = None) -> str:
        """The text of the page's section, without its tags and with one blank between words."""
        page = render(Sources(evaluation=self.written(), roles=self.roles, fragile=sets))
        section = re.findall(r'<section id="classifiers">.*?</section>', page, re.DOTALL)[0]
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", section).replace("&nbsp;", " "))


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path)


def write_sets(path: Path, judges: Sequence[str] = ("lite2",), image: str | None = PICTURE) -> Path:
    """Fragile sets as ``draw_fragile_sets`` writes them."""
    cells = [
        {"background": "forest", "sample": "s1", "right": list(judges), "wrong": [], "alt": "bird", "image": image}
        | {"taken_for": {}, "mostly": ""},
        {"background": "grass", "sample": "s2", "right": [], "wrong": list(judges), "alt": "bird", "image": image}
        | {"taken_for": dict.fromkeys(judges, "fish"), "mostly": "fish"},
    ]
    row = {"class_name": "bird", "fragility": 0.6, "exemplar": "gull", "matched_set": "m", "cells": cells}
    part = {"shift": "background", "backgrounds": ["forest", "grass"], "judges": list(judges), "rows": [row]}
    path.write_text(json.dumps({"parts": [part]}))
    return path


def test_the_lead_says_the_judges_numbers(results: Results) -> None:
    text = results.page()
    for said in (
        "lite2 recognises 68.3 % (63.3 to 73.3; n = 40) of cut-outs on grey",
        "43.3 % (38.3 to 48.3; n = 40) of generated images",
        "From cut-outs on grey to generated images its accuracy changes by \u221251.7 points",
        "\u221251.7 points (\u221256.7 to \u221246.7; n = 40), within the same matched sets",
        "Its worst background is forest with 33.3 %",
        "are 23.4 points (18.4 to 28.4) apart",
        "they would be 11.1 (p = 0.012, so they do something)",
        "37.5 % (32.5 to 42.5; n = 40) of its complete matched sets (of 12 exemplars) flip",
        "+11.0 points (+6.0 to +16.0; n = 40) are the background's own",
        "by +7.7 points",
        "31.2 % (30.2 to 32.2) comes from the foreground",
        "28.8 % (27.8 to 29.8) comes from the background",
        "20.0 % (19.0 to 21.0) comes from foreground and background together",
        "by 12.3 % (7.3 to 17.3; n = 40) on average",
        "4.5 % would be seen if it were calibrated",
        "from a bootstrap over exemplars",
    ):
        assert said in text, said


def test_a_spread_that_chance_would_give_is_called_so(results: Results) -> None:
    effects = results.tables["background_effects"]
    effects.loc[effects["metric"] == "spread", "p_value"] = 0.2
    assert "p = 0.20, so this alone does not show that they do" in results.page()


def test_an_excess_that_may_be_nothing_is_called_so(results: Results) -> None:
    effects = results.tables["background_effects"]
    effects.loc[effects["metric"] == "background_flip_excess", "ci_low"] = -0.02
    assert "and the interval holds zero" in results.page()


def test_the_ranking_has_every_number_of_a_classifier(results: Results) -> None:
    row = results.section()["ranking"][0]
    shown = {name: row[name]["value"].replace("\u00a0", " ") for name in ("top1", "accepted", "worst", "flips", "ece")}
    assert shown == {"top1": "70.0 %", "accepted": "80.0 %", "worst": "60.0 %", "flips": "37.5 %", "ece": "12.3 %"}
    assert (row["model"], row["family"], row["role"], row["at_work"]) == ("lite0", "family0", "backbone", True)
    assert (row["from_guides"]["value"], row["worst_background"]) == ("\u221220.0", "forest")


def test_those_with_a_part_in_the_data_are_named(results: Results) -> None:
    text = results.page()
    assert "lite0 had a part in the making of the data: the encoders are trained on its features" in text
    assert "lite1 had a part in the making of the data: it screened the images" in text
    assert "lite2, whose figures follow, had no part in it" in text


def test_without_roles_nobody_is_called_neutral(results: Results) -> None:
    results.roles = {}
    assert "had no part" not in results.page()
    assert results.section()["judge"] == "lite2"


def test_pairs_are_told_with_both_tests(results: Results) -> None:
    text = results.page()
    assert "p &lt; 0.05 after Holm's correction in 3 of 3 pairs" in text
    assert "By McNemar's alone it would be so in 0." in text
    assert "9 2 40 0.065 0.20 < 0.001 0.031".replace(" ", "") in text.replace("&lt;", "<").replace(" ", "")


def test_benchmarks_stand_apart_with_their_gap(results: Results) -> None:
    found = results.section()["benchmarks"]
    assert found["header"] == ["imagenet9", "imagenet9: background gap"]
    assert [cell["value"] for cell in found["rows"][0]["cells"]] == ["50.0\u00a0%", "+15.0"]


def test_weights_that_cannot_be_had_are_named_with_their_reason(results: Results) -> None:
    lost = [
        {"model": "flava", "family": "flava", "dataset": name, "status": "no_weights", "reason": "<b>no network</b>"}
        for name in ("guides", "images")
    ]
    results.tables["classifiers_status"] = pd.concat([results.tables["classifiers_status"], pd.DataFrame(lost)])
    found = results.section()["missing"]
    assert found == [
        {"model": "flava", "family": "flava", "status": "no weights", "reason": "<b>no network</b>", "datasets": "all"}
    ]
    assert "&lt;b&gt;no network" in results.page()


def test_if_no_classifier_could_be_had_the_reasons_remain(results: Results) -> None:
    results.tables = {
        "classifiers_status": pd.DataFrame(
            [{"model": "flava", "family": "", "dataset": "images", "status": "no_weights", "reason": "no network"}]
        ).reindex(columns=list(TABLES["classifiers_status"]))
    }
    assert "no network" in results.page()


def test_a_data_set_that_one_classifier_lacks_is_named(results: Results) -> None:
    table = results.tables["classifiers_status"]
    table.loc[(table["model"] == "lite1") & (table["dataset"] == "guides"), ["status", "reason"]] = ["bad", "truncated"]
    table.loc[(table["model"] == "lite0") & (table["dataset"] == "images"), "unread"] = 3
    found = results.section()
    assert [(row["model"], row["datasets"]) for row in found["missing"]] == [("lite1", "guides")]
    assert found["unread"] == [{"dataset": "images", "unread": "3", "unknown_class": "0", "missing": "0"}]


@pytest.mark.parametrize("name", [name for name in TABLES if name != "classifiers"])
def test_one_missing_table_leaves_the_others(results: Results, name: str) -> None:
    del results.tables[name]
    assert "lite2 recognises" in results.page()


def test_guides_alone_have_a_section(results: Results) -> None:
    table = results.tables["classifiers"]
    results.tables = {"classifiers": table[(table["dataset"] == "guides") & (table["metric"] == "top1")]}
    text = results.page()
    assert "lite2 recognises 63.3 %" in text
    assert "flip:" not in text


def test_without_matched_sets_the_page_does_not_speak_of_them(results: Results) -> None:
    effects = results.tables["background_effects"]
    kept = effects[effects["metric"].isin(("spread", "spread_by_chance", "worst_background", "effect"))]
    results.tables["background_effects"] = kept.assign(cluster="sample", shift="")
    text = results.page()
    assert "Without complete matched sets, backgrounds are compared over single pictures" in text
    assert "from a bootstrap over single pictures" in text
    assert "flip:" not in text


def test_one_classifier_without_the_crossed_design(results: Results) -> None:
    results.tables = evaluation_tables(models=("lite2",))
    results.tables["variance_shares"] = results.tables["variance_shares"][:0]
    text = results.page()
    assert "1 classifier, best" in text
    assert "Of the variance" not in text


def test_many_classifiers_are_cut_and_counted(results: Results) -> None:
    results.tables = {"classifiers": evaluation_tables(models=[*MANY, *(f"x{n}" for n in range(30))])["classifiers"]}
    assert "15 more classifiers stand in the table" in results.page()


def test_fragile_sets_have_signs_and_words(results: Results, tmp_path: Path) -> None:
    sets = write_sets(tmp_path / "sets.json", judges=("lite1", "lite2"))
    assert "62.5 % of 8 sets flip" in results.page(sets)
    page = render(Sources(evaluation=results.written(), roles=ROLES, fragile=sets))
    assert page.count('<span class="good" title="lite2">\u2713</span>') == 1
    assert page.count('<span class="bad" title="lite1: fish">\u2717</span>') == 1
    assert page.count(">fish</small>") == 1
    assert f'<img src="{PICTURE}" alt="bird" title="s1" class="good">' in page


def test_a_set_without_pictures_stands(results: Results, tmp_path: Path) -> None:
    assert "no picture" in results.page(write_sets(tmp_path / "sets.json", image=None))


def test_fragile_sets_that_are_none_are_refused(results: Results, tmp_path: Path) -> None:
    with pytest.raises(D3SError, match="no JPEG"):
        results.section(write_sets(tmp_path / "sets.json", image="https://example.org/a.jpg"))
    (tmp_path / "sets.json").write_text('{"parts": [{}]}')
    with pytest.raises(D3SError, match="no fragile sets"):
        results.section(tmp_path / "sets.json")
