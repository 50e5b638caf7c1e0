"""The same items for Label Studio and Mechanical Turk."""

import json
from xml.etree import ElementTree

import pandas as pd
import pytest

from d3s.annotation.tools import (
    LARGEST_LAYOUT,
    address_of_images,
    deal_items,
    describe_items,
    label_studio_config,
    label_studio_tasks,
    mechanical_turk_layout,
    mechanical_turk_rows,
)

HOSTILE = "</script><img src=x onerror=alert(1)>"
CLASSES = {0: {"label": HOSTILE, "definition": "=1+1"}, 1: {"label": "box", "definition": "a thing\nwith corners"}}
ITEMS = pd.DataFrame(
    {"batch": 1, "item": ["i1", "i2", "i3"], "key": "k", "class_id": [0, 1, 1], "background": ["sea", "sea", "sea"]}
)
DESCRIBED = describe_items(ITEMS, CLASSES, {"sea": "at sea"}, "https://images.example.org/")


def test_label_studio_asks_what_the_reader_reads() -> None:
    config = ElementTree.fromstring(label_studio_config())
    questions = {choices.get("name"): [one.get("value") for one in choices] for choices in config.iter("Choices")}
    assert questions == {name: ["yes", "no", "unsure"] for name in ("object", "unsafe", "background")}
    keys = [choice.get("hotkey") for choice in config.iter("Choice")]
    assert len(set(keys)) == len(keys) == 9
    asked = {part.get("value", "").removeprefix("$") for part in config.iter() if part.get("value", "").startswith("$")}
    data = json.loads(label_studio_tasks(DESCRIBED))[0]["data"]
    assert asked <= set(data)
    assert data["image"] == "https://images.example.org/i1.jpg"
    assert data["question_object"] == f"Is this in the picture: {HOSTILE}?"
    assert data["question_background"] == "Is the place “at sea”?"


def test_mechanical_turk_takes_rows_of_several_items_and_nothing_in_them_is_markup() -> None:
    table = mechanical_turk_rows(DESCRIBED, per_task=2)
    assert table[["item_1", "item_2"]].values.tolist() == [["i1", "i2"], ["i3", ""]]
    assert table.at[0, "label_1"] == "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"
    assert table.at[0, "definition_1"] == "'=1+1", "no formula"
    assert table.at[0, "definition_2"] == "a thing with corners"
    layout = mechanical_turk_layout(2)
    assert {name for name in table if f"${{{name}}}" in layout} >= {"label_1", "definition_2", "image_2"}
    assert all(f'name="{question}_2"' in layout for question in ("object", "unsafe", "background"))


@pytest.mark.parametrize("count", [30, 33])
def test_every_task_has_its_share_of_gold(count: int) -> None:
    described = [{"item": f"{number * 37 % 100:03d}"} for number in range(count)]
    gold = [number < 6 for number in range(count)]
    dealt = deal_items(described, gold, per_task=10)
    assert sorted(item["item"] for item in dealt) == sorted(item["item"] for item in described)
    known = {item["item"] for item in described[:6]}
    tasks = [dealt[start : start + 10] for start in range(0, count, 10)]
    shares = [len(known & {item["item"] for item in task}) for task in tasks]
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("address", "expected"),
    [("", ""), ("https://host/images", "https://host/images/"), ("https://host/i/", "https://host/i/"), ("?d=", "?d=")],
)
def test_an_address_is_that_of_a_folder(address: str, expected: str) -> None:
    assert address_of_images(address) == expected


def test_the_layout_stays_below_mechanical_turks_limit() -> None:
    assert len(mechanical_turk_layout(50).encode()) < LARGEST_LAYOUT
    with pytest.raises(ValueError, match="65535 are the most"):
        mechanical_turk_layout(500)
