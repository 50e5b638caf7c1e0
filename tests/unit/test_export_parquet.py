"""The Parquet files: types that readers know without a network, small row groups, pictures as they are."""

from collections.abc import Sequence
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from d3s.export import dataset, parquet
from d3s.export.parquet import features, features_of_card, schema
from d3s.export.records import FIELDS
from small import Small, about_small, export_small, make_small

LABELS = about_small().labels


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return make_small(tmp_path_factory.mktemp("small"))


def test_the_schema_carries_the_features() -> None:
    found = datasets.Features.from_arrow_schema(schema(LABELS))
    assert found == datasets.Features.from_dict(features(LABELS))
    assert found["image"] == datasets.Image()
    assert found["class"] == datasets.ClassLabel(names=["zebra", "apple"])
    assert found["background"] == datasets.ClassLabel(names=["sand", "st.moritz"])
    assert found["votes"] == datasets.Value("int64")
    assert set(found) == {"image"} | {field.name for field in FIELDS}


def test_the_head_of_the_card_says_the_same() -> None:
    assert datasets.Features._from_yaml_list(features_of_card(LABELS)) == datasets.Features.from_dict(features(LABELS))


def test_row_groups_are_small_and_pictures_are_not_pressed(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "GROUP", 3)
    made = export_small(small, tmp_path / "export", images_per_file=7)
    files = sorted(made.glob("data/train-*.parquet"))
    assert [file.name for file in files] == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    found = pq.ParquetFile(files[0]).metadata
    assert [found.row_group(number).num_rows for number in range(found.num_row_groups)] == [3, 3, 1]
    columns = [found.row_group(0).column(number) for number in range(found.num_columns)]
    pressed = {column.path_in_schema: column.compression for column in columns}
    assert pressed["image.bytes"] == "UNCOMPRESSED"
    assert pressed["prompt"] == "ZSTD"


def test_one_row_group_is_all_that_is_held(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    add = parquet.ParquetFile.add

    def watched(self: parquet.ParquetFile, fields: pa.Table, images: Sequence[bytes]) -> None:
        held.append(len(images))
        add(self, fields, images)

    monkeypatch.setattr(parquet.ParquetFile, "add", watched)
    monkeypatch.setattr(dataset, "GROUP", 2)
    export_small(small, tmp_path / "export")
    assert max(held) == 2
    assert sum(held) == 18
