"""The folder of an export: whole or not at all, hashed while it is written."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from d3s.errors import D3SError
from d3s.export.folder import export_folder


def test_a_folder_appears_with_the_checksums_of_its_files(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "export"
    with export_folder(path) as folder:
        folder.write("a/small.txt", b"small")
        with folder.open("large.bin") as file:
            file.write(b"la")
            file.write(b"rge")
            assert file.tell() == 5
        folder.link("b/c/link.txt", "a/small.txt")
        assert not path.exists()
    assert (path / "b/c/link.txt").read_bytes() == b"small"
    assert os.readlink(path / "b/c/link.txt") == "../../a/small.txt"
    assert (path / "large.bin").read_bytes() == b"large"
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=path, capture_output=True, text=True)
    assert checked.stdout == "a/small.txt: OK\nlarge.bin: OK\n"


def test_a_failure_leaves_nothing_behind_and_the_old_export_in_place(tmp_path: Path) -> None:
    def fill(text: bytes, fail: bool) -> None:
        with export_folder(tmp_path / "export") as folder:
            folder.write("x", text)
            if fail:
                raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        fill(b"first", fail=True)
    assert list(tmp_path.iterdir()) == []
    fill(b"second", fail=False)
    with pytest.raises(RuntimeError):
        fill(b"third", fail=True)
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert (tmp_path / "export" / "x").read_bytes() == b"second"
    fill(b"fourth", fail=False)
    assert (tmp_path / "export" / "x").read_bytes() == b"fourth"


def test_what_a_killed_run_left_is_removed_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    host = socket.gethostname()
    names = {"gone": f".export.{host}-{dead.pid}.part", "alive": f".export.{host}-{os.getppid()}.part"}
    names["elsewhere"] = ".export.another-host-1.part"
    for name in names.values():
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").touch()
    with export_folder(tmp_path / "export") as folder:
        folder.write("x", b"")
    assert {path.name for path in tmp_path.iterdir()} == {"export", names["alive"], names["elsewhere"]}


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(D3SError, match="exists and is not an export"), export_folder(tmp_path):
        pass
    assert (tmp_path / "thesis.txt").exists()


def test_two_files_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    with export_folder(tmp_path / "export") as folder:
        folder.write("x", b"1")
        with pytest.raises(FileExistsError):
            folder.write("x", b"2")
