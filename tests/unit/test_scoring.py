import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import score_classifiers
from d3s.errors import D3SError
from d3s.metrics.estimates import Bootstrap
from d3s.predictions import write_predictions
from d3s.scoring import TABLES, Subjects, score
from d3s.superclasses import SuperClasses
from judged import log_probabilities, predictions_of

CLASSES = SuperClasses(ids=(0, 2), names=("bird", "fruit"), indices=((7, 8), (5,)))
BACKGROUNDS = ("grass", "night")
BOOTSTRAP = Bootstrap(seed=0, resamples=50)


def manifest(sets: int = 6) -> pd.DataFrame:
    rows = [
        {
            "sample": f"{background}-{place}",
            "split": "val",
            "shift": "background",
            "class_id": (0, 2)[place % 2],
            "background": background,
            "matched_set": f"m{place}",
            "exemplar": f"e{place // 2}{place % 2}",
            "split_group": f"e{place // 2}{place % 2}",
            "template": "",
            "accepted": place > 0,
            "set_complete": place > 0,
        }
        for background in BACKGROUNDS
        for place in range(sets)
    ]
    return pd.DataFrame(rows)


def write(folder: Path, dataset: str, model: str, samples: list[str], seed: int = 0, **meta: str) -> Path:
    """Random answers of a model, mostly for birds, or none with a reason."""
    rng = np.random.default_rng(seed)
    given = [{7: share, 5: 0.95 - share} for share in rng.uniform(0.2, 0.9, len(samples))]
    made = predictions_of(log_probabilities(given), samples, model, dataset, **meta)
    path = folder / "predictions" / dataset / f"{model}.parquet"
    write_predictions(path, made.frame, list(made.logits), 1000, made.metadata)
    return path


def test_all_tables_of_two_classifiers_and_one_that_is_missing(tmp_path: Path) -> None:
    subjects = Subjects(score_classifiers.subjects_from_manifest(manifest()), CLASSES, {0: ["grass"], 2: ["night"]})
    samples = manifest()["sample"].tolist()
    paths = [
        write(tmp_path, dataset, model, samples, seed)
        for seed, (dataset, model) in enumerate([(d, m) for d in ("guides", "images") for m in ("one", "two")])
    ]
    paths.append(write(tmp_path, "images", "gone", [], status="no_weights", reason="the hub can't be reached"))
    tables = score(paths, {"guides": subjects, "images": subjects}, ["guides"], [], BOOTSTRAP)
    assert list(tables) == list(TABLES)
    for name, columns in TABLES.items():
        assert tuple(tables[name].columns) == columns, name

    accuracy = tables["classifiers"]
    top1 = accuracy[(accuracy["metric"] == "top1") & (accuracy["background"] == "all")]
    assert top1[["model", "dataset", "n"]].to_numpy().tolist() == [
        [model, dataset, n]
        for model in ("one", "two")
        for dataset, n in (("guides", 12), ("images", 12), ("images_accepted", 10))
    ]
    assert {"ece", "ece_adaptive", "overconfidence", "nll", "top5_open"} <= set(accuracy["metric"])
    effects = tables["background_effects"]
    drops = effects[effects["metric"] == "drop_top1"]
    assert set(drops["dataset"]) == {"images", "images_accepted"}, "guides are not compared with themselves"
    assert {"flip_rate", "spread", "worst_background", "usual_background_gap"} <= set(effects["metric"])
    assert len(tables["paired_backgrounds"]) == 2 * 3
    assert set(tables["variance_shares"]["component"]) == {"set", "background", "rest"}
    assert set(tables["classifier_agreement"]["dataset"]) == {"guides", "images", "images_accepted"}
    assert set(tables["fragile_classes"]["judges"]) == {"one two"}
    status = tables["classifiers_status"].set_index(["model", "dataset"])
    assert status.loc[("gone", "images"), ["status", "reason", "predicted", "judged"]].tolist() == [
        "no_weights",
        "the hub can't be reached",
        0,
        0,
    ]
    assert status.loc[("one", "images"), ["status", "judged", "missing"]].tolist() == ["ok", 12, 0]


def test_the_order_of_files_changes_nothing(tmp_path: Path) -> None:
    subjects = {"images": Subjects(score_classifiers.subjects_from_manifest(manifest()), CLASSES)}
    paths = [write(tmp_path, "images", model, manifest()["sample"].tolist()[::-1], 1) for model in ("a", "b")]
    first, second = (score(order, subjects, [], [], BOOTSTRAP) for order in (paths, paths[::-1]))
    for name in TABLES:
        assert first[name].to_csv() == second[name].to_csv()


def test_predictions_of_an_unknown_data_set_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "waterbirds", "one", ["a"])
    subjects = {"images": Subjects(score_classifiers.subjects_from_manifest(manifest()), CLASSES)}
    with pytest.raises(D3SError, match="predictions for 'waterbirds', of whose pictures nothing is known"):
        score([path], subjects, [], [], BOOTSTRAP)


def arguments(folder: Path, predictions: list[Path], **others: object) -> argparse.Namespace:
    manifest().to_parquet(folder / "manifest.parquet")
    classes = folder / "classes.csv"
    classes.write_text(
        "class_id,name,label,definition,imagenet_indices\n0,bird,bird,,7-8\n2,fruit,fruit,,5\n9,toy,toy,,\n"
    )
    given: dict[str, object] = {
        "predictions": predictions,
        "manifest": folder / "manifest.parquet",
        "classes": classes,
        "rows_digest": None,
        "subjects": [],
        "benchmark": [],
        "references": ["guides", "cutouts"],
        "judges": ["one"],
        "seed": 0,
        "bootstrap": 50,
        "tables": folder / "tables",
    }
    return argparse.Namespace(**(given | others))


def test_the_script_scores_own_data_sets_and_benchmarks(tmp_path: Path) -> None:
    cutouts = pd.DataFrame(
        {"sample": [f"cutout-{n}" for n in range(6)], "class_id": [0, 2] * 3, "background": ""}
        | {"matched_set": [f"m{n}" for n in range(6)]}
    )
    cutouts.to_parquet(tmp_path / "cutouts.parquet")
    index = pd.DataFrame(
        {"sample": [f"{n}.jpg" for n in range(5)], "class_id": [0, 0, 1, 1, -1]}
        | {"background": ["land", "water"] * 2 + ["land"], "variant": "", "matched_set": ""}
    )
    index.to_parquet(tmp_path / "index.parquet")
    (tmp_path / "labels.csv").write_text("label,name,imagenet_indices\nl,landbird,7-8\nw,waterbird,5\n")
    samples = manifest()["sample"].tolist()
    names = {"images": samples, "guides": samples, "cutouts": cutouts["sample"].tolist()}
    paths = [write(tmp_path, name, "one", own) for name, own in (names | {"birds": index["sample"].tolist()}).items()]
    score_classifiers.main(
        arguments(
            tmp_path,
            paths,
            subjects=[["cutouts", str(tmp_path / "cutouts.tar")]],
            benchmark=[["birds", str(tmp_path / "index.parquet"), str(tmp_path / "labels.csv")]],
        )
    )
    assert {path.stem for path in (tmp_path / "tables").iterdir()} == set(TABLES)
    effects = pd.read_csv(tmp_path / "tables" / "background_effects.csv")
    drops = effects[(effects["metric"] == "drop_top1") & (effects["background"] == "all")]
    found = drops.set_index(["dataset", "reference"])["detail"].to_dict()
    assert found[("images", "guides")] == found[("images", "cutouts")] == "paired"
    assert found[("birds", "guides")] == "unpaired, other classes"
    status = pd.read_csv(tmp_path / "tables" / "classifiers_status.csv").set_index("dataset")
    assert status["judged"].to_dict() == {"birds": 4, "cutouts": 6, "guides": 12, "images": 12}
    assert status["unknown_class"].to_dict() == {"birds": 1, "cutouts": 0, "guides": 0, "images": 0}


def test_two_data_sets_of_one_name_are_refused(tmp_path: Path) -> None:
    manifest().to_parquet(tmp_path / "again.parquet")
    given = arguments(tmp_path, [], subjects=[["images", str(tmp_path / "again.parquet")]])
    with pytest.raises(D3SError, match="two data sets are called 'images'"):
        score_classifiers.main(given)


def test_guides_of_the_crossed_design_are_looked_at_under_one_noise(tmp_path: Path) -> None:
    rows = manifest().drop(columns="split").assign(placement=0, noise=[0, 1] * 6)
    rows.to_parquet(tmp_path / "crossed.parquet")
    given = arguments(tmp_path, [], subjects=[["crossed_guides", str(tmp_path / "crossed.parquet")]])
    assert len(score_classifiers.gather_subjects(given)["crossed_guides"].pictures) == 6
