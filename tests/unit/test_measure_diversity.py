import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import measure_diversity
from d3s.errors import D3SError
from d3s.imageio import encode_png
from d3s.shards import write_shard
from d3s.weights import build_model


def write_pictures(folder: Path, name: str) -> tuple[Path, pd.DataFrame]:
    """Two classes of three pictures: copies of one, and different ones, one of them cut off."""
    rows = pd.DataFrame(
        [
            {"sample": f"{kind}-{n}", "member": f"{kind}-{n}.png", "status": "ok", "shift": "background"}
            | {"class_id": place, "class_name": kind, "background": "grass"}
            for place, kind in enumerate(("alike", "various"))
            for n in range(4)
        ]
    )
    files = {}
    for row in rows.to_dict("records"):
        seed = 0 if row["class_name"] == "alike" else int(row["sample"][-1]) + 1
        pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        cut = 150 if row["sample"] == "various-3" else None
        files[row["member"]] = encode_png(Image.fromarray(pixels))[:cut]
    write_shard(folder / f"{name}.tar", rows, files.items())
    return folder / f"{name}.tar", rows


def test_the_script_measures_each_cell(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(build_model("test_efficientnet").state_dict(), tmp_path / "tiny.safetensors")
    tar, rows = write_pictures(tmp_path, "images")
    rows[["sample"]].assign(accepted=rows["sample"] != "alike-3").to_parquet(tmp_path / "manifest.parquet")
    given = argparse.Namespace(
        images=[tar],
        guides=[write_pictures(tmp_path, "guides")[0]],
        manifest=tmp_path / "manifest.parquet",
        timm_name="test_efficientnet",
        weights=tmp_path / "tiny.safetensors",
        input_size=32,
        pairs=28,
        seed=0,
        bootstrap=50,
        device="cpu",
        output=tmp_path / "diversity.csv",
        threads=torch.get_num_threads(),
    )
    measure_diversity.main(given)
    table = pd.read_csv(given.output).set_index(["dataset", "class_name"])
    assert table["pictures"].to_dict() == {
        ("images_accepted", "alike"): 3,
        ("images_accepted", "various"): 3,
        ("guides", "alike"): 4,
        ("guides", "various"): 3,
    }
    assert table.loc[("guides", "alike"), "value"] == pytest.approx(0, abs=1e-6)
    assert 0 < table.loc[("guides", "various"), "value"] < 4
    first = given.output.read_bytes()
    measure_diversity.main(given)
    assert given.output.read_bytes() == first


def test_a_model_without_stages_is_refused() -> None:
    with pytest.raises(D3SError, match="does not give the stages of Linear"):
        measure_diversity.Layers(nn.Linear(2, 2), 32, torch.device("cpu"), {})
