"""The card: its head is read by Hugging Face's library, its text shows names as text, whatever they are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from d3s.export.card import summarise
from d3s.export.facts import FEW
from d3s.markdown import one_line
from markdown_pages import HOSTILE, WORSE, rendered
from small import CLASSES, export_small, make_small


def card_of(folder: Path, classes: list[dict[str, str]] = CLASSES, **export: Any) -> tuple[Mapping[str, Any], str]:
    """The head and the text of the card of the small data set."""
    from d3s.export.dataset import export as write
    from d3s.export.folder import export_folder
    from small import about_small

    small = make_small(folder / "data", classes)
    with export_folder(folder / "export") as made:
        write(made, small.manifest, small.tars, about_small(classes, **export))
    text = (folder / "export" / "README.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


def test_hostile_names_are_text_in_the_whole_card(tmp_path: Path) -> None:
    classes = [{**CLASSES[0], "label": HOSTILE, "definition": WORSE}, CLASSES[1]]
    head, body = card_of(tmp_path, classes, title=HOSTILE, licence=f"{WORSE}\nlicense: mit", creators=[HOSTILE, WORSE])
    page = rendered(body)
    assert not {"script", "img", "a", "del", "hr"} & set(page.tags)
    assert page.tags.count("h1") == 1
    assert page.text.count(HOSTILE) == 3
    assert page.text.count(one_line(WORSE)) == 3
    assert head["pretty_name"] == HOSTILE
    assert (head["license"], head["license_name"]) == ("other", one_line(f"{WORSE} license: mit"))


def test_every_table_of_the_card_is_whole(tmp_path: Path) -> None:
    _, body = card_of(tmp_path)
    blocks = [block.splitlines() for block in body.split("\n\n") if block.lstrip().startswith("|")]
    assert len(blocks) == 10
    for block in blocks:
        assert len({line.replace("\\|", "").count("|") for line in block if line}) == 1, block[0]


def test_the_head_names_files_features_and_numbers(tmp_path: Path) -> None:
    head, _ = card_of(tmp_path)
    assert head["configs"][0]["data_files"] == [
        {"split": "train", "path": "data/train-*.parquet"},
        {"split": "val", "path": "data/val-*.parquet"},
    ]
    features = {row["name"]: row["dtype"] for row in head["dataset_info"]["features"]}
    assert features["image"] == "image"
    assert features["class"] == {"class_label": {"names": {"0": "zebra", "1": "apple"}}}
    assert [row["num_examples"] for row in head["dataset_info"]["splits"]] == [11, 7]
    assert head["license"] == "cc-by-4.0"
    assert head["size_categories"] == ["n<1K"]


@pytest.mark.parametrize(
    ("licence", "head"),
    [
        ("", {"license": "unknown"}),
        ("MIT", {"license": "mit"}),
        ("GPL-2.0-only", {"license": "other", "license_name": "GPL-2.0-only"}),
    ],
)
def test_licences_are_those_of_the_config(tmp_path: Path, licence: str, head: dict[str, str]) -> None:
    found, body = card_of(tmp_path, licence=licence)
    assert {name: found[name] for name in found if name.startswith("license")} == head
    assert f"Licence: {licence or 'not stated'}." in body


def test_the_card_says_what_was_counted(tmp_path: Path) -> None:
    _, body = card_of(tmp_path)
    for text in (
        "18 images of 2 classes on 2 backgrounds",
        "| train | 11 | 2 | 2 | 2 | 6 | 6 | 5 |",
        "| `zebra` | 2 | 3 |",
        "| `off_class` | 0 | 1 |",
        "| 18 | `dreamer` | `00112233445566778899aabbccddeeff` | `image2image` | `DDIMScheduler` | 20 | 0.55 | 2.5 "
        "| `float32` | 16 |",
        "No person has voted on any of these images.",
        "A classifier did (lite1)",
        "in common: 0 exemplars",
        "2 panoramas show in both",
        "GPL-2.0-only | Stamps &#124; and contributors |",
        "Image size in pixels: 16 x 16.",
        f"have fewer than {FEW} images: apple on st.moritz (1)",
        "Licence of the model: not stated in the head",
        'WebDataset("webdataset/train-{000000..000002}.tar"',
        "arXiv 2211.10370",
    ):
        assert text in body, text
    assert "/home/someone" not in body


def test_large_tables_are_summarised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("d3s.export.card.MOST_CLASSES", 1)
    _, body = card_of(tmp_path)
    assert "val: 4 pairs of class and background; the fewest images of one are 1, the median 2, the most 2" in body
    assert "The first 1 of 2" in body
    assert "| 1 | 12 |" not in body


def test_a_summary_counts_empty_pairs() -> None:
    import pandas as pd

    assert summarise(pd.DataFrame({"a": [0, 4], "b": [2, 6]})) == {
        "pairs": 4,
        "empty": 1,
        "fewest": 0,
        "median": 3,
        "most": 6,
    }


def test_equal_inputs_give_equal_cards(tmp_path: Path) -> None:
    small = make_small(tmp_path / "data")
    one, other = (export_small(small, tmp_path / name) / "README.md" for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
