"""Finished runs: restored whole, or not at all."""

from pathlib import Path

import pytest

from d3s.identity import file_sha256
from d3s.kept_runs import KeptRun, collect


@pytest.fixture
def run(tmp_path: Path) -> KeptRun:
    output = tmp_path / "output"
    output.mkdir()
    (output / "weights").write_bytes(b"weights")
    (output / "settings").write_text("settings")
    kept = KeptRun(tmp_path / "store", "encoder", {"seed": 1}, "code")
    kept.keep(output, ["weights", "settings"])
    return kept


def test_the_same_run_is_restored(tmp_path: Path, run: KeptRun) -> None:
    again = KeptRun(tmp_path / "store", "encoder", {"seed": 1}, "code")
    assert again.restore(tmp_path / "again")
    assert (tmp_path / "again" / "weights").read_bytes() == b"weights"
    assert (tmp_path / "again" / "settings").read_text() == "settings"


def test_another_seed_or_code_is_another_run(tmp_path: Path, run: KeptRun) -> None:
    assert not KeptRun(tmp_path / "store", "encoder", {"seed": 2}, "code").restore(tmp_path / "again")
    assert not KeptRun(tmp_path / "store", "encoder", {"seed": 1}, "other").restore(tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("damaged", ["weights", "files.json"])
def test_a_damaged_run_is_not_restored(tmp_path: Path, run: KeptRun, damaged: str) -> None:
    (run.folder / damaged).unlink()
    (run.folder / damaged).write_bytes(b"wei")
    assert not run.restore(tmp_path / "again")


def test_a_restored_file_can_be_replaced_without_harm(tmp_path: Path, run: KeptRun) -> None:
    run.restore(tmp_path / "again")
    (tmp_path / "again" / "weights").unlink()
    (tmp_path / "again" / "weights").write_bytes(b"others")
    assert run.restore(tmp_path / "once more")
    assert (tmp_path / "once more" / "weights").read_bytes() == b"weights"


def test_collecting_keeps_the_runs_that_results_came_from(tmp_path: Path, run: KeptRun) -> None:
    wanted = {file_sha256(tmp_path / "output" / "settings")}
    assert not list(collect(tmp_path / "store", "encoder", "settings", wanted))
    assert [files for _, files, _ in collect(tmp_path / "store", "encoder", "settings", set(), dry_run=True)] == [3]
    assert run.folder.exists()
    list(collect(tmp_path / "store", "encoder", "settings", set()))
    assert not run.folder.exists()
