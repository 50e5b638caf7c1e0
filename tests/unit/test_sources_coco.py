"""COCO as a source of exemplars: each object of a category, and photographs that stay in one split."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pycocotools import mask as coco

from d3s.errors import BadInput, D3SError
from d3s.exemplars import ExemplarSettings, prepare_exemplars
from d3s.imageio import decode_png
from d3s.sources.coco import CocoSource
from pictures import class_row, make_coco, source_settings

CAT = class_row(0, "kitten", label="cat")
ALL = ExemplarSettings(256, 8, 0, 0.4, 1, {"train": 50, "val": 50})
BOX = [[10, 10, 40, 10, 40, 40, 10, 40]]


def runs(packed: bool) -> dict[str, Any]:
    """A square from (20, 5) to (50, 35), as run lengths."""
    mask = np.zeros((60, 80), np.uint8)
    mask[5:35, 20:50] = 1
    if packed:
        return {"size": [60, 80], "counts": coco.encode(np.asfortranarray(mask))["counts"].decode()}
    flat = np.concatenate([[0], mask.flatten(order="F")])
    edges = np.flatnonzero(np.diff(flat))
    return {"size": [60, 80], "counts": np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()}


def source(folder: Path, annotations: list[dict[str, Any]], **given: object) -> CocoSource:
    file, images = make_coco(folder, annotations)
    return CocoSource(source_settings(kind="coco", annotations=file, images=images, min_area=100, **given))


def prepare(given: CocoSource, *classes: dict[str, str]) -> tuple[pd.DataFrame, dict[str, Image.Image]]:
    table, members = prepare_exemplars(given, classes or [CAT], ALL)
    return table.set_index("exemplar"), {name.removesuffix(".png"): decode_png(data) for name, data in members}


def test_polygons_and_both_kinds_of_run_lengths_are_cut_out(tmp_path: Path) -> None:
    given = source(
        tmp_path,
        [
            {"image_id": 1, "segmentation": BOX},
            {"image_id": 2, "segmentation": runs(packed=True)},
            {"image_id": 3, "segmentation": runs(packed=False)},
        ],
    )
    table, pictures = prepare(given)
    assert set(table["status"]) == {"ok"}
    assert {picture.size for picture in pictures.values()} == {(30, 30)}
    name = "kitten-000000000002-101"
    own = table.loc[name]
    assert own["image"] == str(tmp_path / "val2017" / "000000000002.jpg")
    assert own["mask"] == f"{tmp_path}/instances_val2017.json: annotation 101"
    expected = Image.open(own["image"]).crop((20, 5, 50, 35))
    assert pictures[name].convert("RGB").tobytes() == expected.tobytes()


def test_each_object_of_a_photograph_is_an_exemplar_in_one_split(tmp_path: Path) -> None:
    far = [[45, 20, 75, 20, 75, 55, 45, 55]]
    rows = [{"image_id": image, "segmentation": shape} for image in (1, 2, 3, 4) for shape in (BOX, far)]
    table, _ = prepare(source(tmp_path, rows))
    assert len(table) == 8
    assert (table.groupby("split_group")["split"].nunique() == 1).all()
    assert table["split_group"].nunique() == 4


def test_a_photograph_of_two_classes_is_in_one_split(tmp_path: Path) -> None:
    far = [[45, 20, 75, 20, 75, 55, 45, 55]]
    rows = [
        {"image_id": image, "segmentation": shape, "category_id": category}
        for image in (1, 2, 3, 4)
        for shape, category in ((BOX, 17), (far, 10))
    ]
    table, _ = prepare(source(tmp_path, rows), CAT, class_row(1, "light", label="traffic light"))
    assert table["class_id"].value_counts().to_dict() == {0: 4, 1: 4}
    assert (table.groupby("split_group")["split"].nunique() == 1).all()


def test_crowds_small_objects_and_those_at_the_edge_are_passed_over(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"image_id": 1, "segmentation": BOX},
        {"image_id": 1, "segmentation": runs(packed=False), "iscrowd": 1},
        {"image_id": 2, "segmentation": BOX, "area": 99.0},
        *({"image_id": 3, "segmentation": BOX, "bbox": box} for box in ([0, 10, 30, 30], [10, 10, 69.5, 30])),
        {"image_id": 3, "segmentation": BOX, "bbox": [10, 29.5, 30, 30]},
        {"image_id": 4, "segmentation": BOX, "category_id": 10},
    ]
    given = source(tmp_path, rows)
    assert [candidate.exemplar for candidate in given.candidates(CAT)] == ["kitten-000000000001-100"]
    also = CocoSource({**given.given, "cut_off": True})
    assert len(also.candidates(CAT)) == 4


@pytest.mark.parametrize(
    ("row", "status", "told"),
    [
        ({"segmentation": [[1, 2, 3]]}, "bad_annotation", "three points"),
        ({"segmentation": {"size": [60, 80], "counts": [1, 2]}}, "bad_annotation", "cover 3 of 4800"),
        ({"segmentation": {"size": [60, 80], "counts": "nonsense!"}}, "bad_annotation", "run lengths"),
        ({"segmentation": [[50, 50, 50, 50, 50, 50]]}, "empty_mask", "nothing of"),
        ({"segmentation": BOX, "image_id": 77}, "no_image", "image 77, which the file doesn't list"),
    ],
)
def test_an_annotation_that_can_not_be_used_is_a_row(tmp_path: Path, row: dict, status: str, told: str) -> None:
    table, _ = prepare(source(tmp_path, [{"image_id": 1} | row, {"image_id": 2, "segmentation": BOX}]))
    assert sorted(table["status"]) == sorted(["ok", status])
    (bad,) = table[table["status"] != "ok"].itertuples()
    assert told in bad.reason
    assert "annotation 100" in bad.mask


def test_images_that_are_gone_resized_or_lead_elsewhere_are_rows(tmp_path: Path) -> None:
    given = source(tmp_path, [{"image_id": number, "segmentation": BOX} for number in (1, 2, 3, 4)])
    images = Path(given.given["images"])
    (images / "000000000001.jpg").unlink()
    Image.open(images / "000000000002.jpg").resize((40, 30)).save(images / "000000000002.jpg")
    file = Path(given.given["annotations"])
    file.write_text(file.read_text().replace("000000000003.jpg", "../../secret.jpg"))
    table, _ = prepare(given)
    assert table["status"].value_counts().to_dict() == {"missing": 1, "mask_size": 1, "bad_annotation": 1, "ok": 1}
    assert table.loc[table["status"] == "mask_size", "reason"].str.contains("is 40 x 30, and .* says 80 x 60").all()
    assert table.loc[table["status"] == "bad_annotation", "reason"].str.contains("leads out of its folder").all()


def test_a_class_takes_the_category_of_its_label_or_the_one_that_is_given(tmp_path: Path) -> None:
    given = source(tmp_path, [{"image_id": 1, "segmentation": BOX}])
    assert len(given.candidates(class_row(0, "anything", label="cat"))) == 1
    named = CocoSource({**given.given, "categories": {"kitty": "cat"}})
    assert len(named.candidates(class_row(0, "kitty"))) == 1
    with pytest.raises(BadInput, match=r"no category 'kat'; did you mean 'cat'\? \(name it by .*categories: kat:\)"):
        given.candidates(class_row(0, "kat"))


def test_an_unknown_category_is_a_row_and_the_others_are_used(tmp_path: Path) -> None:
    table, _ = prepare(source(tmp_path, [{"image_id": 1, "segmentation": BOX}]), CAT, class_row(1, "zebra"))
    assert table["status"].to_dict() == {"kitten-000000000001-100": "ok", "zebra": "unknown_category"}


def test_a_class_without_objects_says_so(tmp_path: Path) -> None:
    given = source(tmp_path, [{"image_id": 1, "segmentation": BOX, "area": 3}])
    with pytest.raises(BadInput, match=r"none of 1 objects of 'cat' .* lower min_area"):
        given.candidates(CAT)


def test_settings_that_can_not_work_are_named(tmp_path: Path) -> None:
    given = source(tmp_path, [{"image_id": 1, "segmentation": BOX}])
    given.check([CAT])
    with pytest.raises(D3SError, match="annotations: gone is not there"):
        CocoSource({**given.given, "annotations": "gone"}).check([CAT])
    with pytest.raises(D3SError, match="no class is named 'kiten'; did you mean 'kitten'"):
        CocoSource({**given.given, "categories": {"kiten": "cat"}}).check([CAT])


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"images": [], "annotations": []})])
def test_a_file_that_is_no_instances_file_is_refused(tmp_path: Path, text: str) -> None:
    given = source(tmp_path, [])
    Path(given.given["annotations"]).write_text(text)
    with pytest.raises(D3SError, match=r"instances_val2017\.json"):
        given.candidates(CAT)


def test_a_plan_looks_at_the_file_and_the_folder_alone(tmp_path: Path) -> None:
    given = source(tmp_path, [])
    assert given.watched([CAT]) == [given.given["annotations"], given.given["images"]]
