"""Salient ImageNet: which features are core, which masks an image has, and where they lie on it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from d3s.errors import BadInput, D3SError
from d3s.salient_imagenet import core_features, list_masks, merge_masks
from pictures import TENCH, make_salient


def test_a_feature_is_spurious_by_three_answers(tmp_path: Path) -> None:
    _, table = make_salient(tmp_path / "salient", {TENCH: {"59": ["a"], "686": ["a"], "1696": ["a"]}})
    assert core_features(table, TENCH) == ["59", "686"]


def test_two_answers_are_not_enough(tmp_path: Path) -> None:
    table = tmp_path / "answers.csv"
    answers = ["separate_object", "background", "main_object", "main_object", "main_object"]
    rows = [f"{worker},{TENCH},0,1696,5,{answer},4.0,so" for worker, answer in enumerate(answers)]
    head = "WorkerId,Input.wordnet_id,Input.class_index,Input.feature_index,Input.feature_rank,Answer.main,c,r"
    table.write_text("\n".join([head, *rows]))
    assert core_features(table, TENCH) == ["1696"]


def test_images_have_the_masks_of_core_features_alone(tmp_path: Path) -> None:
    folder, _ = make_salient(tmp_path / "salient", {TENCH: {"59": ["a", "b"], "686": ["b"], "1696": ["c"]}})
    found = list_masks(folder, TENCH, ["59", "686"])
    assert {name: [file.parent.name for file in files] for name, files in found.items()} == {
        "a": ["feature_59"],
        "b": ["feature_59", "feature_686"],
    }
    assert all(file.is_file() for files in found.values() for file in files)


def test_a_name_that_leads_elsewhere_is_no_image(tmp_path: Path) -> None:
    folder, _ = make_salient(tmp_path / "salient", {TENCH: {"59": ["a"]}})
    (folder / TENCH / "image_names_map.csv").write_text("59\na\n../b\n..\n/etc/passwd\n")
    assert list(list_masks(folder, TENCH, ["59"])) == ["a"]


def test_masks_cover_the_central_square_that_networks_saw(tmp_path: Path) -> None:
    """224 of 256 of the shorter side: of 320 x 256, the columns from 48 to 272 and the rows from 16 to 240."""
    Image.new("L", (224, 224), 255).save(tmp_path / "mask.png")
    whole = np.asarray(merge_masks([tmp_path / "mask.png"], (320, 256)))
    assert whole.shape == (256, 320)
    assert np.flatnonzero(whole.any(axis=0))[[0, -1]].tolist() == [48, 271]
    assert np.flatnonzero(whole.any(axis=1))[[0, -1]].tolist() == [16, 239]
    assert whole[16:240, 48:272].min() == 255


def test_masks_are_merged_by_their_maximum_and_stay_soft(tmp_path: Path) -> None:
    for name, left, right in (("a", 200, 10), ("b", 50, 120)):
        mask = np.full((224, 224), left, np.uint8)
        mask[:, 112:] = right
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    whole = merge_masks([tmp_path / "a.png", tmp_path / "b.png"], (512, 512))
    assert (whole.getpixel((100, 256)), whole.getpixel((400, 256))) == (200, 120)


@pytest.mark.parametrize("sizes", [[(224, 200)], [(224, 224), (112, 112)]], ids=["not square", "of two sizes"])
def test_masks_of_another_size_are_refused(tmp_path: Path, sizes: list[tuple[int, int]]) -> None:
    files = [tmp_path / f"{number}.png" for number in range(len(sizes))]
    for file, size in zip(files, sizes, strict=True):
        Image.new("L", size, 255).save(file)
    with pytest.raises(BadInput, match="fetch it again") as caught:
        merge_masks(files, (300, 300))
    assert caught.value.status == "mask_size"
    assert str(files[-1]) in caught.value.reason


def test_classes_without_core_features_and_unknown_ones_are_named(tmp_path: Path) -> None:
    _, table = make_salient(tmp_path / "salient", {TENCH: {"59": ["a"], "686": ["a"]}})
    table.write_text(table.read_text().replace("main_object", "background"))
    with pytest.raises(BadInput, match=f"all features of {TENCH} are spurious"):
        core_features(table, TENCH)
    with pytest.raises(BadInput, match="says nothing of n99999999"):
        core_features(table, "n99999999")


def test_another_table_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "class_metadata.csv"
    table.write_text("class_index,synset\n0,tench\n")
    with pytest.raises(D3SError, match=r"no column 'Input\.wordnet_id'"):
        core_features(table, TENCH)


def test_a_missing_list_of_images_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"image_names_map\.csv can't be read .* fetch the masks of n01440764"):
        list_masks(tmp_path, TENCH, ["59"])
