"""What an export holds: which rows, in which order, with which types."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from d3s.errors import D3SError
from d3s.export.records import FIELDS, Labels, choose_rows, read_manifest, to_arrow
from small import BACKGROUNDS, CLASSES, PER_SPLIT, about_small, record_of, screens_of

LABELS = about_small().labels


@pytest.fixture(scope="module")
def manifest() -> pd.DataFrame:
    from d3s.manifest import build_manifest

    rows = [
        record_of(split, background["background"], row, index) | {"image_digest": "some", "shard": "0.tar"}
        for split, number in PER_SPLIT.items()
        for background in BACKGROUNDS
        for row in CLASSES
        for index in range(number)
    ]
    table = pd.DataFrame(rows)
    return build_manifest(table, screens_of(table), 2)


def test_accepted_images_are_exported_unless_all_are_asked_for(manifest: pd.DataFrame) -> None:
    assert len(choose_rows(manifest, "accepted")) == len(manifest) - 1
    everything = choose_rows(manifest, "all")
    assert len(everything) == len(manifest)
    assert everything.loc[~everything["accepted"], "status"].tolist() == ["off_class"]


def test_an_image_that_was_never_made_is_in_no_export(manifest: pd.DataFrame) -> None:
    spoilt = manifest.copy()
    spoilt.loc[0, "member"] = ""
    assert len(choose_rows(spoilt, "all")) == len(manifest) - 1


def test_nothing_to_export_is_a_clear_error(manifest: pd.DataFrame) -> None:
    with pytest.raises(D3SError, match="20 were planned, 20 made and 0 accepted") as caught:
        choose_rows(manifest.assign(accepted=False), "accepted")
    assert "which: all" in caught.value.remedy


def test_matched_sets_stand_together_and_classes_are_mixed(manifest: pd.DataFrame) -> None:
    rows = choose_rows(manifest, "all")
    changes = (rows["matched_set"] != rows["matched_set"].shift()).sum()
    assert changes == rows["matched_set"].nunique()
    assert (rows["split"] != rows["split"].shift()).sum() == len(PER_SPLIT)
    assert (rows["class_id"] != rows["class_id"].shift()).sum() > len(PER_SPLIT) * len(CLASSES)


def test_the_order_does_not_depend_on_that_of_the_manifest(manifest: pd.DataFrame) -> None:
    shuffled = manifest.sample(frac=1, random_state=0)
    assert choose_rows(shuffled, "all")["sample"].tolist() == choose_rows(manifest, "all")["sample"].tolist()


def test_labels_are_numbered_by_class_id_and_by_name_of_the_background() -> None:
    labels = Labels.of([{**row} for row in reversed(CLASSES)], BACKGROUNDS)
    assert labels.class_names == ["zebra", "apple"]
    assert labels.background_names == ["sand", "st.moritz"]


def test_fields_are_typed_and_labels_are_places(manifest: pd.DataFrame) -> None:
    manifest = manifest.copy()
    manifest.loc[0, ["classifier", "super_top1", "guide_distance"]] = None
    table = to_arrow(manifest, LABELS)
    assert table.column_names == [field.name for field in FIELDS]
    first, last = table.slice(0, 1).to_pylist()[0], table.slice(len(table) - 1).to_pylist()[0]
    assert (first["class_id"], first["class"], first["class_name"]) == (7, 0, "zebra")
    assert (last["class_id"], last["class"], last["background"], last["background_name"]) == (12, 1, 1, "st.moritz")
    assert (first["classifier"], first["super_top1"], first["guide_distance"]) == ("", None, None)
    assert table.schema.field("seed").type == pa.int64()
    assert first["seed"] == 2**63 - 1, "the largest seed stays exact"


def test_a_class_that_no_table_knows_is_refused(manifest: pd.DataFrame) -> None:
    with pytest.raises(D3SError, match="class_id 12, which the table of classes does not know"):
        to_arrow(manifest, Labels.of(CLASSES[:1], BACKGROUNDS))


def test_a_manifest_of_another_kind_is_refused(manifest: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    manifest.drop(columns="matched_set").to_parquet(path)
    with pytest.raises(D3SError, match="lacks the column 'matched_set'"):
        read_manifest(path)
    path.write_text("no table")
    with pytest.raises(D3SError, match="can't be read as Parquet"):
        read_manifest(path)
