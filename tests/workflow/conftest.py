"""One finished run of the tiny project, shared by all tests of the workflow; who changes it works on a copy."""

import os
from pathlib import Path

import pytest

from running import snakemake
from tiny import make_tiny_project


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run; its project lies inside and is named relative to it, so that both can be copied."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    config = make_tiny_project(folder / "project", Path("project"))
    # An hour old, as a user's pictures are: a plan remembers nothing of files that were written a moment ago.
    for path in (folder / "project").rglob("*"):
        written = path.stat().st_mtime - 3600
        os.utime(path, (written, written))
    done = snakemake(folder, config)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


@pytest.fixture(scope="session")
def config(run: Path) -> Path:
    """The run's config."""
    return run / "project" / "config.yaml"
