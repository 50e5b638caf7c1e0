"""The export within the workflow: made on request, and made again for what it holds and for nothing else."""

import re
import shutil
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
import yaml

from d3s.imageio import decode_png
from d3s.shards import TarReader
from running import snakemake

HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished run with its export."""
    folder = tmp_path_factory.mktemp("dataset") / "run"
    shutil.copytree(run, folder, symlinks=True)
    done = export(folder)
    assert done == {"export_dataset": 1, "dataset": 1}
    return folder


def export(folder: Path, **changes: dict[str, object]) -> dict[str, int]:
    """Export with a changed config; gives the jobs that it took."""
    config = yaml.safe_load((folder / "project" / "config.yaml").read_text())
    for section, values in changes.items():
        config[section] = config.get(section, {}) | values
    path = folder / "project" / "changed.yaml"
    path.write_text(yaml.safe_dump(config))
    done = snakemake(folder, path, "dataset")
    assert done.returncode == 0, done.stderr[-3000:]
    table = re.search(r"^job +count\n-+  -+\n(.*?)^total", done.stderr, re.MULTILINE | re.DOTALL)
    jobs = [line.split() for line in table[1].splitlines()] if table else []
    return {rule: int(number) for rule, number in jobs}


def test_it_opens_with_the_pixels_of_the_shards(exported: Path, tmp_path: Path) -> None:
    manifest = pd.read_parquet(exported / "results/validation/manifest.parquet").set_index("sample")
    data = datasets.load_dataset(str(exported / "results/dataset"), cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in data.items()} == manifest[manifest["accepted"]][
        "split"
    ].value_counts().to_dict()
    for record in data["val"]:
        row = manifest.loc[record["sample"]]
        with TarReader(exported / row["shard"]) as tar:
            assert np.array_equal(np.asarray(record["image"]), np.asarray(decode_png(tar.read(row["member"]))))


def test_a_second_run_exports_nothing_again(exported: Path) -> None:
    assert export(exported) == {}


def test_settings_of_other_stages_export_nothing_again(exported: Path) -> None:
    assert export(exported, probes={"controls": 2}, encoders={"steps": 7}) == {}


def test_a_new_title_exports_again_and_makes_nothing_else(exported: Path) -> None:
    assert export(exported, export={"title": HOSTILE}) == {"export_dataset": 1, "dataset": 1}
    card = (exported / "results/dataset/README.md").read_text()
    assert "# &lt;/script&gt;&lt;img src=x" in card
    assert [path.name for path in (exported / "results").glob(".export*")] == []
