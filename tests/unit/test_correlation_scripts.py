"""The scripts of the study, one after the other: on a benchmark with groups of its own, and on a manifest."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import build_splits
import extract_features
import fit_group_classifiers
import spurious_correlation
import train_group_classifier
from benchmark_layouts import benchmark, draw, write_rows
from d3s.benchmark_index import build_index
from d3s.correlation.measures import COLUMNS
from d3s.encoder import Encoder, EncoderSettings, save_encoder, save_tensors
from d3s.encoder_data import index_of, trunk_encoder, trunk_of
from d3s.errors import D3SError
from d3s.identity import file_sha256
from d3s.label_maps import LabelMap
from d3s.shards import write_table
from group_data import group_rows

TINY = "test_efficientnet"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that runs a script's main with arguments."""

    def run(script: Any, *arguments: object) -> None:
        words = [str(word) for given in arguments for word in (given if isinstance(given, list) else [given])]
        monkeypatch.setattr(sys, "argv", [script.__name__, *words])
        script.main(script.parse())

    return run


def birds(folder: Path) -> pd.DataFrame:
    """The index of a small Waterbirds: of ten birds of a kind, two are on the other's place in train."""
    rows: list[dict[str, Any]] = []
    for split, count in ((0, 10), (1, 4), (2, 6)):
        for bird in (0, 1):
            for number in range(count):
                odd = number < 2 if split == 0 else number % 2
                name = f"{split}{bird}/{number}.jpg"
                draw(folder / name, len(rows))
                rows.append({"img_filename": name, "y": bird, "split": split, "place": 1 - bird if odd else bird})
    write_rows(folder / "metadata.csv", rows)
    labels = [{"label": "landbird", "imagenet_indices": "7-19"}, {"label": "waterbird", "imagenet_indices": "97-100"}]
    return build_index(
        benchmark("waterbirds", folder),
        LabelMap.from_rows([row | {"name": row["label"]} for row in labels], "l"),
        file_sha256,
    )


def tiny_encoder(folder: Path) -> None:
    torch.manual_seed(0)
    encoder = Encoder(EncoderSettings(TINY, 32, 0, 0.25, "frozen", (0, 1), ("a", "b")))
    save_encoder(folder, encoder, {"objective": "erm", "seed": 0})


def test_a_benchmark_with_groups_goes_through_the_same_tables(tmp_path: Path, command: Callable[..., None]) -> None:
    index, features, encoder = tmp_path / "birds.parquet", tmp_path / "f" / "features.safetensors", tmp_path / "encoder"
    write_table(index, birds(tmp_path / "theirs"))
    tiny_encoder(encoder)
    command(build_splits, "--index", index, "--rhos", 0, 1, "--output", tmp_path / "splits")
    splits: list[Path] = sorted((tmp_path / "splits").glob("*.csv"))
    assert {path.stem for path in splits} == {"birds", "birds-rho0", "birds-rho1"}
    command(extract_features, "--encoder", encoder, "--index", index, "--device", "cpu", "--output", features)
    arguments: Sequence[object] = (
        "--features",
        features,
        "--benchmark",
        "birds",
        "--encoder",
        encoder,
        "--splits",
        splits,
    )
    command(
        fit_group_classifiers,
        *(*arguments, "--draws", 2, "--answers", tmp_path / "a.parquet", "--choices", tmp_path / "c.csv"),
    )
    command(
        spurious_correlation,
        *("--index", index, "--splits", splits, "--answers", tmp_path / "a.parquet", "--names", "erm:0"),
        *("--resamples", 20, "--output", tmp_path / "spurious.csv"),
    )
    table = pd.read_csv(tmp_path / "spurious.csv", dtype={"rho": str})
    assert list(table.columns) == list(COLUMNS)
    assert set(table["rho"]) == {"0", "1", "own"}
    assert {"birds_cor", "birds_anticorr", "birds_all", "birds"} == set(table["tested_on"])


def write_manifest(path: Path) -> pd.DataFrame:
    rows = group_rows(each=6, tests=2)
    manifest = rows.assign(
        class_id=rows["class"].astype(int),
        split=rows["split"].replace({"test": "val"}),
        exemplar=rows["split_group"],
        guide_digest="g",
    ).drop(columns="class")
    write_table(path, manifest)
    return manifest


def test_a_network_is_trained_and_asked_about_images_and_guides(tmp_path: Path, command: Callable[..., None]) -> None:
    manifest = write_manifest(tmp_path / "manifest.parquet")
    command(
        build_splits,
        *(
            "--manifest",
            tmp_path / "manifest.parquet",
            "--rhos",
            0,
            1,
            "--pairings",
            2,
            "--output",
            tmp_path / "splits",
        ),
    )
    names = {path.stem for path in (tmp_path / "splits").glob("*.csv")}
    assert names == {"k1-p0-rho0", "k1-p0-rho1", "k1-p1-rho0", "k1-p1-rho1", "d3s_cor", "d3s_anticorr"}
    torch.manual_seed(0)
    backbone = Encoder(EncoderSettings(TINY, 32, 2, 0.5, "frozen", (0,), ("any",))).backbone.state_dict()
    save_tensors(tmp_path / "weights.safetensors", backbone)
    trunk = trunk_encoder(TINY, tmp_path / "weights.safetensors", 32, 2)
    samples = {
        f"{dataset}_{split}": manifest.loc[manifest["split"] == split, "sample"].tolist()
        for dataset, split in (("images", "train"), ("images", "val"), ("guides", "val"))
    }
    tensors = {
        name: trunk.activations(torch.randn(len(own), 3, 32, 32, generator=torch.Generator().manual_seed(3)))
        for name, own in samples.items()
    }
    save_tensors(tmp_path / "activations.safetensors", tensors, {"trunk": trunk_of(trunk)})
    write_table(tmp_path / "activations.parquet", index_of(samples))
    split = tmp_path / "splits" / "k1-p0-rho1.csv"
    arguments = (
        *(
            "--activations",
            tmp_path / "activations.safetensors",
            "--split",
            split,
            "--input-size",
            32,
            "--device",
            "cpu",
        ),
        *("--weights", tmp_path / "weights.safetensors", "--timm-name", TINY, "--frozen-stages", 2, "--seed", 0),
        *("--steps", 2, "--evaluate-every", 1, "--draws", 2, "--store", tmp_path / "store"),
    )
    for folder in ("a", "b"):  # the second is taken from the store
        command(train_group_classifier, *arguments, "--output", tmp_path / folder)
    for name in train_group_classifier.FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    answers = pd.read_parquet(tmp_path / "a" / "answers.parquet")
    assert set(answers["method"]) == {"erm", "dfr"}
    assert set(answers["dataset"]) == {"images", "guides"}
    assert not list((tmp_path / "a").glob(".training*"))
    del samples["guides_val"], tensors["guides_val"]  # as imported images may come
    save_tensors(tmp_path / "activations.safetensors", tensors, {"trunk": trunk_of(trunk)})
    write_table(tmp_path / "activations.parquet", index_of(samples))
    command(train_group_classifier, *arguments[:-2], "--output", tmp_path / "c")
    assert set(pd.read_parquet(tmp_path / "c" / "answers.parquet")["dataset"]) == {"images"}
    command(
        spurious_correlation,
        *("--manifest", tmp_path / "manifest.parquet", "--splits", split, "--resamples", 20),
        *("--answers", tmp_path / "a" / "answers.parquet", "--names", "end_to_end:0", "--output", tmp_path / "s.csv"),
    )
    assert set(pd.read_csv(tmp_path / "s.csv")["objective"]) == {"end_to_end"}


@pytest.mark.parametrize("names", [["erm:0", "erm:1"], ["erm"]])
def test_names_go_with_answers(tmp_path: Path, command: Callable[..., None], names: list[str]) -> None:
    arguments = ("--manifest", "m", "--splits", "s", "--answers", "a", "--names", names, "--output", tmp_path / "s.csv")
    with pytest.raises(D3SError, match="names"):
        command(spurious_correlation, *arguments)


def test_features_of_the_data_set_need_its_manifest(tmp_path: Path, command: Callable[..., None]) -> None:
    tiny_encoder(tmp_path / "encoder")
    with pytest.raises(D3SError, match="need --manifest"):
        command(
            extract_features,
            *("--encoder", tmp_path / "encoder", "--activations", "a", "--device", "cpu", "--output", tmp_path / "f"),
        )
