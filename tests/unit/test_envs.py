"""The environments against the lock and against what their stages import (DESIGN decision 12)."""

import ast
import re
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import ROOT
from d3s.codedigest import closure

ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
RULE = re.compile(r"^ *rule\b", re.MULTILINE)
CONDA = re.compile(r"conda:\s*[\"']\.\./envs/(\w+)\.yaml[\"']")
SCRIPT = re.compile(r"\"\$SCRIPTS\"/(\w+)\.py")
PLUGINS = re.compile(r"f[\"']d3s\.(\w+)\.\{")
"""How a module names a plug-in that it imports at run time, as in ``f"d3s.objectives.{name}"``."""


def pins(lines: list[str]) -> dict[str, str]:
    """``name==version`` lines, with their conditions, as versions by normalised name; comments are left out."""
    found: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            found[canonicalize_name(requirement.name)] = f"{requirement.specifier}; {requirement.marker or ''}"
    return found


LOCKS = ("requirements", "requirements-segmentation")
"""Of the demo, and of what is installed beside it for one stage."""
LOCK = pins([line for name in LOCKS for line in (ROOT / f"{name}.txt").read_text().splitlines()])


def read_environment(file: Path) -> tuple[dict, dict[str, str]]:
    environment = yaml.safe_load(file.read_text())
    return environment, pins(environment["dependencies"][-1]["pip"])


def stages() -> list[tuple[str, str]]:
    """Script and environment of every rule that has both."""
    found = set()
    for file in sorted((ROOT / "rules").glob("*.smk")):
        for rule in RULE.split(file.read_text())[1:]:
            environments, scripts = CONDA.findall(rule), SCRIPT.findall(rule)
            found |= {(script, environment) for script in scripts for environment in environments}
    return sorted((script, environment) for script, environment in found if (ROOT / f"scripts/{script}.py").exists())


def with_plugins(script: Path) -> dict[str, Path]:
    """The closure of a script and of every plug-in that it could name."""
    files = closure(script)
    names = {name for file in files.values() for name in PLUGINS.findall(file.read_text())}
    folder = ROOT / "scripts/d3s"
    plugins = [f"d3s.{name}.{file.stem}" for name in names for file in sorted((folder / name).glob("[a-z]*.py"))]
    return closure(script, plugins)


def third_party_imports(files: dict[str, Path]) -> set[str]:
    """Top-level modules that files import from elsewhere.

    An import inside a function counts only if some code mentions the function's name: ``d3s.cli`` serves scripts that
    compute with torch and scripts that have none.
    """
    trees = [ast.parse(file.read_text()) for file in files.values()]
    mentioned = {
        name
        for tree in trees
        for node in ast.walk(tree)
        for name in (getattr(node, "id", None), getattr(node, "attr", None), *_names_of(node))
    }
    found: set[str] = set()
    for tree in trees:
        waiting: list[ast.AST] = [tree]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
            dead = isinstance(node, ast.FunctionDef) and not node.name.startswith("__") and node.name not in mentioned
            waiting += [] if dead else ast.iter_child_nodes(node)
    return found - sys.stdlib_module_names - {"d3s"}


def _names_of(node: ast.AST) -> list[str]:
    return [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []


@cache
def distributions_of(module: str) -> set[str]:
    return {canonicalize_name(name) for name in metadata.packages_distributions().get(module, [module])}


def requirements_of(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # locked for another kind of machine
        return []


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_an_environment_is_python_and_pip_from_conda_forge(file: Path) -> None:
    environment, _ = read_environment(file)
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert environment["dependencies"][:2] == ["python=3.11", "pip"]
    assert list(environment["dependencies"][2]) == ["pip"]


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_every_pin_is_the_one_of_the_lock(file: Path) -> None:
    _, pinned = read_environment(file)
    assert {name: LOCK.get(name) for name in pinned} == pinned


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_what_a_pinned_package_needs_is_pinned_too(file: Path) -> None:
    """Or conda's users would run versions that nobody tested."""
    _, pinned = read_environment(file)
    waiting, missing = [(name, "") for name in pinned], set()
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        if name not in pinned:
            missing.add(name)
        for line in requirements_of(name):
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(needed.name), each) for each in ("", *needed.extras)]
    assert not missing, f"add to {file.name}: {sorted(missing)}"


@pytest.mark.parametrize(("script", "environment"), stages())
def test_an_environment_holds_what_its_stages_import(script: str, environment: str) -> None:
    _, pinned = read_environment(ROOT / f"envs/{environment}.yaml")
    imported = third_party_imports(with_plugins(ROOT / f"scripts/{script}.py"))
    missing = {module for module in imported if not distributions_of(module) & set(pinned)}
    assert not missing, f"scripts/{script}.py imports {sorted(missing)}, which envs/{environment}.yaml does not pin"


def test_every_environment_serves_a_stage() -> None:
    assert {file.stem for file in ENVIRONMENTS} == {environment for _, environment in stages()}


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_holds_every_direct_requirement(name: str) -> None:
    direct = [line for line in (ROOT / f"{name}.in").read_text().splitlines() if line and line[0] != "#"]
    for requirement in map(Requirement, direct):
        locked = LOCK[canonicalize_name(requirement.name)].split(";")[0]
        assert requirement.specifier.contains(locked.removeprefix("==")), requirement


def test_no_package_is_in_two_locks() -> None:
    first, second = (pins((ROOT / f"{name}.txt").read_text().splitlines()) for name in LOCKS)
    assert not set(first) & set(second)
