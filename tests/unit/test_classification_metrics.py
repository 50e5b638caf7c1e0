import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import save_file

import predict_classifier
from d3s.classification_metrics import prediction_row
from d3s.imageio import encode_png, image_digest
from d3s.shards import write_shard
from d3s.superclasses import SuperClasses
from d3s.weights import build_model

CLASSES = SuperClasses(ids=(0, 2), names=("bird", "fruit"), indices=((7, 8), (5,)))


def manifest() -> pd.DataFrame:
    """Two matched sets over two backgrounds; one image is rejected, one class is unknown to ImageNet."""
    return pd.DataFrame(
        {
            "sample": ["a-grass", "a-night", "b-grass", "b-night", "toy"],
            "class_id": [0, 0, 2, 2, 9],
            "background": ["grass", "night", "grass", "night", "grass"],
            "matched_set": ["a", "a", "b", "b", "toy"],
            "accepted": [True, False, True, True, True],
        }
    )


def test_a_row_keeps_the_sums_and_the_top_of_imagenet() -> None:
    probabilities = np.zeros(10)
    probabilities[[5, 7, 8]] = [0.4, 0.25, 0.35]
    assert prediction_row(probabilities, CLASSES) == {"p_0": 0.6, "p_2": 0.4, "top1_index": 5, "top1_probability": 0.4}


def write_pictures(folder: Path, name: str, cut: str = "") -> Path:
    """A shard with a picture for each sample of the manifest but the last, which was never made."""
    rows = manifest().assign(member=lambda table: table["sample"] + ".png", status="ok")
    rows.loc[4, "status"] = "no_exemplar"
    files, digests = {}, []
    for number, row in enumerate(rows.to_dict("records")):
        seed = number + 100 * (row["sample"] == cut)
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        picture = Image.fromarray(pixels)
        digests.append(image_digest(picture))
        if row["status"] == "ok":
            files[row["member"]] = encode_png(picture)[: 150 if row["sample"] == cut else None]
    write_shard(folder / f"{name}.tar", rows.assign(guide_digest=digests, image_digest=digests), files.items())
    return folder / f"{name}.tar"


def test_the_script_predicts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(build_model("test_efficientnet").state_dict(), tmp_path / "tiny.safetensors")
    table = tmp_path / "classes.csv"
    table.write_text(
        "class_id,name,label,definition,imagenet_indices\n0,bird,bird,,7-8\n2,fruit,fruit,,5\n9,toy,toy,,\n"
    )
    predicting = argparse.Namespace(
        images=[write_pictures(tmp_path, "images", cut="b-night")],
        guides=[write_pictures(tmp_path, "guides")],
        name="tiny",
        timm_name="test_efficientnet",
        weights=tmp_path / "tiny.safetensors",
        input_size=32,
        classes=table,
        rows_digest=None,
        batch_size=4,
        device="cpu",
        store=tmp_path / "store",
        output=tmp_path / "tiny.parquet",
        threads=torch.get_num_threads(),
    )
    predict_classifier.main(predicting)
    found = pd.read_parquet(predicting.output)
    columns = ["dataset", "sample", "image_digest", "model", "p_0", "p_2", "top1_index", "top1_probability"]
    assert list(found) == columns
    assert len(found) == 8
    unreadable = found[found["p_0"].isna()]
    assert unreadable[["dataset", "sample"]].to_numpy().tolist() == [["images", "b-night"]]
    a_guide, a_picture = (found[found["dataset"] == name].iloc[0] for name in ("guides", "images"))
    assert a_guide["p_0"] == a_picture["p_0"], "equal pixels give equal probabilities, whatever stands beside them"
