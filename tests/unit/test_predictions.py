"""Predictions of one classifier on one data set: the table, and the script that fills it."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import convert_weights
import predict_classifier
from d3s import classifiers, subjects
from d3s.errors import D3SError
from d3s.identity import file_sha256
from d3s.imageio import encode_png, image_digest
from d3s.predictions import METADATA, Predictions, probabilities, read_predictions, write_predictions
from d3s.shards import write_shard
from tiny_classifiers import entry, plain, write_list

ABOUT = dict.fromkeys(METADATA, "") | {"model": "tiny", "status": "ok"}


def frame(*statuses: str) -> pd.DataFrame:
    rows = [{"sample": f"s{n}", "digest": "d", "status": status, "reason": ""} for n, status in enumerate(statuses)]
    columns = ["dataset", "sample", "digest", "status", "reason"]
    return pd.DataFrame(rows, columns=columns).assign(dataset="images")


# ---- the table


def test_what_is_written_is_read(tmp_path: Path) -> None:
    logits = np.array([0.0, -1.5, -20.25], np.float32)
    write_predictions(tmp_path / "a.parquet", frame("ok", "truncated"), [logits, None], 3, ABOUT)
    found = read_predictions(tmp_path / "a.parquet")
    assert found.frame["status"].tolist() == ["ok", "truncated"]
    assert found.logits.dtype == np.float32
    assert found.logits[0].tolist() == logits.tolist()
    assert np.isnan(found.logits[1]).all()
    assert found.metadata == ABOUT


def test_equal_values_give_equal_bytes_and_the_schema_tells_what_it_is(tmp_path: Path) -> None:
    for name in "ab":
        write_predictions(tmp_path / f"{name}.parquet", frame("ok"), [np.zeros(4)], 4, ABOUT)
    assert file_sha256(tmp_path / "a.parquet") == file_sha256(tmp_path / "b.parquet")
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert str(schema.field("logits").type) == "fixed_size_list<element: halffloat>[4]"
    assert {key.decode() for key in schema.metadata} == set(METADATA)


def test_a_table_may_have_no_rows(tmp_path: Path) -> None:
    write_predictions(tmp_path / "a.parquet", frame(), [], 1000, ABOUT | {"status": "unavailable"})
    found = read_predictions(tmp_path / "a.parquet")
    assert found.logits.shape == (0, 1000)
    assert found.metadata["status"] == "unavailable"


def test_other_tables_are_refused(tmp_path: Path) -> None:
    frame("ok").to_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    for name in ("a", "b", "c"):
        with pytest.raises(D3SError, match="can't be read as a table of predictions"):
            read_predictions(tmp_path / f"{name}.parquet")


def test_probabilities_come_back_from_what_is_kept() -> None:
    assert probabilities(np.log([[0.5, 0.25, 0.25]]) + 7.0) == pytest.approx(np.array([[0.5, 0.25, 0.25]]))


# ---- the script


def picture(number: int, side: int = 24) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8))


def shard(path: Path, numbers: range, cut: int = -1, missing: int = -1, unmade: int = -1) -> Path:
    """A shard of pictures by number: one may be cut short, one missing, one never made."""
    rows, members = [], []
    for number in numbers:
        member = f"p{number}.png"
        made = {"status": "ok", "reason": "", "image_digest": image_digest(picture(number))}
        row = {"sample": f"p{number:03d}", "member": member} | made
        if number == unmade:
            row |= {"status": "no_exemplar", "reason": "it has none", "image_digest": ""}
        elif number != missing:
            data = encode_png(picture(number))
            members.append((member, data[:100] if number == cut else data))
        rows.append(row)
    write_shard(path, pd.DataFrame(rows), members)
    return path


Run = Callable[..., Predictions]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Converts the weights of a tiny network and asks it; gives the table."""
    monkeypatch.chdir(tmp_path)
    weights = plain("timm", "test_resnet", Path("published.safetensors"))

    def call(judge: dict[str, Any] | None = None, outputs: int = 1000, **given: Any) -> Predictions:
        listed = judge or entry("tiny", "timm", "test_resnet", weights, input={"size": 32})
        table = write_list(tmp_path / "classifiers.yaml", listed)
        made = tmp_path / "tiny.safetensors"
        shared = {"rows_digest": None, "outputs": outputs, "output": made, "news": None}
        convert_weights.main(argparse.Namespace(table=table, name="tiny", **shared))
        usual = {
            "dataset": "images",
            "shards": None,
            "index": None,
            "classifiers": table,
            "classifier": "tiny",
            "classifier_digest": None,
            "weights": made,
            "outputs": outputs,
            "batch_size": 4,
            "store": tmp_path / "store",
            "device": "cpu",
            "dtype": "float32",
            "threads": torch.get_num_threads(),
            "output": tmp_path / "predictions.parquet",
        }
        predict_classifier.main(argparse.Namespace(**usual | given))
        return read_predictions(tmp_path / "predictions.parquet")

    return call


def test_every_row_of_the_shards_has_a_row(run: Run, tmp_path: Path) -> None:
    tars = [shard(tmp_path / "a.tar", range(4), cut=1, unmade=3), shard(tmp_path / "b.tar", range(4, 7), missing=5)]
    found = run(shards=tars)
    told = found.frame.set_index("sample")
    assert told["status"].to_dict() == {
        "p000": "ok",
        "p001": "truncated",
        "p002": "ok",
        "p003": "no_exemplar",
        "p004": "ok",
        "p005": "missing",
        "p006": "ok",
    }
    assert told.loc["p003", "reason"] == "it has none"
    assert "b.tar has no member 'p5.png'" in told.loc["p005", "reason"]
    assert (np.isfinite(found.logits).all(axis=1) == (told["status"] == "ok").to_numpy()).all()
    assert (np.nanmax(found.logits[(told["status"] == "ok").to_numpy()], axis=1) == 0).all()
    assert found.metadata == {
        "model": "tiny",
        "family": "timm",
        "dataset": "images",
        "status": "ok",
        "reason": "",
        "weights_sha256": file_sha256(tmp_path / "published.safetensors"),
        "label_space": "imagenet-1k",
    }


def test_a_picture_has_the_same_row_alone_and_among_others(run: Run, tmp_path: Path) -> None:
    together = run(shards=[shard(tmp_path / "a.tar", range(7))], store=None)
    alone = run(shards=[shard(tmp_path / "b.tar", range(5, 6))], store=None)
    assert together.logits[5].tobytes() == alone.logits[0].tobytes()
    kept = run(shards=[shard(tmp_path / "c.tar", range(3, 7))])
    assert kept.logits.tobytes() == together.logits[3:].tobytes()


def test_a_rerun_asks_the_network_nothing_and_gives_the_same_bytes(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tars = [shard(tmp_path / "a.tar", range(6), cut=2)]
    run(shards=tars)
    first = file_sha256(tmp_path / "predictions.parquet")
    asked: list[int] = []

    def count(self: classifiers.Classifier, inputs: Any) -> Any:
        asked.extend(1 for _ in inputs)
        return iter(())

    monkeypatch.setattr(classifiers.Classifier, "answers", count)
    run(shards=tars)
    assert file_sha256(tmp_path / "predictions.parquet") == first
    assert not asked


def test_only_new_pictures_are_looked_at(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(shards=[shard(tmp_path / "a.tar", range(6))])
    read: list[bytes] = []
    decode = subjects.decode_png
    monkeypatch.setattr(subjects, "decode_png", lambda data: read.append(data) or decode(data))  # type: ignore[func-returns-value]
    found = run(shards=[shard(tmp_path / "a.tar", range(8))])
    assert len(found.frame) == 8
    assert sorted(read) == sorted(encode_png(picture(number)) for number in (6, 7))


def index(folder: Path, **changed: Any) -> Path:
    """An index of two JPEG files of a benchmark, one file that is gone and one that nobody could place."""
    rows = []
    for number in range(4):
        file = folder / "bench" / f"{number}.jpg"
        file.parent.mkdir(exist_ok=True)
        if number != 2:
            picture(number, 40 + number).resize((60, 40)).save(file)
        status = "unknown_label" if number == 3 else "ok"
        rows.append({"sample": f"dogs/{number}.jpg", "file": str(file), "digest": f"{number:032x}", "status": status})
    table = pd.DataFrame(rows).assign(reason="", box="", label="dog", class_id=3, background="grass", **changed)
    table.to_parquet(folder / "index.parquet")
    return folder / "index.parquet"


def test_an_index_names_files(run: Run, tmp_path: Path) -> None:
    found = run(dataset="bench", index=index(tmp_path))
    assert found.frame["status"].tolist() == ["ok", "ok", "missing", "unknown_label"]
    assert set(found.frame["dataset"]) == {"bench"}
    assert found.frame["sample"].tolist() == [f"dogs/{number}.jpg" for number in range(4)]
    assert np.isfinite(found.logits[:2]).all()


def test_an_index_that_is_none_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(D3SError, match=r"'dogs/0\.jpg' twice"):
        run(index=index(tmp_path, sample="dogs/0.jpg"))
    frame("ok").to_parquet(tmp_path / "other.parquet")
    with pytest.raises(D3SError, match="lacks the column 'file'"):
        run(index=tmp_path / "other.parquet")


def test_weights_that_can_not_be_had_give_a_table_that_says_so(run: Run, tmp_path: Path) -> None:
    missing = entry("tiny", "timm", "test_resnet", "data/gone.safetensors")
    found = run(missing, shards=[shard(tmp_path / "a.tar", range(3))])
    assert len(found.frame) == 0
    assert found.logits.shape == (0, 1000)
    assert (found.metadata["status"], found.metadata["reason"]) == (
        "unavailable",
        "there is no file data/gone.safetensors",
    )


def test_a_head_of_its_own_has_its_own_width(run: Run, tmp_path: Path) -> None:
    own = plain("timm", "test_resnet", Path("own.safetensors"), outputs=6)
    judge = entry("tiny", "timm", "test_resnet", own, label_space="classes")
    found = run(judge, outputs=6, shards=[shard(tmp_path / "a.tar", range(2))])
    assert found.logits.shape == (2, 6)
    assert found.metadata["label_space"] == "classes"
    wrong = run(judge | {"label_space": "imagenet-1k"}, shards=[shard(tmp_path / "a.tar", range(2))])
    assert wrong.metadata["status"] == "wrong_classes"
    assert "tells 6 classes apart" in wrong.metadata["reason"]


def test_numbers_that_are_none_are_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        classifiers.Classifier, "answers", lambda self, inputs: (np.full(1000, np.nan, np.float32) for _ in inputs)
    )
    found = run(shards=[shard(tmp_path / "a.tar", range(2))], store=None)
    assert set(found.frame["status"]) == {"not_finite"}


def test_a_data_set_without_a_single_picture_has_rows_all_the_same(run: Run, tmp_path: Path) -> None:
    found = run(shards=[shard(tmp_path / "a.tar", range(1), unmade=0)])
    assert found.frame["status"].tolist() == ["no_exemplar"]
    assert np.isnan(found.logits).all()


def test_a_manifest_that_is_missing_is_a_clear_error(run: Run, tmp_path: Path) -> None:
    with pytest.raises(D3SError, match=r"gone\.parquet can't be read"):
        run(shards=[tmp_path / "gone.tar"])
