import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT
from d3s.codedigest import closure, code_digest
from d3s.errors import D3SError

Project = Callable[..., Path]

FILES = {
    "train.py": "from d3s import cli\nfrom d3s.models.net import build\n\nbuild(cli.parser())\n",
    "d3s/__init__.py": "",
    "d3s/cli.py": 'def parser():\n    """Says nothing."""\n    return 1\n',
    "d3s/models/__init__.py": "",
    "d3s/models/net.py": (
        "def build(x):\n    from . import layers\n    from ..shared import scale\n    return scale(layers.LAYER)\n"
    ),
    "d3s/models/layers.py": "import d3s.cli\nLAYER = 2\n",
    "d3s/shared.py": "def scale(x):\n    return x\n",
    "d3s/unrelated.py": "A = 1\n",
    "d3s/objectives/erm.py": "from d3s.shared import scale\nLOSS = 1\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A function that writes a small project, with some of its files replaced, and gives its script."""

    def make(folder: str = "project", /, **replaced: str) -> Path:
        root = tmp_path / folder
        for name, text in (FILES | {key.replace("__", "/"): text for key, text in replaced.items()}).items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return root / "train.py"

    return make


def changed(project: Project, name: str, text: str, *plugins: str) -> bool:
    """Whether the digest of the script notices that a file of the project holds another text."""
    before = code_digest(project(), plugins)
    script = project()
    (script.parent / name).write_text(text)
    return code_digest(script, plugins) != before


def test_the_closure_is_what_python_would_load(project: Project) -> None:
    script = project()
    assert list(closure(script)) == [
        "__main__",
        "d3s",
        "d3s.cli",
        "d3s.models",
        "d3s.models.layers",
        "d3s.models.net",
        "d3s.shared",
    ]


def test_a_digest_is_the_same_anywhere(project: Project) -> None:
    digest = code_digest(project("here"))
    assert code_digest(project("there")) == digest == code_digest(str(project("here")))
    assert len(digest) == 32


@pytest.mark.parametrize(
    "text",
    [
        'def parser():\n    """Says something else."""\n    return 1\n',
        '"""A new module docstring."""\n\n\ndef parser():  # why\n\n    return (1)\n',
        'def parser():\n    return 1\n"""A text that documents what stands above it."""\n',
    ],
    ids=["docstring", "comment and layout", "documentation of a value"],
)
def test_comments_docstrings_and_layout_do_not_count(project: Project, text: str) -> None:
    assert not changed(project, "d3s/cli.py", text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.py", FILES["train.py"] + "print(1)\n"),
        ("d3s/cli.py", "def parser():\n    return 2\n"),
        ("d3s/cli.py", "def parser():\n    return 1.0\n"),
        ("d3s/cli.py", "def parser():\n    return '1'\n"),
        ("d3s/cli.py", "def parser(x=0):\n    return 1\n"),
        ("d3s/cli.py", "async def parser():\n    return 1\n"),
        ("d3s/shared.py", "def scale(x):\n    return -x\n"),
        ("d3s/models/layers.py", "import d3s.cli\nLAYER = 3\n"),
        ("d3s/models/__init__.py", "import os\n"),
    ],
)
def test_a_change_of_code_counts_wherever_it_is_used(project: Project, name: str, text: str) -> None:
    assert changed(project, name, text)


def test_a_change_of_another_module_does_not_count(project: Project) -> None:
    assert not changed(project, "d3s/unrelated.py", "A = 2\n")
    assert not changed(project, "d3s/objectives/erm.py", "LOSS = 2\n")


def test_plugins_count_when_they_are_named(project: Project) -> None:
    assert code_digest(project(), ["d3s.objectives.erm"]) != code_digest(project())
    assert changed(project, "d3s/objectives/erm.py", "LOSS = 2\n", "d3s.objectives.erm")


def test_a_data_file_beside_a_module_that_names_it_counts(project: Project) -> None:
    page = {"d3s__cli.py": "PAGE = 'page.html'\ndef parser():\n    return PAGE\n"}
    without = code_digest(project("a", **page))
    with_page = code_digest(project("b", **page, **{"d3s__page.html": "<p>one</p>"}))
    edited = code_digest(project("c", **page, **{"d3s__page.html": "<p>two</p>"}))
    assert len({without, with_page, edited}) == 3
    assert not changed(project, "d3s/notes.html", "nobody names this file")


@pytest.mark.parametrize("text", ["a" * 5000 + ".html", "\0.html", "../train.py", "/etc/hostname.txt", ""])
def test_texts_that_are_no_file_names_do_no_harm(project: Project, text: str) -> None:
    assert code_digest(project(**{"d3s__cli.py": f"A = {text!r}\n"}))


def test_a_missing_module_is_named_with_its_user(project: Project) -> None:
    script = project(**{"d3s__shared.py": "from d3s.gone import x\n"})
    with pytest.raises(D3SError, match=r"shared\.py imports d3s\.gone"):
        code_digest(script)
    with pytest.raises(D3SError, match=r"d3s\.objectives\.sgd"):
        code_digest(project(**{"d3s__shared.py": "x = 1\n"}), ["d3s.objectives.sgd"])


def test_a_missing_script_and_invalid_code_are_refused(project: Project) -> None:
    with pytest.raises(D3SError, match="does not exist"):
        code_digest(project().with_name("gone.py"))
    with pytest.raises(D3SError, match=r"cli\.py is not valid Python"):
        code_digest(project(**{"d3s__cli.py": "def parser(:\n"}))


def test_modules_that_import_each_other_come_to_an_end(project: Project) -> None:
    assert code_digest(project(**{"d3s__shared.py": "import d3s.models.net\ndef scale(x):\n    return x\n"}))


def test_a_script_of_this_project_is_digested_without_importing_what_it_uses() -> None:
    program = (
        "import sys; from d3s.codedigest import code_digest; code_digest('scripts/prepare_foregrounds.py');"
        "sys.exit(bool({'numpy', 'PIL', 'd3s.foregrounds'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT / "scripts")}, cwd=ROOT, check=True)
    assert "d3s.foregrounds" in closure(ROOT / "scripts" / "prepare_foregrounds.py")


def test_what_was_found_is_remembered_and_nothing_else_is_believed(project: Project, tmp_path: Path) -> None:
    script, kept = project(), tmp_path / "kept" / "parses.json"
    here = str(ROOT / "scripts")

    def in_a_new_process() -> tuple[str, int]:
        """The digest, and how many files were parsed for it."""
        program = (
            f"import sys; sys.path.insert(0, {here!r})\n"
            "from pathlib import Path\n"
            "from d3s import codedigest\n"
            "parse, parsed = codedigest._parse, []\n"
            "codedigest._parse = lambda source: parsed.append(source) or parse(source)\n"
            f"codedigest.recall(Path({str(kept)!r}))\n"
            f"print(codedigest.code_digest({str(script)!r}), len(parsed))\n"
            f"codedigest.remember(Path({str(kept)!r}))\n"
        )
        said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
        digest, number = said.split()
        return digest, int(number)

    first, parsed = in_a_new_process()
    assert parsed == len(closure(script)) - 1, "the two empty packages are one file"
    assert in_a_new_process() == (first, 0)
    (script.parent / "d3s/shared.py").write_text("def scale(x):\n    return 2 * x\n")
    changed_digest, parsed = in_a_new_process()
    assert (changed_digest != first, parsed) == (True, 1)
    kept.write_text(kept.read_text()[:-20])
    assert in_a_new_process()[0] == changed_digest
    kept.write_text(kept.read_text().replace('"code": "', '"code": "0'))
    assert in_a_new_process()[0] == changed_digest
