"""What users' folders hold beside good pictures: a row each, with a reason, and never a traceback."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark_layouts import benchmark, draw, index, make_tree, write_rows
from d3s import kept_digests as module
from d3s.benchmark_index import COLUMNS, build_index, report_index
from d3s.errors import D3SError
from d3s.identity import file_sha256
from d3s.kept_digests import kept_digests
from d3s.label_maps import LabelMap
from index_benchmark import main as index_benchmark
from index_benchmark import parse

MAP = LabelMap.from_rows(
    [
        {"label": "frog", "name": "frog", "imagenet_indices": "30-32"},
        {"label": "newt", "name": "newt", "imagenet_indices": "25 26"},
        {"label": "toad", "name": "toad", "imagenet_indices": ""},
    ],
    "labels.csv",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "theirs", "frog/1.png", "frog/2.png")


def status_of(folder: Path, sample: str) -> tuple[str, str]:
    row = index("imagefolder", folder, MAP).loc[sample]
    return row["status"], row["reason"]


def test_an_index_has_its_columns(folder: Path) -> None:
    table = build_index(benchmark("imagefolder", folder), MAP, file_sha256)
    assert tuple(table.columns) == COLUMNS
    assert table["digest"].tolist() == [file_sha256(folder / "frog" / name) for name in ("1.png", "2.png")]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(D3SError, match=r"the folder .*nowhere is not there"):
        index("imagefolder", tmp_path / "nowhere", MAP)


def test_a_picture_in_no_class(folder: Path) -> None:
    draw(folder / "loose.png", 5)
    assert status_of(folder, "loose.png") == ("no_label", "it lies in no folder of a label; those are label")


def test_a_label_that_the_map_does_not_have(folder: Path) -> None:
    draw(folder / "frogs" / "1.png", 5)
    status, reason = status_of(folder, "frogs/1.png")
    assert (status, reason) == ("unknown_label", "labels.csv has no label 'frogs'; did you mean 'frog'?")
    assert index("imagefolder", folder, MAP).loc["frogs/1.png", ["class_id", "digest"]].tolist() == [-1, ""]


def test_a_class_without_indices_can_not_be_judged(folder: Path) -> None:
    draw(folder / "toad" / "1.png", 5)
    assert status_of(folder, "toad/1.png") == ("no_indices", "labels.csv gives toad no imagenet_indices")


def test_no_folder_is_a_label_of_the_map(tmp_path: Path) -> None:
    make_tree(tmp_path, "val/frog/1.png", "train/frog/1.png")
    with pytest.raises(D3SError, match="none of the labels that are folders here, such as 'train'") as caught:
        index("imagefolder", tmp_path, MAP)
    assert "val may be meant" in caught.value.remedy
    with pytest.raises(D3SError, match="its folders are no WordNet ids such as n01440764, but train, val"):
        index("imagefolder", tmp_path)


def test_files_that_are_no_pictures(folder: Path) -> None:
    (folder / "frog" / "text.png").write_text("no picture")
    (folder / "frog" / "empty.jpg").touch()
    (folder / "frog" / "notes.txt").write_text("passed over")
    (folder / "frog" / "._1.png").write_text("what macOS leaves behind")
    table = index("imagefolder", folder, MAP)
    assert table["status"].to_dict() == {
        "frog/1.png": "ok",
        "frog/2.png": "ok",
        "frog/empty.jpg": "not_an_image",
        "frog/text.png": "not_an_image",
    }


def test_a_picture_over_the_limit_is_not_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.zeros((9000, 9000), np.uint8)).save(folder / "frog" / "huge.png")
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("a pixel was decoded"))
    status, reason = status_of(folder, "frog/huge.png")
    assert (status, reason) == ("too_large", "huge.png is 9000 x 9000; the limit is 64,000,000 pixels")


def test_links_may_not_lead_out(folder: Path, tmp_path: Path) -> None:
    outside = draw(tmp_path / "outside.png", 7)
    (folder / "frog" / "out.png").symlink_to(outside)
    (folder / "frog" / "in.png").symlink_to(folder / "frog" / "1.png")
    (folder / "frog" / "gone.png").symlink_to(folder / "frog" / "nothing.png")
    (folder / "frog" / "round.png").symlink_to(folder / "frog" / "round.png")
    (folder / "newt").symlink_to(folder / "frog")
    table = index("imagefolder", folder, MAP)
    found = table["status"].to_dict()
    assert found["frog/out.png"] == "outside"
    assert found["frog/in.png"] == "ok"
    assert found["frog/gone.png"] == "missing"
    assert found["frog/round.png"] == "missing"
    assert found["newt"] == "link"
    assert "newt/1.png" not in found


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert index("imagefolder", tmp_path / "link", MAP)["status"].tolist() == ["ok", "ok"]


@pytest.mark.parametrize(
    ("file", "status"),
    [("../outside.png", "outside"), ("/etc/passwd", "outside"), ("gone.png", "missing"), ("frog", "not_a_file")],
)
def test_a_table_may_not_lead_out_either(folder: Path, tmp_path: Path, file: str, status: str) -> None:
    draw(tmp_path / "outside.png", 7)
    rows = [{"file": "frog/1.png", "label": "frog"}, {"file": file, "label": "frog"}]
    table = index("table", folder, MAP, table=str(write_rows(tmp_path / "own.csv", rows)))
    assert table["status"].to_dict() == {"frog/1.png": "ok", file: status}


def test_names_with_odd_characters(folder: Path) -> None:
    odd = ["a b.png", "ü ñ.png", "#%&{}.png", "two\nlines.png", "'quoted\".png"]
    for number, name in enumerate(odd):
        draw(folder / "frog" / name, number)
    table = index("imagefolder", folder, MAP)
    assert {f"frog/{name}" for name in odd} < set(table.index)
    assert set(table["status"]) == {"ok"}


def test_a_name_that_is_no_text_is_refused(folder: Path, tmp_path: Path) -> None:
    os.rename(folder / "frog" / "2.png", os.fsencode(folder / "frog") + b"/\xff.png")
    table = index("imagefolder", folder, MAP)
    assert table.loc["frog/\\udcff.png", "status"] == "bad_name"
    table.reset_index().to_parquet(tmp_path / "index.parquet")


def test_a_folder_that_can_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "newt").mkdir()
    plain = os.scandir

    def scandir(path: str | Path) -> object:
        if str(path).endswith("newt"):
            raise PermissionError(13, "Permission denied")
        return plain(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert index("imagefolder", folder, MAP).loc["newt", "status"] == "unreadable"


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "frog" / "pipe.png")
    assert status_of(folder, "frog/pipe.png") == ("not_a_file", "it is not a file")


def test_what_is_wanting_is_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    draw(folder / "eel" / "1.png", 5)
    table = build_index(benchmark("imagefolder", folder), MAP, file_sha256)
    with caplog.at_level(logging.INFO):
        bad = report_index(table, MAP, "benchmarks: theirs")
    assert len(bad) == 1
    assert "1 of 3 classes have no pictures: newt" in caplog.text
    assert "1 pictures: unknown_label; such as eel/1.png" in caplog.text
    with pytest.raises(D3SError, match="none of 1 pictures can be used"):
        report_index(bad, MAP, "benchmarks: theirs")


def test_a_rerun_reads_only_what_changed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def watched(path: Path) -> str:
        read.append(path.name)
        return file_sha256(path)

    monkeypatch.setattr(module, "file_sha256", watched)
    for path in folder.rglob("*.png"):
        os.utime(path, (1, 1))
    tables = []
    for _ in range(2):
        with kept_digests(tmp_path / "store", folder) as sha256:
            tables.append(build_index(benchmark("imagefolder", folder), MAP, sha256))
    assert read == ["1.png", "2.png"]
    assert tables[0].equals(tables[1])
    os.utime(folder / "frog" / "2.png", (2, 2))
    with kept_digests(tmp_path / "store", folder) as sha256:
        build_index(benchmark("imagefolder", folder), MAP, sha256)
    assert read[2:] == ["2.png"]


@pytest.mark.parametrize("rule", ["keep", "fail"])
def test_the_script_writes_index_and_map(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    draw(folder / "eel" / "1.png", 5)
    labels = tmp_path / "labels.csv"
    labels.write_text("label,imagenet_indices\nfrog,30-32\nnewt,25 26\n")
    given = benchmark("imagefolder", folder, labels=str(labels)).own
    out, used = tmp_path / "index.parquet", tmp_path / "used.csv"
    command = ["index_benchmark.py", f"--benchmark={json.dumps(given)}", f"--output={out}", f"--labels={used}"]
    monkeypatch.setattr("sys.argv", [*command, f"--on-bad-input={rule}", f"--store={tmp_path / 'store'}"])
    if rule == "fail":
        with pytest.raises(D3SError, match="1 pictures of theirs can't be used"):
            index_benchmark(parse())
        assert not out.exists()
        return
    index_benchmark(parse())
    assert used.read_text() == "label,name,imagenet_indices\nfrog,frog,30-32\nnewt,newt,25-26\n"
    first = out.read_bytes()
    index_benchmark(parse())
    assert out.read_bytes() == first
