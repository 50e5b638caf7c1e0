"""A folder of folders as a source of exemplars: cut-outs, pictures with masks beside them, splits on top."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from d3s.errors import BadInput, D3SError
from d3s.exemplars import ExemplarSettings, prepare_exemplars
from d3s.sources.folder import FolderSource
from pictures import class_row, draw_photo, source_settings
from tiny import draw_object

BALL, BOX = class_row(0, "ball"), class_row(1, "box")
ALL = ExemplarSettings(64, 8, 0, 0.4, 1, {"train": 50, "val": 50})


def source(folder: Path, **given: object) -> FolderSource:
    return FolderSource(source_settings(kind="folder", folder=folder, **given))


def cutouts(folder: Path, class_id: int, count: int = 4) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        draw_object(class_id, number).save(folder / f"{number}.png")
    return folder


def photos(folder: Path, masks: Path, count: int = 3) -> None:
    """Photographs, each with a mask of another format under the same name."""
    for place in (folder, masks):
        place.mkdir(parents=True)
    for number in range(count):
        draw_photo(number).save(folder / f"{number}.jpg")
        mask = Image.new("L", (80, 60))
        mask.paste(255, (10, 10, 50, 40))
        mask.save(masks / f"{number}.png")


def prepare(given: FolderSource, *classes: dict[str, str]) -> pd.DataFrame:
    return prepare_exemplars(given, classes or [BALL], ALL)[0].set_index("exemplar")


def test_pictures_with_transparency_are_taken_as_they_are(tmp_path: Path) -> None:
    cutouts(tmp_path / "ball", 0)
    cutouts(tmp_path / "box", 1)
    table = prepare(source(tmp_path), BALL, BOX)
    assert set(table["status"]) == {"ok"}
    assert list(table.index) == [f"{name}-{number}" for name in ("ball", "box") for number in range(4)]
    assert table.loc["ball-0", "image"] == str(tmp_path / "ball" / "0.png")


def test_masks_lie_in_a_folder_of_the_same_layout(tmp_path: Path) -> None:
    photos(tmp_path / "pictures" / "ball", tmp_path / "masks" / "ball")
    table = prepare(source(tmp_path / "pictures", masks=tmp_path / "masks"))
    assert set(table["status"]) == {"ok"}
    assert set(zip(table["width"], table["height"], strict=True)) == {(40, 30)}
    assert table.loc["ball-1", "mask"] == str(tmp_path / "masks" / "ball" / "1.png")


def test_folders_called_train_and_val_are_the_splits(tmp_path: Path) -> None:
    cutouts(tmp_path / "train" / "ball", 0, 3)
    cutouts(tmp_path / "val" / "ball", 0, 4)
    (tmp_path / "train" / "ball" / "0.png").unlink()  # else they'd be copies
    table = prepare(source(tmp_path))
    assert table.loc["ball-train-1", "split"] == "train"
    assert table.loc["ball-val-3", ["split", "status"]].tolist() == ["val", "ok"]
    assert table.loc["ball-val-1", "status"] == "leaks_across_splits"
    assert source(tmp_path).watched([BALL]) == [str(tmp_path / split / "ball") for split in ("train", "val")]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    cutouts(tmp_path / "train", 0)
    assert (prepare(source(tmp_path), class_row(0, "train"))["status"] == "ok").all()


def test_what_can_not_be_used_is_named_and_the_rest_is_used(tmp_path: Path) -> None:
    pictures, masks = tmp_path / "pictures" / "ball", tmp_path / "masks" / "ball"
    photos(pictures, masks, 6)
    (masks / "0.png").unlink()
    (pictures / "1.jpg").unlink()
    Image.new("L", (40, 30), 255).save(masks / "2.png")
    (pictures / "3.jpg").write_bytes((pictures / "3.jpg").read_bytes()[:-400])
    table = prepare(source(tmp_path / "pictures", masks=tmp_path / "masks"))
    assert table["status"].to_dict() == {
        "ball-0": "no_mask",
        "ball-2": "mask_size",
        "ball-3": "truncated",
        "ball-4": "ok",
        "ball-5": "ok",
        next(name for name in table.index if name.startswith("ball-mask")): "no_image",
    }
    reasons = table["reason"]
    assert str(pictures / "0.jpg") in reasons["ball-0"]
    assert "add one" in reasons["ball-0"]
    assert "fetch it again" in reasons["ball-3"]
    assert str(masks / "2.png") in reasons["ball-2"]
    assert reasons[table["status"] == "no_image"].str.contains("is a mask without a picture; put 1 into").all()


def test_files_that_differ_in_their_ending_alone_are_two_exemplars(tmp_path: Path) -> None:
    cutouts(tmp_path / "ball", 0, 2)
    draw_object(0, 3).save(tmp_path / "ball" / "0.webp", lossless=True)
    assert list(prepare(source(tmp_path)).index) == ["ball-0.png", "ball-0.webp", "ball-1"]


def test_a_missing_folder_of_a_class_or_a_split_is_a_row(tmp_path: Path) -> None:
    cutouts(tmp_path / "train" / "ball", 0, 2)
    cutouts(tmp_path / "train" / "box", 1, 2)
    cutouts(tmp_path / "val" / "box", 1, 4)
    table = prepare(source(tmp_path), BALL, BOX, class_row(2, "cone"))
    assert table.loc["cone", "status"] == "no_folder"
    (lacking,) = table[(table["class_id"] == 0) & (table["status"] != "ok")].itertuples()
    assert (lacking.status, lacking.split) == ("no_folder", "val")
    assert str(tmp_path / "val" / "ball") in lacking.reason
    assert (table["status"] == "ok").sum() == 2 + 4


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "ball").mkdir()
    with pytest.raises(BadInput, match="ball holds no pictures"):
        source(tmp_path).candidates(BALL)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("Train/ball", "its folder Train would have to be called train"),
        ("train/ball", "splits are told apart only if there are train and val"),
        ("Ball", "did you mean 'Ball'"),
        ("", "has no folder of any class, such as .*ball"),
    ],
)
def test_a_folder_of_another_layout_is_named_with_what_is_wrong(tmp_path: Path, made: str, told: str) -> None:
    (tmp_path / made).mkdir(parents=True, exist_ok=True)
    with pytest.raises(D3SError, match=told):
        source(tmp_path).check([BALL])


def test_folders_that_are_not_there_are_named(tmp_path: Path) -> None:
    cutouts(tmp_path / "ball", 0)
    with pytest.raises(D3SError, match=r"folder: the folder .*gone is not there"):
        source(tmp_path / "gone").check([BALL])
    with pytest.raises(D3SError, match=r"masks: the folder .*gone is not there"):
        source(tmp_path, masks=tmp_path / "gone").check([BALL])
