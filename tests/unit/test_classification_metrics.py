import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import convert_weights
import predict_classifier
import score_classifiers
from d3s.classification_metrics import (
    accuracy_table,
    confusion_table,
    judged_rows,
    ranks,
    status_table,
    super_class_rows,
)
from d3s.errors import D3SError
from d3s.imageio import encode_png, image_digest
from d3s.predictions import METADATA, Predictions, read_predictions
from d3s.shards import write_shard
from d3s.superclasses import SuperClasses
from tiny_classifiers import entry, plain, write_list

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


def predictions(dataset: str, p_0: list[float], p_2: list[float], model: str = "lite2") -> pd.DataFrame:
    return pd.DataFrame({"dataset": dataset, "sample": manifest()["sample"], "model": model, "p_0": p_0, "p_2": p_2})


GUIDES = predictions("guides", [0.9, 0.9, 0.1, 0.2, 0.5], [0.1, 0.0, 0.6, 0.5, 0.5])
IMAGES = predictions("images", [0.9, 0.2, 0.1, 0.8, 0.5], [0.1, 0.7, 0.6, 0.1, 0.5])


def answered(logits: np.ndarray, **about: str) -> Predictions:
    """Predictions of pictures ``a``, ``b`` ..., of which those without numbers could not be read."""
    readable = np.isfinite(logits).all(axis=1)
    frame = pd.DataFrame({"dataset": "images", "sample": list("abcdef"[: len(logits)]), "digest": "d"})
    frame = frame.assign(status=np.where(readable, "ok", "truncated"), reason="")
    usual = dict.fromkeys(METADATA, "") | {"model": "lite2", "family": "efficientnet", "status": "ok"}
    return Predictions(frame, logits, usual | {"label_space": "imagenet-1k"} | about)


def test_super_classes_are_summed_from_all_that_a_network_said() -> None:
    logits = np.full((2, 10), -np.inf)
    logits[0, [5, 7, 8]] = np.log([0.4, 0.25, 0.35])
    logits[1] = np.nan
    table = super_class_rows(answered(logits), CLASSES)
    assert table.loc[0, ["sample", "model"]].tolist() == ["a", "lite2"]
    assert table.loc[0, ["p_0", "p_2"]].tolist() == pytest.approx([0.6, 0.4])
    assert table.loc[1, ["p_0", "p_2"]].isna().all()


def test_a_head_of_its_own_needs_no_sums() -> None:
    table = super_class_rows(answered(np.log([[0.9, 0.1]]), label_space="classes"), CLASSES)
    assert table.loc[0, ["p_0", "p_2"]].tolist() == pytest.approx([0.9, 0.1])
    with pytest.raises(D3SError, match="tells 3 classes apart, and the table has 2"):
        super_class_rows(answered(np.zeros((1, 3)), label_space="classes"), CLASSES)


def test_every_classifier_has_a_status() -> None:
    logits = np.zeros((3, 4))
    logits[1] = np.nan
    missing = {"model": "clip", "family": "clip", "status": "unavailable", "reason": "there is no file"}
    table = status_table([answered(logits), answered(logits[:1]), answered(logits[:0], **missing)])
    assert table.to_csv(index=False, lineterminator="\n") == (
        "model,family,status,reason,predicted\nlite2,efficientnet,ok,,3\nclip,clip,unavailable,there is no file,0\n"
    )


def test_ties_count_against_a_class() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.3, 0.3, 0.4], [0.0, 0.0, 0.0]])
    assert ranks(probabilities, np.array([0, 0, 2])).tolist() == [1, 3, 3]


def test_accuracy_by_data_set_and_background() -> None:
    judged = judged_rows(pd.concat([GUIDES, IMAGES]), manifest(), CLASSES)
    table = accuracy_table(judged, seed=0, resamples=50)
    top1 = table[table["metric"] == "top1"].set_index(["dataset", "background"])
    assert top1["value"].to_dict() == {
        ("guides", "all"): 1.0,
        ("guides", "grass"): 1.0,
        ("guides", "night"): 1.0,
        ("images", "all"): 0.5,
        ("images", "grass"): 1.0,
        ("images", "night"): 0.0,
        ("images_accepted", "all"): pytest.approx(2 / 3),
        ("images_accepted", "grass"): 1.0,
        ("images_accepted", "night"): 0.0,
    }
    assert top1["n"].tolist() == [4, 2, 2, 4, 2, 2, 3, 2, 1]
    assert (table.loc[table["metric"] == "top5", "value"] == 1).all(), "two super-classes leave top-5 no way to fail"


def test_the_table_is_this_text() -> None:
    judged = judged_rows(GUIDES, manifest(), CLASSES)
    text = accuracy_table(judged, seed=0, resamples=50).to_csv(index=False, lineterminator="\n").splitlines()
    assert text[:2] == [
        "model,dataset,background,metric,value,ci_low,ci_high,n",
        "lite2,guides,all,top1,1.0,1.0,1.0,4",
    ]


def test_confusions_are_long() -> None:
    judged = judged_rows(IMAGES, manifest(), CLASSES)
    table = confusion_table(judged[judged["dataset"] == "images"])
    assert table.to_csv(index=False, lineterminator="\n") == (
        "model,dataset,class_id,predicted,n\n"
        "lite2,images,0,0,1\n"
        "lite2,images,0,2,1\n"
        "lite2,images,2,0,1\n"
        "lite2,images,2,2,1\n"
    )


def test_unreadable_pictures_are_not_judged() -> None:
    unreadable = IMAGES.assign(p_0=IMAGES["p_0"].where(IMAGES["sample"] != "b-night"))
    judged = judged_rows(unreadable, manifest(), CLASSES)
    assert judged.loc[judged["dataset"] == "images", "sample"].tolist() == ["a-grass", "a-night", "b-grass"]


def test_predictions_for_other_classes_are_refused() -> None:
    other = SuperClasses(ids=(0, 2, 4), names=("bird", "fruit", "car"), indices=((7,), (5,), (1,)))
    with pytest.raises(D3SError, match="not for the super-classes"):
        judged_rows(IMAGES, manifest(), other)


def test_predictions_for_samples_that_the_manifest_lacks_are_refused() -> None:
    with pytest.raises(D3SError, match="lacks 1 of the samples predicted, such as a-night"):
        judged_rows(IMAGES, manifest().drop(index=1), CLASSES)


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


def test_the_scripts_predict_and_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain("timm", "test_resnet", Path("tiny.safetensors"))
    gone = entry("gone", "timm", "test_resnet", "data/gone.safetensors")
    listed = write_list(Path("classifiers.yaml"), entry("tiny", "timm", "test_resnet", "tiny.safetensors"), gone)
    table = tmp_path / "classes.csv"
    table.write_text(
        "class_id,name,label,definition,imagenet_indices\n0,bird,bird,,7-8\n2,fruit,fruit,,5\n9,toy,toy,,\n"
    )
    shards = {"images": write_pictures(tmp_path, "images", cut="b-night"), "guides": write_pictures(tmp_path, "guides")}
    made = []
    for name in ("tiny", "gone"):
        weights = tmp_path / f"converted-{name}.safetensors"
        convert_weights.main(
            argparse.Namespace(table=listed, name=name, rows_digest=None, outputs=1000, output=weights, news=None)
        )
        for dataset, tar in shards.items():
            made.append(tmp_path / f"{dataset}-{name}.parquet")
            predicting = argparse.Namespace(
                dataset=dataset,
                shards=[tar],
                index=None,
                classifiers=listed,
                classifier=name,
                classifier_digest=None,
                weights=weights,
                outputs=1000,
                batch_size=4,
                device="cpu",
                dtype="float32",
                store=tmp_path / "store",
                output=made[-1],
                threads=torch.get_num_threads(),
            )
            predict_classifier.main(predicting)
    images, guides = (read_predictions(tmp_path / f"{name}-tiny.parquet") for name in ("images", "guides"))
    assert images.frame["status"].tolist() == ["ok", "ok", "ok", "truncated", "no_exemplar"]
    assert images.logits[0].tolist() == guides.logits[0].tolist(), "equal pixels give equal answers"

    manifest().to_parquet(tmp_path / "manifest.parquet")
    scoring = argparse.Namespace(
        predictions=made,
        manifest=tmp_path / "manifest.parquet",
        classes=table,
        rows_digest=None,
        seed=0,
        bootstrap=20,
        output=tmp_path / "classifiers.csv",
        confusion=tmp_path / "confusion.csv",
        status=tmp_path / "status.csv",
    )
    score_classifiers.main(scoring)
    scores = pd.read_csv(scoring.output)
    n = scores[(scores["background"] == "all") & (scores["metric"] == "top1")].set_index("dataset")["n"]
    assert n.to_dict() == {"guides": 4, "images": 3, "images_accepted": 2}
    assert pd.read_csv(scoring.confusion)["n"].sum() == 9
    status = pd.read_csv(scoring.status).set_index("model")
    assert status["status"].to_dict() == {"tiny": "ok", "gone": "unavailable"}
    assert status["predicted"].to_dict() == {"tiny": 7, "gone": 0}
