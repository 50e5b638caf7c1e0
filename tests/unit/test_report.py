"""The report: self-contained, escaped, and standing even where tables are missing."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from d3s.errors import D3SError
from d3s.figures import FIGURES, write_figure
from d3s.report import Sources, render
from d3s.report_pictures import inline_svg
from d3s.report_text import percent, points
from d3s.result_tables import load_table
from d3s.roles import with_roles
from encoder_tables import feature_map_table, training_table
from evaluation_tables import ROLES, evaluation_tables

HOSTILE = "<script>alert(1)</script>"


class Tags(HTMLParser):
    """Collects the tags and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "srcset", "action", "data")]


def read_tags(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def sources_in(folder: Path) -> Sources:
    """What ``made`` wrote, by its place."""
    return Sources(
        manifest=folder / "manifest.parquet",
        counts=folder / "counts.csv",
        evaluation=sorted((folder / "evaluation").glob("*.csv")),
        roles=ROLES,
        fragile=folder / "fragile_sets.json",
        probes=folder / "probes.csv",
        probes_paired=folder / "probes_paired.csv",
        spurious=folder / "spurious.csv",
        nearest=folder / "nearest.csv",
        sources=folder / "sources.csv",
        figures=[folder / f"{name}.svg" for name in FIGURES],
        contact_sheet=folder / "sheet.json",
        templates=folder / "templates.json",
        calibration=folder / "calibration.csv",
        annotators=folder / "annotators.csv",
        agreement=folder / "agreement.csv",
        settings=folder / "settings.json",
        benchmarks=[folder / "benchmarks"],
    )


@pytest.fixture
def given(made: Path, tmp_path: Path) -> Sources:
    """Results of one's own to spoil; drawing them anew for each test would take a second."""
    return sources_in(Path(shutil.copytree(made, tmp_path / "results")))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small results, with hostile names wherever a name can stand."""
    tmp_path = tmp_path_factory.mktemp("made")
    manifest = [
        {"sample": f"{split}-{n}", "split": split, "class_id": 0, "class_name": HOSTILE, "background": "grass"}
        | {
            "matched_set": f"{split}-{n}",
            "exemplar": f"bird{n}",
            "member": f"{n}.png",
            "status": "ok" if n else "off_class",
        }
        | {
            "reason": "" if n else HOSTILE,
            "votes": 0,
            "verified_by": "model",
            "accepted": bool(n),
            "set_complete": bool(n),
        }
        for split in ("train", "val")
        for n in range(4)
    ]
    counts = [
        {"split": split, "background": "grass", "class_id": 0, "class_name": HOSTILE, "status": status, "n": n}
        for split in ("train", "val")
        for status, n in (("ok", 3), ("off_class", 1))
    ]
    probes = [
        {"objective": objective, "seed": seed, "features": features, "target": target, "probe": "linear"}
        | {
            "fitted_on": fitted_on,
            "evaluated_on": evaluated_on,
            "metric": "top1",
            "value": 0.9 if features == target else 0.456,
        }
        | {"ci_low": 0.3, "ci_high": 0.95, "chance": 0.125, "n": 48}
        for objective in ("erm", "wasserstein")
        for seed in ("0", "1", "2", "mean")
        for features in ("foreground", "background", "all")
        for target in ("foreground", "background")
        for fitted_on in ("val_crossfit", "train")
        for evaluated_on in ("images", "guides")
    ]
    paired = [
        {"objective": "wasserstein", "features": features, "target": target, "fitted_on": "val_crossfit"}
        | {"evaluated_on": "images", "difference": -0.123, "ci_low": -0.2, "ci_high": -0.01, "n": 48, "seeds": 3}
        for features, target in (("foreground", "background"), ("background", "foreground"))
    ]
    spurious = [
        {"objective": "erm", "seed": "mean", "features": "all", "pairing": "mean", "rho": rho}
        | {"method": "erm", "target": "foreground", "tested_on": tested_on, "metric": "top1", "value": value, "n": 24}
        | {"ci_low": value - 0.1, "ci_high": value + 0.1}
        for rho in (0.5, 1)
        for tested_on, value in (("images_cor", 0.95), ("images_anticorr", 0.85 - rho / 2))
    ]
    calibration = [
        {
            "scope": scope,
            "name": name,
            "kind": kind,
            "threshold": 0.1,
            "n": 40,
            "undecided": 2,
            "accepted": 30,
            "kept": 33,
        }
        | {"precision": 0.9, "precision_low": 0.8, "precision_high": 0.95, "recall": 0.7, "recall_low": 0.6}
        | {"recall_high": 0.8, "held_out_precision": 0.87 if kind == "for_precision" else ""}
        for scope, name, kind in (
            ("all", "all", "in_force"),
            ("class", HOSTILE, "in_force"),
            ("all", "all", "for_precision"),
            ("all", "all", "curve"),
        )
    ]
    person = {"worker": "0a1b2c", "votes": 40, "gold": 6, "gold_right": 2, "repeats_same": 0.75, "seconds": 3.2}
    agreement = [{"question": "object", "alpha": 0.61, "ci_low": 0.5, "ci_high": 0.7, "images": 40, "votes": 200}]
    tables = {
        "calibration": write_csv(tmp_path / "calibration.csv", calibration),
        "annotators": write_csv(tmp_path / "annotators.csv", [person | {"excluded": True, "reason": HOSTILE}]),
        "agreement": write_csv(tmp_path / "agreement.csv", agreement),
        "counts": write_csv(tmp_path / "counts.csv", counts),
        "probes": write_csv(tmp_path / "probes.csv", probes),
        "probes_paired": write_csv(tmp_path / "probes_paired.csv", paired),
        "spurious": write_csv(tmp_path / "spurious.csv", spurious),
        "training": write_csv(tmp_path / "training.csv", training_table().to_dict("records")),
        "feature_map": write_csv(
            tmp_path / "feature_map.csv", feature_map_table((HOSTILE,), (HOSTILE, "grass")).to_dict("records")
        ),
        "nearest": write_csv(tmp_path / "nearest.csv", [{"measure": "nearer_to_a_train_image", "value": 0.25, "n": 8}]),
        "sources": write_csv(tmp_path / "sources.csv", [{"source": "stamps", "licence": f"GPL-2 {HOSTILE}"}]),
    }
    for name, table in evaluation_tables(backgrounds=(HOSTILE, "grass"), classes=(HOSTILE,)).items():
        tables[name] = write_csv(tmp_path / "evaluation" / f"{name}.csv", table.to_dict("records"))
    pd.DataFrame(manifest).to_parquet(tmp_path / "manifest.parquet")
    for name, (source, columns, _) in FIGURES.items():
        write_figure(tmp_path / f"{name}.svg", with_roles(load_table(tables[source], columns), ROLES))
    picture = "data:image/jpeg;base64,AAAA"
    cell = {"class_id": 0, "background": "grass", "sample": HOSTILE, "status": "off_class", "reason": ""}
    cell |= {"accepted": False, "in_set": True, "image": picture, "guide": picture}
    sheet = {"classes": [{"id": 0, "name": HOSTILE}], "classes_in_all": 3, "backgrounds": ["grass"], "cells": [cell]}
    (tmp_path / "sheet.json").write_text(json.dumps(sheet))
    cell = {"background": "grass", "sample": HOSTILE, "right": [], "wrong": ["lite2"], "alt": HOSTILE, "image": picture}
    cell |= {"taken_for": {"lite2": HOSTILE}, "mostly": HOSTILE}
    row = {"class_name": HOSTILE, "fragility": 0.5, "exemplar": HOSTILE, "matched_set": HOSTILE, "cells": [cell]}
    part = {"shift": "background", "backgrounds": ["grass"], "judges": ["lite2"], "rows": [row]}
    (tmp_path / "fragile_sets.json").write_text(json.dumps({"parts": [part]}))
    seen = {"template": HOSTILE, "background": HOSTILE, "split": "val", "target_class": "water_bird"}
    review = {"templates": 9, "flagged": [seen | {"probability": 0.834, "picture": picture}], "flagged_in_all": 3}
    review |= {"left_out": False, "max_probability": 0.5, "unlicensed": []}
    review["refused"] = [{"template": "a", "background": "grass", "split": "", "status": "empty", "reason": HOSTILE}]
    review["unlicensed"] = [{"what": "backgrounds", "source": "", "rows": 1234}]
    (tmp_path / "templates.json").write_text(json.dumps(review))
    (tmp_path / "settings.json").write_text(json.dumps({"prompt": HOSTILE, "seed": 0}))
    job = tmp_path / "benchmarks" / "generate_images" / "0.tsv"
    job.parent.mkdir(parents=True)
    job.write_text("s\th:m:s\tmax_rss\n90.0\t0:01:30\t512.5\n")
    return tmp_path


def test_the_page_needs_nothing_else(given: Sources) -> None:
    tags = read_tags(render(given))
    assert all(address.startswith(("#", "data:")) for address in tags.addresses)
    assert not {"script", "link", "iframe", "object", "embed"} & set(tags.tags)
    assert tags.tags.count("svg") == len(FIGURES) + 1
    assert "@import" not in render(given)


def test_hostile_names_are_escaped(given: Sources) -> None:
    page = render(given)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 5


def test_the_same_inputs_give_the_same_page(given: Sources) -> None:
    assert render(given) == render(given)


def test_ids_are_unique_and_references_meet_them(given: Sources) -> None:
    page = render(given)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    references = re.findall(r'href="#([^"]+)"', page) + re.findall(r"url\(#([^)]+)\)", page)
    assert set(references) <= set(ids)


def test_the_page_says_its_numbers(given: Sources) -> None:
    text = re.sub(r"\s+", "", re.sub(r"<[^>]+>", "", render(given)))
    for said in (
        "6 accepted",
        "43.3 % of val images recognised by lite2",
        "images reach 68 % of that",
        "37.5 % of matched sets flip for lite2",
        "checked by a model and by no human",
        "“model” in 8",
        "\u221212.3 \u221220.0 to \u22121.0",
        "90.0 %",
        "1.5 min",
        "512 MB",
        "\u221260.0",
        "25.0 %",
        "1 of 3 classes are shown",
        "object 0.61 0.50 to 0.70 40 200",
        "0a1b2c 40 2 of 6 75 % 3.2 s",
        "wanted precision all 0.1 40 2 33 90.0 % 80.0 to 95.0 70.0 % 60.0 to 80.0 87.0 %",
    ):
        assert said.replace(" ", "") in text, said


def test_people_are_named_when_they_looked(given: Sources) -> None:
    assert given.manifest is not None
    table = pd.read_parquet(given.manifest)
    table.loc[0, "verified_by"] = "human"
    table.loc[[0, 1], "votes"] = [5, 2]
    table.to_parquet(given.manifest)
    page = render(given)
    assert "by no human" not in page
    assert "People voted on 2 of 8 images and decided about 1; a model alone decided about 7" in page


def test_without_any_table_the_page_stands() -> None:
    page = render(Sources())
    assert page.count("Not in this run") >= 8
    assert "by no human" not in page


@pytest.mark.parametrize("name", ["manifest", "probes", "probes_paired", "spurious", "nearest", "sources"])
def test_one_missing_table_leaves_the_others(given: Sources, name: str, tmp_path: Path) -> None:
    absent: Any = {name: tmp_path / "absent"}
    page = render(replace(given, **absent))
    assert "Not in this run" in page
    assert page.rstrip().endswith("</html>")


def test_a_table_with_a_header_alone_counts_as_missing(given: Sources) -> None:
    for path in (given.probes, *given.evaluation, given.spurious):
        assert path is not None
        path.write_text(path.read_text().splitlines()[0] + "\n")
    assert render(given).count("Not in this run") >= 3


def test_a_contact_sheet_with_foreign_addresses_is_refused(given: Sources) -> None:
    assert given.contact_sheet is not None
    text = given.contact_sheet.read_text().replace("data:image/jpeg;base64,AAAA", "https://example.org/a.jpg")
    given.contact_sheet.write_text(text)
    with pytest.raises(D3SError, match="no JPEG"):
        render(given)


def change_review(given: Sources, **changed: object) -> None:
    assert given.templates
    given.templates.write_text(json.dumps(json.loads(given.templates.read_text()) | changed))


def test_templates_to_look_at_are_shown_with_what_was_seen(given: Sources) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", render(given)))
    for said in ("water bird 83", "over 50", "2 more are flagged", "none named1,234", "They were used all the same"):
        assert said in text.replace("\u00a0", " "), said
    change_review(given, left_out=True)
    assert "They were left out" in render(given)


def test_templates_that_nobody_has_to_look_at_have_no_section(given: Sources) -> None:
    change_review(given, flagged=[], flagged_in_all=0, refused=[], unlicensed=[])
    assert "Templates to look at" not in render(given)
    assert 'id="templates"' not in render(given)


def test_a_review_of_templates_that_is_none_is_refused(given: Sources) -> None:
    change_review(given, flagged=[{"template": "x", "probability": 0.9, "picture": "https://example.org/x.jpg"}])
    with pytest.raises(D3SError, match="no JPEG"):
        render(given)
    change_review(given, refused=None)
    with pytest.raises(D3SError, match="no review"):
        render(given)


def test_a_drawing_with_a_script_becomes_a_picture() -> None:
    found = inline_svg('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "x")
    assert found.startswith('<img class="figure" src="data:image/svg+xml;base64,')


def test_numbers_as_text() -> None:
    assert percent(0.8288) == "82.9\u00a0%"
    assert percent(None) == percent(float("nan")) == "\u2013"
    assert points(-0.0512) == "\u22125.1"
