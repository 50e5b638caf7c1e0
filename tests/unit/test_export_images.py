"""Images out of shards: checked one by one, in any order, from more shards than may be open."""

import json
from collections import deque
from pathlib import Path

import pandas as pd
import pytest

from d3s.errors import D3SError
from d3s.export import images as module
from d3s.export.images import Images
from d3s.export.records import choose_rows
from d3s.imageio import decode_png, image_digest
from small import Small, make_small


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return make_small(tmp_path)


def test_images_come_in_any_order_from_few_open_shards(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 2)
    rows = choose_rows(small.manifest, "all")
    with Images(rows, small.tars) as images:
        for place in [*range(0, len(rows), 2), *range(1, len(rows), 2)]:
            assert image_digest(decode_png(images.read(place))) == rows.loc[place, "image_digest"]
        assert len(images._open) == 2
        assert set(images.made_with["model_digest"]) == {"00112233445566778899aabbccddeeff"}
        assert images.made_with.index.tolist() == list(range(len(rows)))


def test_a_damaged_image_is_named_with_the_remedy(small: Small) -> None:
    rows = choose_rows(small.manifest, "all")
    tar = Path(rows.loc[0, "shard"])
    data = bytearray(tar.read_bytes())
    place = data.index(b"IDAT") + 20
    data[place] ^= 1
    tar.write_bytes(data)
    own = rows.index[rows["shard"] == rows.loc[0, "shard"]]
    with (
        Images(rows, small.tars) as images,
        pytest.raises(D3SError, match=r"is not what 0\.digests\.json says") as caught,
    ):
        deque(map(images.read, own))
    assert str(tar) in caught.value.problem
    assert "delete it and run the workflow again" in caught.value.remedy


def test_a_manifest_of_other_pixels_is_refused(small: Small) -> None:
    rows = choose_rows(small.manifest, "all")
    rows.loc[0, "image_digest"] = "f" * 32
    with pytest.raises(D3SError, match="the manifest is of other pixels .* such as " + rows.loc[0, "sample"]):
        Images(rows, small.tars)


def test_a_shard_that_was_not_given_is_named(small: Small) -> None:
    with pytest.raises(D3SError, match=r"0.tar, which is not among the shards given"):
        Images(choose_rows(small.manifest, "all"), small.tars[1:])


def test_a_member_that_is_gone_is_named(small: Small) -> None:
    rows = choose_rows(small.manifest, "all")
    rows.loc[0, "member"] = "other.png"
    with pytest.raises(D3SError, match=r"has no member 'other.png'"):
        Images(rows, small.tars)


@pytest.mark.parametrize(("ending", "text"), [(".digests.json", "[]"), (".digests.json", "{"), (".parquet", "x")])
def test_damaged_files_beside_a_shard_are_clear_errors(small: Small, ending: str, text: str) -> None:
    small.tars[0].with_suffix(ending).write_text(text)
    with pytest.raises(D3SError, match="can't be read as"):
        Images(choose_rows(small.manifest, "all"), small.tars)


def test_digests_are_those_of_the_shard(small: Small) -> None:
    digests = json.loads(small.tars[0].with_suffix(".digests.json").read_text())["members"]
    table = pd.read_parquet(small.tars[0].with_suffix(".parquet"))
    assert set(table["member"]) - {""} == set(digests)
