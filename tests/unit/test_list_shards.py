"""The list of a data set's shards is the same as long as what is in them is."""

import argparse
import json
from pathlib import Path

import pandas as pd
import pytest

import list_shards
from d3s.errors import D3SError
from d3s.shards import write_shard


@pytest.fixture
def tars(tmp_path: Path) -> list[Path]:
    return [shard(tmp_path / f"{number}.tar", b"one") for number in (0, 1)]


def shard(path: Path, data: bytes) -> Path:
    write_shard(path, pd.DataFrame({"sample": ["a"], "member": ["a.png"]}), [("a.png", data)])
    return path


def listed(tmp_path: Path, tars: list[Path]) -> str:
    list_shards.main(argparse.Namespace(shards=tars, output=tmp_path / "list.json"))
    return (tmp_path / "list.json").read_text()


def test_the_list_tells_of_every_shard_and_of_another_content(tmp_path: Path, tars: list[Path]) -> None:
    before = listed(tmp_path, tars)
    assert list(json.loads(before)) == [str(tar) for tar in tars]
    assert listed(tmp_path, [shard(tar, b"one") for tar in tars[::-1]]) == before, "made again, in any order"
    shard(tars[1], b"two")
    after = json.loads(listed(tmp_path, tars))
    assert [after[str(tar)] == json.loads(before)[str(tar)] for tar in tars] == [True, False]


def test_a_shard_without_its_digests_is_told(tmp_path: Path, tars: list[Path]) -> None:
    tars[0].with_suffix(".digests.json").unlink()
    with pytest.raises(D3SError, match=r"0\.digests\.json: No such file"):
        listed(tmp_path, tars)
