import hashlib
import json
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from d3s.errors import D3SError
from d3s.identity import bytes_digest
from d3s.shards import TarReader, whole_file, write_json, write_shard, write_table, write_tar

MEMBERS = [("b.png", b"second"), ("a.png", b"first"), ("empty.png", b"")]


def files_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_file_appears_whole(tmp_path: Path) -> None:
    with whole_file(tmp_path / "deep" / "file.txt") as temporary:
        temporary.write_text("half")
        assert not (tmp_path / "deep" / "file.txt").exists()
    assert (tmp_path / "deep" / "file.txt").read_text() == "half"


def test_an_exception_leaves_nothing_half_written_and_the_old_file_in_place(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("old")

    def fail() -> None:
        with whole_file(tmp_path / "file.txt") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert files_in(tmp_path) == ["file.txt"]
    assert (tmp_path / "file.txt").read_text() == "old"


def test_members_that_fail_on_the_way_leave_no_tar(tmp_path: Path) -> None:
    def members() -> Iterator[tuple[str, bytes]]:
        yield "a.png", b"first"
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_tar(tmp_path / "shard.tar", members())
    assert files_in(tmp_path) == []


def test_the_bytes_of_a_tar_depend_on_its_members_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tar(tmp_path / "one.tar", MEMBERS)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    umask = os.umask(0o077)
    try:
        write_tar(tmp_path / "two.tar", reversed(MEMBERS))
    finally:
        os.umask(umask)
    one, two = (tmp_path / "one.tar").read_bytes(), (tmp_path / "two.tar").read_bytes()
    assert one == two
    assert hashlib.sha256(one).hexdigest() == "ac20e1aaa081de8621933096dbdf0b0e05ad1e57f5e35539e4cbfbd070a81180"


def test_members_come_back_by_name(tmp_path: Path) -> None:
    digests = write_tar(tmp_path / "shard.tar", MEMBERS)
    assert digests["a.png"] == bytes_digest(b"first")
    with TarReader(tmp_path / "shard.tar") as tar:
        assert tar.names() == ["a.png", "b.png", "empty.png"]
        assert [tar.read(name) for name in ("b.png", "empty.png", "a.png")] == [b"second", b"", b"first"]
        assert "a.png" in tar
        assert "c.png" not in tar


@pytest.mark.parametrize("name", ["a b.png", "été.png", "日本.png", "it's;$(x).png", "d/" * 60 + "deep.png"])
def test_odd_names_come_back(tmp_path: Path, name: str) -> None:
    write_tar(tmp_path / "a shard's é.tar", [(name, b"data")])
    with TarReader(tmp_path / "a shard's é.tar") as tar:
        assert tar.read(name) == b"data"


def test_other_programs_read_the_tar(tmp_path: Path) -> None:
    write_tar(tmp_path / "shard.tar", MEMBERS)
    with tarfile.open(tmp_path / "shard.tar") as tar:
        first = tar.getmembers()[0]
        assert (first.name, first.mtime, first.uid, first.mode) == ("a.png", 0, 0, 0o644)


def test_two_members_of_one_name_are_a_defect(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"called 'a\.png'"):
        write_tar(tmp_path / "shard.tar", [("a.png", b"1"), ("a.png", b"2")])
    assert files_in(tmp_path) == []


def test_a_damaged_or_missing_shard_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(D3SError, match="run the workflow again"):
        TarReader(tmp_path / "gone.tar")
    (tmp_path / "text.tar").write_text("no tar " * 200)
    with pytest.raises(D3SError, match="can't be read"):
        TarReader(tmp_path / "text.tar")
    write_tar(tmp_path / "shard.tar", [("a.png", bytes(5000))])
    with TarReader(tmp_path / "shard.tar") as tar, pytest.raises(D3SError, match=r"no member 'b\.png'"):
        tar.read("b.png")


def test_a_tar_that_ends_too_soon_is_noticed(tmp_path: Path) -> None:
    write_tar(tmp_path / "shard.tar", [("a.png", bytes(5000)), ("b.png", bytes(5000))])
    os.truncate(tmp_path / "shard.tar", 7000)
    with pytest.raises(D3SError, match="run the workflow again"), TarReader(tmp_path / "shard.tar") as tar:
        tar.read("b.png")


def test_a_shard_is_a_tar_a_manifest_and_digests(tmp_path: Path) -> None:
    manifest = pd.DataFrame({"sample": ["a", "b"], "status": ["ok", "truncated"], "seed": [2**62 + 1, 5]})
    write_shard(tmp_path / "0.tar", manifest, [("a.png", b"data")])
    assert files_in(tmp_path) == ["0.digests.json", "0.parquet", "0.tar"]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "0.parquet"), manifest)
    digests = json.loads((tmp_path / "0.digests.json").read_text())
    assert digests["members"] == {"a.png": bytes_digest(b"data")}

    before = {file: (tmp_path / file).read_bytes() for file in files_in(tmp_path)}
    write_shard(tmp_path / "0.tar", manifest, [("a.png", b"data")])
    assert before == {file: (tmp_path / file).read_bytes() for file in files_in(tmp_path)}


def test_the_digests_see_a_change_of_the_manifest_alone(tmp_path: Path) -> None:
    for folder, reason in (("one", ""), ("two", "blurred")):
        write_shard(
            tmp_path / folder / "0.tar", pd.DataFrame({"sample": ["a"], "reason": [reason]}), [("a.png", b"data")]
        )
    assert (tmp_path / "one/0.digests.json").read_bytes() != (tmp_path / "two/0.digests.json").read_bytes()


def test_tables_are_written_as_csv_or_parquet_by_their_ending(tmp_path: Path) -> None:
    table = pd.DataFrame({"name": ["a,b", "é"], "value": [1 / 3, 2.0]})
    write_table(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_bytes() == 'name,value\n"a,b",0.333333\né,2\n'.encode()
    write_table(tmp_path / "t.parquet", table)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table)


def test_json_has_sorted_keys(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": 1, "a": "é"})
    assert (tmp_path / "x.json").read_text() == '{\n "a": "é",\n "b": 1\n}\n'
