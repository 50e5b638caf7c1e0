"""The fast reading and writing of plain tars, held against the standard library's."""

import io
import tarfile
from pathlib import Path

import pytest

from d3s.errors import D3SError
from d3s.export.tar import END, header, members, padding
from d3s.shards import write_tar

FILES = {"a.png": b"x" * 700, "b.json": b"", "umlaut-\u00fc.png": b"y" * 512}


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    write_tar(tmp_path / "0.tar", FILES.items())
    return tmp_path / "0.tar"


@pytest.mark.parametrize("name", ["a.png", "umlaut-\u00fc.png", "x" * 100])
@pytest.mark.parametrize("size", [0, 1, 512, 8**11 - 1])
def test_headers_are_those_of_the_standard_library(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, 0
    assert header(name, size) == info.tobuf(tarfile.USTAR_FORMAT)


def test_long_names_are_read_back() -> None:
    name = "x" * 300 + ".png"
    data = header(name, 3) + b"abc" + padding(3) + END
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == [name]


def test_members_lie_where_the_standard_library_finds_them(shard: Path) -> None:
    found = members(shard)
    data = shard.read_bytes()
    assert {name: data[start : start + size] for name, (start, size) in found.items()} == FILES


def test_a_folder_within_the_name_is_kept(tmp_path: Path) -> None:
    name = "/".join(["folder" * 10] * 3)
    write_tar(tmp_path / "0.tar", [(name, b"1")])
    assert list(members(tmp_path / "0.tar")) == [name]


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "missing", "a link"])
def test_damage_is_a_clear_error(shard: Path, damage: str) -> None:
    data = bytearray(shard.read_bytes())
    if damage == "missing":
        shard.unlink()
    elif damage == "a link":
        with tarfile.open(shard, "w") as tar:
            info = tarfile.TarInfo("link")
            info.type = tarfile.SYMTYPE
            tar.addfile(info)
    else:
        data[0] ^= 1
        shard.write_bytes({"empty": b"", "cut": bytes(data[:900]), "flipped": bytes(data)}[damage])
    with pytest.raises(D3SError, match="can't be read as a tar shard"):
        members(shard)
