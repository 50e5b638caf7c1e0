"""ImageNet's folders as a source of exemplars, with Salient ImageNet's masks and without."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from d3s.errors import D3SError
from d3s.exemplars import ExemplarSettings, prepare_exemplars
from d3s.imageio import decode_png
from d3s.masking import choose_masking
from d3s.sources.imagenet import ImageNetSource
from pictures import COCK, TENCH, class_row, draw_photo, make_imagenet, make_salient, source_settings

CLASSES = [class_row(0, "tench", TENCH), class_row(7, "cock", COCK)]
WANTED = ExemplarSettings(256, 20, 0, 0.4, 1, {"train": 3, "val": 2})


def source(folder: Path, **given: object) -> ImageNetSource:
    return ImageNetSource(source_settings(kind="imagenet", folder=folder, **given))


def prepare(given: ImageNetSource) -> tuple[pd.DataFrame, dict[str, Image.Image]]:
    table, members = prepare_exemplars(given, CLASSES, WANTED, choose_masking(given.without_mask))
    return table, {name: decode_png(data) for name, data in members}


@pytest.fixture
def salient(tmp_path: Path) -> ImageNetSource:
    """Of 20 tenches, 12 have masks; of the cocks, all."""
    folder = make_imagenet(tmp_path / "train", {TENCH: 20, COCK: 20})
    tench, cock = ([f"{synset}_{number}" for number in range(count)] for synset, count in ((TENCH, 12), (COCK, 20)))
    masks, features = make_salient(
        tmp_path / "salient", {TENCH: {"59": tench, "686": tench[:5], "1696": tench}, COCK: {"310": cock}}
    )
    return source(folder, masks=masks, features=features, without_mask="pass_over")


def test_without_masks_the_whole_square_is_the_exemplar(tmp_path: Path) -> None:
    table, pictures = prepare(source(make_imagenet(tmp_path, {TENCH: 20, COCK: 20}), without_mask="crop"))
    assert Counter(zip(table["class_id"], table["split"], strict=True)) == {
        (0, "train"): 3,
        (0, "val"): 2,
        (7, "train"): 3,
        (7, "val"): 2,
    }
    assert set(table["status"]) == {"ok"}
    row = table.iloc[0]
    assert row["image"] == f"{tmp_path}/{COCK}/{row['split_group']}.JPEG"
    assert row["exemplar"] == f"cock-{row['split_group']}"
    assert {picture.size for picture in pictures.values()} == {(60, 60)}
    assert all(picture.convert("RGBA").getchannel("A").getextrema() == (255, 255) for picture in pictures.values())


def test_images_are_cut_out_by_the_masks_of_their_core_features(salient: ImageNetSource) -> None:
    table, pictures = prepare(salient)
    assert set(table["status"]) == {"ok"}
    side = round(60 * 224 / 256)
    for row in table[table["class_id"] == 0].itertuples():
        both = "feature_686" in row.mask
        assert row.mask.count("feature_59/") == 1
        assert "feature_1696" not in row.mask  # it is spurious
        width, height = pictures[row.member].size
        assert height == side
        assert abs(width - (side if both else side / 2)) <= 2


def test_images_without_masks_are_passed_over_or_cropped(salient: ImageNetSource) -> None:
    assert len(salient.candidates(CLASSES[0])) == 12
    also = ImageNetSource({**salient.given, "without_mask": "crop"})
    found = also.candidates(CLASSES[0])
    assert len(found) == 20
    assert {bool(candidate.mask) for candidate in found} == {True, False}
    unmasked = next(candidate for candidate in found if not candidate.mask)
    assert also.open(unmasked).mode == "RGB"


def test_a_mask_lies_on_the_pixels_as_they_are_stored(salient: ImageNetSource) -> None:
    candidate = next(c for c in salient.candidates(CLASSES[0]) if "686" not in c.mask)  # a mask of the left half
    exif = Image.Exif()
    exif[0x0112] = 6  # shown, it is turned to the right: left becomes up
    draw_photo(1).save(candidate.image, exif=exif)
    turned = salient.open(candidate)
    assert turned.size == (60, 80)
    alpha = np.asarray(turned.getchannel("A"))
    assert alpha[:38, 30].max() > 200
    assert alpha[45:, 30].max() < 30


def test_unusable_images_are_replaced_and_named(salient: ImageNetSource) -> None:
    _, first = prepare(salient)
    chosen = [name.removesuffix(".png") for name in first if name.startswith("cock")]
    files = {c.exemplar: c for c in salient.candidates(CLASSES[1])}
    Path(files[chosen[0]].image).write_bytes(Path(files[chosen[0]].image).read_bytes()[:-400])
    files[chosen[1]].detail[0].unlink()
    Image.new("L", (224, 200), 255).save(files[chosen[2]].detail[0])
    table, _ = prepare(salient)
    bad = table.set_index("exemplar").loc[chosen[:3]]
    assert bad["status"].tolist() == ["truncated", "missing", "mask_size"]
    assert bad["image"].tolist() == [files[name].image for name in chosen[:3]]
    assert str(files[chosen[2]].detail[0]) in bad["reason"].iloc[2]
    assert ((table["class_id"] == 7) & (table["status"] == "ok")).sum() == 5


def test_a_mask_without_its_image_is_a_row(salient: ImageNetSource) -> None:
    gone = Path(salient.candidates(CLASSES[1])[3].image)
    gone.unlink()
    table, _ = prepare(salient)
    (row,) = table[table["status"] == "no_image"].itertuples()
    assert gone.stem in row.reason
    assert "put it there" in row.reason


def test_grey_and_cmyk_images_are_read_and_files_of_other_kinds_passed_over(tmp_path: Path) -> None:
    folder = make_imagenet(tmp_path, {TENCH: 0, COCK: 12})
    for number, mode in enumerate(("L", "CMYK", "RGB")):
        draw_photo(number).convert(mode).save(folder / TENCH / f"{TENCH}_{number}.JPEG")
    (folder / TENCH / "README.txt").write_text("no image")
    table, pictures = prepare(source(folder, without_mask="crop"))
    own = table[table["class_id"] == 0]
    assert len(own) == 3
    assert set(own["status"]) == {"ok"}
    assert all(decoded.mode in ("RGB", "RGBA") for decoded in pictures.values())


def test_a_missing_folder_of_a_class_is_a_row_and_the_others_are_used(tmp_path: Path) -> None:
    given = source(make_imagenet(tmp_path, {TENCH: 12}), without_mask="crop")
    given.check(CLASSES)
    table, _ = prepare(given)
    row = table.set_index("exemplar").loc["cock"]
    assert row["status"] == "no_folder"
    assert f"{tmp_path}/{COCK}" in row["reason"]
    assert (table["status"] == "ok").sum() == 5


def test_a_plan_looks_at_folders_and_lists_alone(salient: ImageNetSource, tmp_path: Path) -> None:
    assert salient.watched(CLASSES) == [
        f"{tmp_path}/train/{TENCH}",
        f"{tmp_path}/train/{COCK}",
        f"{tmp_path}/salient/{TENCH}/image_names_map.csv",
        f"{tmp_path}/salient/{COCK}/image_names_map.csv",
        f"{tmp_path}/salient/discover_spurious_features.csv",
    ]


def test_the_folder_above_the_splits_is_not_the_one(tmp_path: Path) -> None:
    for name in ("train", "Train"):
        make_imagenet(tmp_path / name / name, {TENCH: 1})
        with pytest.raises(D3SError, match=f"it has {name}, so .*{name}/{name} may be meant"):
            source(tmp_path / name, without_mask="crop").check(CLASSES)


def test_the_flat_validation_files_have_to_be_sorted_first(tmp_path: Path) -> None:
    for number in range(1, 4):
        draw_photo(number).save(tmp_path / f"ILSVRC2012_val_{number:08d}.JPEG")
    with pytest.raises(D3SError, match="3 pictures directly, such as ILSVRC2012_val_00000001") as caught:
        source(tmp_path, without_mask="crop").check(CLASSES)
    assert "one folder per synset" in caught.value.remedy


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"folder": "gone"}, "folder: gone is not there"),
        ({"masks": "gone", "features": "gone.csv"}, "masks: gone is not there"),
        ({"masks": "."}, "masks: and features: go together"),
        ({"without_mask": "pass_over"}, "no image has a mask"),
    ],
)
def test_settings_that_can_not_work_are_named(tmp_path: Path, given: dict[str, str], told: str) -> None:
    folder = make_imagenet(tmp_path, {TENCH: 1})
    settings = source_settings(kind="imagenet", **({"folder": folder, "without_mask": "crop"} | given))
    with pytest.raises(D3SError, match=told):
        ImageNetSource(settings).check(CLASSES)


def test_a_class_without_a_synset_is_named(tmp_path: Path) -> None:
    with pytest.raises(D3SError, match="the class 'thing' has no synset") as caught:
        source(make_imagenet(tmp_path, {TENCH: 1}), without_mask="crop").check([class_row(0, "thing")])
    assert "write_class_table.py" in caught.value.remedy
