"""A model of a hub is fetched by the workflow, once, before whatever needs it; the hub is a folder here."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from d3s.models import PINS, model_digest
from running import script, snakemake
from tiny import make_tiny_project

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHARD = "results/images/val/background/grass/0.digests.json"
HUB = """
import sys
if any(word.endswith("fetch_model.py") for word in sys.orig_argv):
    import shutil
    import huggingface_hub

    def snapshot_download(name, *, revision, local_dir, allow_patterns, ignore_patterns):
        assert (name, revision) == ("owner/model", {commit!r})
        shutil.copytree({source!r}, local_dir, dirs_exist_ok=True)

    huggingface_hub.snapshot_download = snapshot_download
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny project whose generator is not there but in a hub; its folder holds project/config.yaml."""
    folder = tmp_path / "run"
    config = make_tiny_project(folder / "project", Path("project"))
    source = tmp_path / "hub"
    shutil.move(folder / "project" / "generator", source)
    (source / PINS).unlink()
    content = yaml.safe_load(config.read_text())
    content["generator"] |= {"hub": "owner/model", "revision": COMMIT, "batch_size": "auto", "safety": False}
    config.write_text(yaml.safe_dump(content))
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "sitecustomize.py").write_text(HUB.format(commit=COMMIT, source=str(source)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "python"))
    return folder


def test_a_model_is_fetched_first_and_once(project: Path) -> None:
    config = project / "project" / "config.yaml"
    told = script(project, "plan", "--configfile", str(config))
    assert told.returncode == 1
    assert "snakemake --cores 1 fetch_model --configfile" in told.stderr

    done = snakemake(project, config, SHARD)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "localrule fetch_model" in done.stdout + done.stderr
    model = project / "project" / "generator"
    rows = pd.read_parquet(project / SHARD.replace(".digests.json", ".parquet"))
    assert set(rows["model_digest"]) == {model_digest(model)}, "recipes know the files, wherever they came from"

    again = snakemake(project, config, SHARD)
    assert "Nothing to be done" in again.stdout + again.stderr

    forced = snakemake(project, config, SHARD, "--forcerun", "fetch_model")
    assert forced.returncode == 0, forced.stderr[-3000:]
    assert "rule compose_guides" not in forced.stdout + forced.stderr, "its guides and images stay"

    (model / "unet" / "config.json").write_text("{}")
    broken = snakemake(project, config, SHARD, "--forcerun", "fetch_model")
    assert broken.returncode != 0
    assert "was changed since it was fetched" in broken.stdout + broken.stderr
