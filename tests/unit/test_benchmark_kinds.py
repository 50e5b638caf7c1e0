"""Each kind of benchmark on a layout as its publishers made it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark_layouts import (
    MAP,
    VARIANTS,
    benchmark,
    draw,
    index,
    make_imagenet9,
    make_imagenet_c,
    make_spawrious,
    make_tree,
    make_waterbirds,
    write_rows,
)
from conftest import ROOT
from d3s.benchmark_index import read_picture
from d3s.errors import D3SError
from d3s.identity import file_sha256
from d3s.imageio import image_digest
from d3s.label_maps import LabelMap, read_label_map
from pictures import COCK, TENCH, make_imagenet
from released import draw_pair, make_released, record, write_metadata

BIRDS = read_label_map(ROOT / "config/benchmarks/waterbirds.csv")
BREEDS = read_label_map(ROOT / "config/benchmarks/spawrious.csv")


def labels(*names: str) -> LabelMap:
    """A map of labels to an index each."""
    rows = [{"label": name, "name": name, "imagenet_indices": str(place)} for place, name in enumerate(names)]
    return LabelMap.from_rows(rows, "labels.csv")


def test_imagenet_by_synset_needs_no_label_map(tmp_path: Path) -> None:
    table = index("imagefolder", make_imagenet(tmp_path / "val", {COCK: 2, TENCH: 3}))
    assert list(table["status"]) == ["ok"] * 5
    assert table["class_id"].value_counts().to_dict() == {0: 3, 7: 2}
    assert set(table["class_name"]) == {"tench", "cock"}
    first = table.loc[f"{TENCH}/{TENCH}_0.JPEG"]
    assert first["file"] == str(tmp_path / "val" / TENCH / f"{TENCH}_0.JPEG")
    assert len(first["digest"]) == 64
    assert (table[["background", "variant", "matched_set", "split", "box"]] == "").all().all()


def test_labels_of_one_name_are_one_class(tmp_path: Path) -> None:
    both = [
        {"label": label, "name": "animal", "imagenet_indices": index} for label, index in ((TENCH, "0"), (COCK, "7"))
    ]
    table = index("imagefolder", make_imagenet(tmp_path / "val", {COCK: 2, TENCH: 3}), LabelMap.from_rows(both))
    assert table["class_id"].tolist() == [0] * 5
    assert set(table["label"]) == {TENCH, COCK}


def test_levels_of_folders_mean_what_the_config_says(tmp_path: Path) -> None:
    folder = make_tree(tmp_path, "wet/frog/a.png", "wet/toad/more/a.png", "dry/frog/a.jpg", "dry/toad/b.webp")
    table = index("imagefolder", folder, labels("frog", "toad"), levels=["background", "label"], matched_by="name")
    assert table["background"].to_dict() == {
        "dry/frog/a.jpg": "dry",
        "dry/toad/b.webp": "dry",
        "wet/frog/a.png": "wet",
        "wet/toad/more/a.png": "wet",
    }
    assert table.loc["wet/frog/a.png", "matched_set"] == table.loc["dry/frog/a.jpg", "matched_set"] == "frog/a"
    assert table["matched_set"].nunique() == 3


def test_splits_that_the_config_names_are_looked_at(tmp_path: Path) -> None:
    folder = make_tree(tmp_path, "train/frog/a.png", "test/frog/b.png", "test/frog/c.png")
    settings = {"levels": ["split", "label"]}
    assert len(index("imagefolder", folder, labels("frog"), **settings)) == 3
    table = index("imagefolder", folder, labels("frog"), splits=["test"], **settings)
    assert table["split"].tolist() == ["test", "test"]
    with pytest.raises(D3SError, match="there is no 'tets'; did you mean 'test'"):
        index("imagefolder", folder, labels("frog"), splits=["tets"], **settings)


def test_imagenet9_matches_what_was_made_from_one_image(tmp_path: Path) -> None:
    table = index("imagenet9", make_imagenet9(tmp_path), MAP)
    assert len(table) == len(VARIANTS) * 2 * 2
    assert set(table["variant"]) == set(VARIANTS)
    assert set(table["split"]) == {"val"}
    sets = table.groupby("matched_set")["variant"].agg(set)
    assert sorted(sets.index) == [
        "00_dog/n02085620_00000",
        "00_dog/n02085620_00001",
        "02_wheeled vehicle/n02814533_00000",
        "02_wheeled vehicle/n02814533_00001",
    ]
    assert (sets == set(VARIANTS)).all()
    assert table.loc["mixed_rand/val/00_dog/fg_n02085620_00001_bg_n01440764_00009.JPEG", "class_name"] == "dog"
    few = index("imagenet9", tmp_path, MAP, variants=["mixed_same", "mixed_rand"])
    assert set(few["variant"]) == {"mixed_same", "mixed_rand"}


def test_imagenet9_without_its_map_or_in_a_folder_too_high(tmp_path: Path) -> None:
    make_imagenet9(tmp_path / "bg_challenge")
    with pytest.raises(D3SError, match=r"in9\.csv has none of the labels") as caught:
        index("imagenet9", tmp_path, MAP)
    assert "bg_challenge may be meant" in caught.value.remedy
    with pytest.raises(D3SError, match="such as '00_dog'; did you mean '0_dog'"):
        index("imagenet9", tmp_path / "bg_challenge", labels("0_dog"))


@pytest.mark.parametrize("group", ["", "noise"])
def test_imagenet_c_has_variants_of_every_image(tmp_path: Path, group: str) -> None:
    table = index("imagenet_c", make_imagenet_c(tmp_path, group))
    assert len(table) == 4 * 2 * 3
    assert set(table["variant"]) == {"fog-1", "fog-3", "gaussian_noise-1", "gaussian_noise-3"}
    sets = table.groupby("matched_set")["variant"].nunique()
    assert (sets == 4).all()
    assert sorted(sets.index)[0] == f"{TENCH}/ILSVRC2012_val_00000000"
    assert set(table["class_id"]) == {0, 7}


def test_a_limit_keeps_the_same_images_in_every_variant(tmp_path: Path) -> None:
    folder = make_imagenet_c(tmp_path, images=6)
    table = index("imagenet_c", folder, limit_per_class=2, variants=["fog-1", "fog-3"])
    assert (table.groupby(["class_id", "variant"]).size() == 2).all()
    assert (table.groupby("matched_set")["variant"].nunique() == 2).all()
    more = index("imagenet_c", folder, limit_per_class=3, variants=["fog-1"])
    assert set(table.index[table["variant"] == "fog-1"]) < set(more.index)
    for severity in ("1", "3"):
        draw(folder / "noise" / "fog" / severity / TENCH / "ILSVRC2012_val_00000099.JPEG", 99)
    after = index("imagenet_c", folder, limit_per_class=2, variants=["fog-1", "fog-3"])
    assert len(set(after.index) - set(table.index)) in (0, 2), "one image more takes one place in each variant, or none"


def test_imagenet_c_names_its_variants(tmp_path: Path) -> None:
    make_imagenet_c(tmp_path)
    with pytest.raises(D3SError, match="there is no 'fogg-1'; did you mean 'fog-1'"):
        index("imagenet_c", tmp_path, variants=["fogg-1"])
    with pytest.raises(D3SError, match="has no folder CORRUPTION/SEVERITY"):
        index("imagenet_c", tmp_path / "noise" / "fog")


def test_waterbirds_have_their_place_as_background(tmp_path: Path) -> None:
    table = index("waterbirds", make_waterbirds(tmp_path), BIRDS)
    assert list(table["status"]) == ["ok"] * 6
    second = table.loc["001.Bird/Bird_0001.jpg"]
    assert (second["label"], second["background"], second["split"]) == ("waterbird", "land", "val")
    assert table.loc["004.Bird/Bird_0004.jpg", ["label", "background"]].tolist() == ["landbird", "water"]
    assert set(index("waterbirds", tmp_path, BIRDS, splits=["test"])["split"]) == {"test"}


def test_rows_of_waterbirds_without_a_picture_and_pictures_without_a_row(tmp_path: Path) -> None:
    rows = [
        {"img_filename": "gone.jpg", "y": 1, "split": 2, "place": 1},
        {"img_filename": "strange.jpg", "y": 7, "split": 2, "place": "sea"},
        {"img_filename": "", "y": 1, "split": 2, "place": 1},
        {"img_filename": "000.Bird/Bird_0000.jpg", "y": 0, "split": 0, "place": 0},
        {"img_filename": "001.Bird/Bird_0001.jpg", "y": 0, "split": 0, "place": 0},
    ]
    make_waterbirds(tmp_path, rows)
    draw(tmp_path / "extra" / "bird.jpg", 50)
    table = index("waterbirds", tmp_path, BIRDS)
    assert table.loc["gone.jpg", "status"] == "missing"
    assert table.loc["strange.jpg", "reason"] == "line 9 of metadata.csv has y '7' and place 'sea'"
    assert table.loc["metadata.csv:10", "reason"] == "line 10 of metadata.csv names no picture"
    assert table.loc["extra/bird.jpg", "status"] == "not_listed"
    assert table.loc["000.Bird/Bird_0000.jpg", "status"] == "ok"
    assert table.loc["000.Bird/Bird_0000.jpg#2", "status"] == "duplicate"
    assert table.loc[["001.Bird/Bird_0001.jpg", "001.Bird/Bird_0001.jpg#2"], "status"].tolist() == ["contradicted"] * 2


def test_metadata_of_another_data_set(tmp_path: Path) -> None:
    with pytest.raises(D3SError, match=r"metadata.csv can't be read"):
        index("waterbirds", tmp_path, BIRDS)
    write_rows(tmp_path / "metadata.csv", [{"image_filename": "a.jpg", "y": 1, "split": 2, "place": 1}])
    with pytest.raises(D3SError, match="has no column 'img_filename'; did you mean 'image_filename'"):
        index("waterbirds", tmp_path, BIRDS)
    (tmp_path / "metadata.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(D3SError, match="is not a table"):
        index("waterbirds", tmp_path, BIRDS)


def test_spawrious_is_a_table_of_class_by_background(tmp_path: Path) -> None:
    make_spawrious(tmp_path / "spawrious224")
    table = index("spawrious", tmp_path / "spawrious224", BREEDS)
    assert len(table) == 12
    assert set(table["background"]) == {"beach", "snow"}
    assert set(table["split"]) == {"0", "1", "domain_adaptation_ds"}
    judged = table.groupby("label")["status"].agg(set).to_dict()
    assert judged == {"bulldog": {"ok"}, "dachshund": {"no_indices"}}, "ImageNet has no dachshunds"
    with pytest.raises(D3SError) as caught:
        index("spawrious", tmp_path, BREEDS)
    assert "spawrious224 may be meant" in str(caught.value)


def test_the_released_data_set_is_read_by_its_metadata(tmp_path: Path) -> None:
    make_released(tmp_path, per_cell=3)
    table = index("released", tmp_path)
    assert len(table) == 2 * 2 * 2 * 3
    assert list(table["status"].unique()) == ["ok"]
    assert set(table["class_id"]) == {430, 478}
    assert set(table["background"]) == {"grass", "road"}
    assert set(table["variant"]) == {"background"}
    guided = table.loc["val/background-shift/0.png"]
    assert guided["box"] == "36 2 68 34", "the image to the right of its guide"
    assert guided["digest"] != file_sha256(Path(guided["file"]))
    assert set(table["digest"].str.len()) == {64}, "keys of a store have one length"
    assert table.loc["val/background-shift/2.png", "box"] == "", "an image alone"
    _, image = draw_pair(430, "grass", 50)
    assert image_digest(read_picture(guided["file"], guided["box"])) == image_digest(image)
    assert set(index("released", tmp_path, splits=["val"])["split"]) == {"val"}


def test_released_records_that_lead_nowhere(tmp_path: Path) -> None:
    make_released(tmp_path, per_cell=1)
    records = json.loads((tmp_path / "val/metadata.json").read_text())
    records += [record("val", 99, 430, "grass", True), record("val", 0, 478, "grass", False), {"image": "x.png"}]
    write_metadata(tmp_path, "val", records)
    draw(tmp_path / "val/background-shift/98.png", 1)
    write_metadata(tmp_path, "val", [*records, record("val", 98, 430, "grass", True)])
    table = index("released", tmp_path, splits=["val"])
    found = table["status"].to_dict()
    assert found["val/background-shift/99.png"] == "missing"
    assert found["val/background-shift/0.png"] == "contradicted"
    assert found["val/background-shift/98.png"] == "wrong_size"
    with pytest.raises(D3SError, match=r"has no train/metadata.json"):
        index("released", tmp_path / "val")


def test_a_table_names_anything(tmp_path: Path) -> None:
    folder = make_tree(tmp_path / "pictures", "1.png", "2.png", "3.png", "4.png")
    rows = [
        {"file": "1.png", "label": "frog", "background": "wet", "split": "test", "matched_set": "a"},
        {"file": "2.png", "label": "frog", "background": "dry", "split": "test", "matched_set": "a"},
        {"file": "3.png", "label": "toad", "background": "dry", "split": "train", "matched_set": "b"},
    ]
    table = write_rows(tmp_path / "pictures.csv", rows)
    found = index("table", folder, labels("frog", "toad"), table=str(table))
    assert found["background"].tolist() == ["wet", "dry", "dry"]
    assert found["matched_set"].tolist() == ["a", "a", "b"]
    assert list(index("table", folder, labels("frog", "toad"), table=str(table), splits=["train"]).index) == ["3.png"]
    assert benchmark("table", folder, table=str(table)).watched() == [str(folder), str(table)]


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("imagefolder", lambda folder: make_imagenet(folder / "x", {TENCH: 2}).parent / "x"),
        ("imagenet_c", make_imagenet_c),
        ("waterbirds", make_waterbirds),
    ],
)
def test_an_index_has_the_same_bytes_each_time(tmp_path: Path, kind: str, make: Callable[[Path], Path]) -> None:
    folder = make(tmp_path)
    given = BIRDS if kind == "waterbirds" else None
    first, second = (index(kind, folder, given).to_csv() for _ in range(2))
    assert first == second
