"""Benchmarks in the config: closed, and checked before any job starts."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark_layouts import benchmark, draw, make_tree
from conftest import ROOT
from d3s.benchmark_kind import known_kinds, walk_pictures
from d3s.config import check_config, load_tables
from d3s.errors import D3SError


def config(*benchmarks: dict[str, Any]) -> dict[str, Any]:
    demo = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    return demo | {"benchmarks": list(benchmarks)}


def given(**settings: Any) -> dict[str, Any]:
    return {"name": "val", "kind": "imagefolder", "folder": "data/val"} | settings


def test_an_entry_is_filled_in() -> None:
    filled = check_config(config(given()))["benchmarks"][0]
    assert filled["levels"] == ["label"]
    assert filled["limit_per_class"] == 0
    assert check_config(config(filled))["benchmarks"] == [filled]


def test_there_are_none_by_default() -> None:
    assert check_config(config())["benchmarks"] == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limit": 3}, "benchmarks: 0: unknown key 'limit'"),
        ({"lables": "x.csv"}, "did you mean 'labels'"),
        ({"kind": "imagefolders"}, "no kind 'imagefolders'; did you mean 'imagefolder'"),
        ({"name": "images"}, "what a data set of this workflow is called"),
        ({"name": "images_accepted"}, "what a data set of this workflow is called"),
        ({"name": "a/b"}, "does not match"),
        ({"folder": "a{b}"}, "does not match"),
        ({"levels": ["label", "colour"]}, "'colour' is not one of"),
        ({"table": "x.csv"}, "the kind imagefolder has no setting 'table'"),
        ({"kind": "waterbirds", "labels": "x.csv", "levels": ["split", "label"]}, "waterbirds has no setting 'levels'"),
        ({"kind": "waterbirds"}, "the kind waterbirds needs 'labels'"),
        ({"kind": "imagenet9"}, "the kind imagenet9 needs 'labels'"),
        ({"kind": "table", "labels": "x.csv"}, "the kind table needs 'table'"),
    ],
)
def test_mistakes_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(D3SError, match=message):
        check_config(config(given(**settings)))


def test_each_has_a_name_of_its_own() -> None:
    with pytest.raises(D3SError, match="two benchmarks have this name"):
        check_config(config(given(), given(folder="other")))


def test_what_is_required_is_named() -> None:
    with pytest.raises(D3SError, match="'folder' is a required property"):
        check_config(config({"name": "val", "kind": "imagefolder"}))


def test_folder_and_label_map_are_looked_at_before_any_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    make_tree(tmp_path / "val", "frog/1.png")
    labels = tmp_path / "labels.csv"
    own = check_config(config(given(folder=str(tmp_path / "val"), labels=str(labels))))
    with pytest.raises(D3SError, match=r"the label map .*labels.csv is not there"):
        load_tables(own)
    labels.write_text("label,imagenet_indices\ntoad,32\n")
    with pytest.raises(D3SError, match="has none of the labels that are folders here, such as 'frog'"):
        load_tables(own)
    labels.write_text("label,imagenet_indices\nfrog,30\n")
    load_tables(own)
    with pytest.raises(D3SError, match=r"benchmarks: val: the folder .* is not there"):
        load_tables(check_config(config(given(folder=str(tmp_path / "gone")))))


def test_the_readme_of_kinds_is_complete() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    assert [kind for kind in known_kinds() if f"`{kind}`" not in page] == []


def test_a_plan_asks_no_file_for_its_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of fifty thousand pictures is looked at by its own time alone."""
    folder = make_tree(tmp_path / "val", *(f"n01440764/{number}.png" for number in range(5)))
    found = benchmark("imagefolder", folder)
    found.check(None)
    assert found.watched() == [str(folder)]
    asked: list[str] = []
    plain = Path.stat

    def stat(self: Path, **options: Any) -> Any:
        asked.append(self.name)
        return plain(self, **options)

    monkeypatch.setattr(Path, "stat", stat)
    assert len(list(walk_pictures(folder))) == 5
    assert not any(name.endswith(".png") for name in asked)


def test_hidden_files_and_others_are_passed_over(tmp_path: Path) -> None:
    make_tree(tmp_path, "b/2.PNG", "a/1.jpg", "a/.hidden.png", "__MACOSX/a.png", ".git/a.png")
    (tmp_path / "a" / "readme.md").touch()
    assert list(walk_pictures(tmp_path)) == [("a/1.jpg", None), ("b/2.PNG", None)]
    draw(tmp_path / "a" / "0.png", 1)
    assert [path for path, _ in walk_pictures(tmp_path)] == ["a/0.png", "a/1.jpg", "b/2.PNG"]


def test_the_snakefile_imports_nothing_heavy() -> None:
    kinds = "".join(f"import d3s.benchmark_kinds.{kind}\n" for kind in known_kinds())
    heavy = "import sys; print([name for name in ('numpy', 'pandas', 'PIL', 'torch', 'timm') if name in sys.modules])"
    command = [sys.executable, "-c", f"{kinds}import d3s.config, d3s.subject_names\n{heavy}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT / "scripts")
    assert done.stdout.strip() == "[]"
