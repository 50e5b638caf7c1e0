"""All histories in one table, each under its encoder's name."""

import json
from pathlib import Path

import pandas as pd

from running import script


def write_history(folder: Path, objective: str, seed: int) -> str:
    folder.mkdir(parents=True)
    (folder / "encoder.json").write_text(json.dumps({"objective": objective, "seed": seed}))
    (folder / "history.csv").write_text("step,term,value\n40,loss,0.5\n20,loss,1.0\n")
    return str(folder / "history.csv")


def test_rows_are_sorted_by_objective_seed_and_step(tmp_path: Path) -> None:
    paths = [write_history(tmp_path / f"{name}{seed}", name, seed) for name, seed in (("hsic", 0), ("erm", 1))]
    done = script(tmp_path, "collect_training", "--histories", *paths, "--output", "training.csv")
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "training.csv")
    assert table.values.tolist() == [
        ["erm", 1, 20, "loss", 1.0],
        ["erm", 1, 40, "loss", 0.5],
        ["hsic", 0, 20, "loss", 1.0],
        ["hsic", 0, 40, "loss", 0.5],
    ]


def test_a_history_without_its_encoder_is_named(tmp_path: Path) -> None:
    path = write_history(tmp_path / "erm0", "erm", 0)
    (tmp_path / "erm0/encoder.json").unlink()
    done = script(tmp_path, "collect_training", "--histories", path, "--output", "training.csv")
    assert done.returncode == 1
    assert "encoder.json can't be read" in done.stderr
    assert not (tmp_path / "training.csv").exists()
