"""Pictures of a plan: read again only where they changed, by several processes at once, and told by their names."""

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from d3s import picture_digests as module
from d3s.identity import file_sha256
from d3s.known_files import read_known, write_known
from d3s.picture_digests import PictureDigests

NAMES = ["ball.png", "box.png", "cup.png"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with three pictures that were made a minute ago; tables name them relative to it."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        write(name, name)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read."""
    names: list[str] = []

    def watched(path: str) -> str:
        names.append(path)
        return file_sha256(path)

    monkeypatch.setattr(module, "file_sha256", watched)
    return names


def write(name: str, text: str, seconds: int = 60) -> None:
    Path(name).write_text(text)
    age(name, seconds)


def age(name: str, seconds: int = 60) -> None:
    os.utime(name, ns=(0, time.time_ns() - seconds * 10**9))


def plan(names: list[str] = NAMES) -> str:
    """What a new process finds."""
    return PictureDigests().digest(names)


def test_pictures_are_read_once(read: list[str]) -> None:
    before = plan()
    assert before.startswith("3 pictures ")
    assert sorted(read) == NAMES
    assert plan() == before
    assert plan(NAMES[::-1] + NAMES[:1]) == before, "in any order"
    assert len(read) == 3


def test_another_time_means_reading_and_nothing_else(read: list[str]) -> None:
    before = plan()
    age("box.png", 30)
    assert plan() == before
    assert plan() == before
    assert read[3:] == ["box.png"]


def test_another_content_is_another_digest_also_with_the_time_of_the_old_one(read: list[str]) -> None:
    before, stat = plan(), os.stat("box.png")
    Path("new").write_text("bax.png")  # of the same length
    os.utime("new", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace("new", "box.png")
    assert plan() != before
    assert read[3:] == ["box.png"]


def test_a_picture_that_goes_or_comes_is_noticed(read: list[str]) -> None:
    before = plan()
    Path("cup.png").rename("kept.png")
    without = plan()
    assert without.startswith("2 pictures ")
    assert without == plan(NAMES[:2])
    Path("kept.png").rename("cup.png")
    assert plan() == before


def test_one_that_changed_just_now_is_not_trusted_yet(read: list[str]) -> None:
    write("box.png", "now", seconds=0)
    assert plan() == plan()
    assert read.count("box.png") == 2
    assert read.count("ball.png") == 1


def test_what_cannot_be_read_counts_as_there(read: list[str]) -> None:
    (Path("folder.png")).mkdir()
    assert plan(["folder.png"]).startswith("1 pictures ")
    assert plan(["folder.png"]) != plan(["ball.png"])
    assert plan(["no\0name"]).startswith("0 pictures ")


@pytest.mark.parametrize("content", ["", "[]", "x\n{}", '{"ball.png": 1}'])
def test_a_damaged_memory_means_reading_again(read: list[str], content: str) -> None:
    before, whole = plan(), module.MEMORY.read_text()
    module.MEMORY.write_text(content)
    assert plan() == before
    assert len(read) == 6
    assert module.MEMORY.read_text() == whole


def test_without_a_place_for_a_memory_all_is_read_each_time(read: list[str]) -> None:
    module.MEMORY.parent.write_text("a file where the folder would be")
    assert plan() == plan()
    assert len(read) == 6


def test_a_job_that_looks_at_some_drops_nothing_of_the_others(read: list[str]) -> None:
    plan()
    write("box.png", "changed")
    plan(["box.png"])
    assert set(read_known(module.MEMORY)) == set(NAMES)
    plan()
    assert read[3:] == ["box.png"]


def test_what_others_wrote_meanwhile_is_kept(read: list[str]) -> None:
    first = PictureDigests()
    first.digest([])
    assert first._known == {}, "read before the others wrote"
    plan(["ball.png"])
    first.digest(["box.png"])
    assert set(read_known(module.MEMORY)) == {"ball.png", "box.png"}


def _look(name: str) -> None:
    PictureDigests().look([name])


def test_many_writers_at_once_lose_nothing() -> None:
    names = [f"{number}.png" for number in range(24)]
    for name in names:
        write(name, name)
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.map(_look, names, chunksize=1)
    assert set(read_known(module.MEMORY)) == set(names)


def test_an_interruption_keeps_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: str) -> str:
        if path == "cup.png":
            raise KeyboardInterrupt
        return file_sha256(path)

    monkeypatch.setattr(module, "file_sha256", interrupted)
    with pytest.raises(KeyboardInterrupt):
        plan()
    assert set(read_known(module.MEMORY)) == {"ball.png", "box.png"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda: None, ([], [])),
        (lambda: age("box.png", 30), ([], [])),
        (lambda: write("box.png", "changed", seconds=0), (["box.png"], [])),
        (lambda: write("box.png", "an old copy", seconds=10**6), (["box.png"], [])),
        (lambda: write("new.png", "new"), (["new.png"], [])),
        (lambda: os.remove("cup.png"), ([], ["cup.png"])),
    ],
    ids=["nothing", "touched", "changed", "changed for an old copy", "new", "gone"],
)
def test_changes_are_told_by_name(change: Callable[[], None], told: tuple[list[str], list[str]]) -> None:
    names = [*NAMES, "new.png"]
    plan(names)
    time.sleep(0.05)  # the clock of the files ticks
    made = time.time_ns()
    time.sleep(0.05)
    change()
    assert PictureDigests().changes(names, made) == told
    assert PictureDigests().changes(names, made) == told, "also by later plans, until the chunk is made"
    assert PictureDigests().changes(names, time.time_ns()) == ([], [])


def test_long_reading_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("D3S_PROGRESS_SECONDS", "0")
    plan()
    assert "3/3" in capsys.readouterr().err
    plan()
    assert capsys.readouterr().err == ""


def test_a_memory_of_another_place_is_used(tmp_path: Path) -> None:
    write_known(tmp_path / "memory", {})
    PictureDigests(tmp_path / "memory").digest(NAMES)
    assert set(read_known(tmp_path / "memory")) == set(NAMES)
    assert not module.MEMORY.exists()
