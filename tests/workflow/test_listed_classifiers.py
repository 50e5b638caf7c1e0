"""Networks added to the list of a finished run: theirs alone are the jobs, and one without weights stops nothing."""

import shutil
from pathlib import Path

import pandas as pd
import yaml

from d3s.predictions import read_predictions
from running import jobs_of, snakemake
from tiny_classifiers import entry, plain


def test_a_network_more_costs_its_own_jobs_and_a_missing_one_is_told(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run", symlinks=True))
    path = folder / "project/config.yaml"
    table = folder / "project/classifiers.yaml"
    listed = yaml.safe_load(table.read_text())
    plain("timm", "test_resnet", folder / "data/tiny.safetensors")
    listed.append(entry("tiny", "timm", "test_resnet", "data/tiny.safetensors", input={"size": 32}))
    listed.append(entry("absent", "torchvision", "resnet18", "data/absent.safetensors", note="draw it yourself"))
    table.write_text(yaml.safe_dump(listed))

    done = snakemake(folder, path, "classifiers")
    assert done.returncode == 0, done.stderr[-4000:]
    assert jobs_of(done.stderr) == {"convert_weights": 2, "predict_classifier": 8, "score_classifiers": 1}
    status = pd.read_csv(folder / "results/tables/classifiers_status.csv")
    assert set(status["dataset"]) == {"cutouts", "guides", "images", "templates"}
    status = status[status["dataset"] == "images"].set_index("model")
    assert status["status"].to_dict() == dict.fromkeys(["lite0", "lite1", "lite2", "tiny"], "ok") | {
        "absent": "unavailable"
    }
    assert status.loc["absent", "reason"] == "there is no file data/absent.safetensors; draw it yourself"
    assert status["predicted"].to_dict() == dict.fromkeys(["lite0", "lite1", "lite2", "tiny"], 16) | {"absent": 0}
    assert set(pd.read_csv(folder / "results/tables/classifiers.csv")["model"]) == {"lite0", "lite1", "lite2", "tiny"}

    plain("torchvision", "resnet18", folder / "data/absent.safetensors")
    again = snakemake(folder, path, "classifiers")
    assert again.returncode == 0, again.stderr[-4000:]
    assert jobs_of(again.stderr) == {"convert_weights": 1, "predict_classifier": 4, "score_classifiers": 1}
    found = read_predictions(folder / "results/predictions/images/absent.parquet")
    assert found.metadata["status"] == "ok"
    assert found.logits.shape == (16, 1000)
    assert "Nothing to be done" in snakemake(folder, path, "classifiers").stderr
