from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import top_k_accuracy_score
from torchmetrics.functional.classification import multiclass_accuracy

from d3s.errors import BadInput, D3SError
from d3s.judging import (
    accepted_part,
    complete_subjects,
    judge,
    label_map_classes,
    ranks,
    read_subjects,
    subjects_from_manifest,
)
from d3s.predictions import Predictions
from d3s.superclasses import SuperClasses
from judged import log_probabilities, predictions_of

CLASSES = SuperClasses(ids=(0, 2), names=("bird", "fruit"), indices=((7, 8), (5,)))


def manifest() -> pd.DataFrame:
    """Two matched sets over two backgrounds; one image is rejected, one class is unknown to ImageNet."""
    return pd.DataFrame(
        {
            "sample": ["a-grass", "a-night", "b-grass", "b-night", "toy"],
            "split": "val",
            "class_id": [0, 0, 2, 2, 9],
            "background": ["grass", "night", "grass", "night", "grass"],
            "matched_set": ["a", "a", "b", "b", "toy"],
            "exemplar": ["gull", "gull", "pear", "pear", "toy"],
            "split_group": ["gull", "gull", "pears", "pears", "toy"],
            "accepted": [True, False, True, True, True],
        }
    )


def answers() -> Predictions:
    """Right; wrong; right though another class of ImageNet is likelier; wrong though its own is likeliest; a toy."""
    given = [{7: 0.3, 8: 0.4, 5: 0.1}, {8: 0.2, 5: 0.6}, {5: 0.3, 1: 0.5}, {5: 0.4, 7: 0.3, 8: 0.3}, {1: 0.9}]
    return predictions_of(log_probabilities(given), manifest()["sample"].tolist())


def test_answers_are_judged_among_super_classes_and_among_all() -> None:
    judged = judge(answers(), subjects_from_manifest(manifest()), CLASSES, "images")
    rows = judged.rows.set_index("sample")
    assert rows["predicted"].to_dict() == {"a-grass": 0, "a-night": 2, "b-grass": 2, "b-night": 0}
    assert rows["top1"].tolist() == [1, 0, 1, 0]
    assert rows["top1_open"].tolist() == [1, 0, 0, 1]
    assert rows["top5_open"].tolist() == [1, 1, 1, 1]
    assert rows["probability"].tolist() == pytest.approx([0.7 / 0.8, 0.25, 1, 0.4], abs=2e-3)
    assert rows["margin"]["a-grass"] == pytest.approx(np.log(0.7 / 0.1), abs=1e-4)
    assert rows["nll"].to_numpy() == pytest.approx(-np.log(rows["probability"].to_numpy()))
    assert rows["confidence"]["a-night"] == pytest.approx(0.75, abs=1e-3)
    assert (judged.unknown, judged.unread, judged.missing) == (1, 0, 0)


def test_rows_carry_what_is_known_of_the_picture() -> None:
    rows = judge(answers(), subjects_from_manifest(manifest()), CLASSES, "images").rows
    assert rows["class_name"].tolist() == ["bird", "bird", "fruit", "fruit"]
    assert rows["cluster"].tolist() == ["gull", "gull", "pears", "pears"]
    assert rows["planned"].tolist() == [2, 2, 2, 2]
    assert rows["family"].unique().tolist() == ["efficientnet"]
    assert accepted_part(rows)[["dataset", "sample"]].to_numpy().tolist() == [
        ["images_accepted", name] for name in ("a-grass", "b-grass", "b-night")
    ]


def test_top_k_agrees_with_other_implementations() -> None:
    rng = np.random.default_rng(0)
    classes = SuperClasses(tuple(range(8)), tuple("abcdefgh"), tuple((10 * place,) for place in range(8)))
    logits = rng.normal(size=(300, 1000)) * 3
    own = rng.integers(0, 8, 300)
    samples = [f"p{place:03d}" for place in range(300)]
    subjects = complete_subjects(pd.DataFrame({"sample": samples, "class_id": own}))
    rows = judge(predictions_of(logits, samples), subjects, classes, "bench").rows
    scores = torch.tensor(logits[:, ::10][:, :8])
    for metric, k in (("top1", 1), ("top5", 5)):
        expected = multiclass_accuracy(scores, torch.tensor(own), 8, average="micro", top_k=k)
        assert rows[metric].mean() == pytest.approx(float(expected))
        every = top_k_accuracy_score(own * 10, logits, k=k, labels=np.arange(1000))
        assert rows[f"{metric}_open"].mean() == pytest.approx(every)


def test_ties_count_against_a_class() -> None:
    scores = np.array([[0.5, 0.3, 0.2], [0.3, 0.3, 0.4], [0.0, 0.0, 0.0]])
    assert ranks(scores, np.array([0, 0, 2])).tolist() == [1, 3, 3]


def test_a_head_of_the_own_classes_knows_no_others() -> None:
    logits = np.array([[0.0, -1.0], [0.0, -2.0], [-1.0, 0.0], [-1.0, 0.0]])
    given = predictions_of(logits, ["a-grass", "a-night", "b-grass", "b-night"], label_space="classes")
    judged = judge(given, subjects_from_manifest(manifest()), CLASSES, "images")
    assert judged.rows["top1"].tolist() == [1, 1, 1, 1]
    assert judged.rows["top1_open"].isna().all()
    assert judged.missing == 1
    with pytest.raises(BadInput, match="it has 3 classes, and the table has 2"):
        judge(
            predictions_of(np.zeros((1, 3)), ["a-grass"], label_space="classes"),
            subjects_from_manifest(manifest()),
            CLASSES,
            "images",
        )


def test_another_number_of_classes_than_imagenet_has_is_refused() -> None:
    with pytest.raises(BadInput, match="it has 1001 classes") as caught:
        judge(predictions_of(np.zeros((1, 1001)), ["a-grass"]), subjects_from_manifest(manifest()), CLASSES, "images")
    assert caught.value.status == "wrong_classes"


def test_an_index_beyond_imagenet_is_refused() -> None:
    classes = SuperClasses((0,), ("bird",), ((7, 1200),))
    with pytest.raises(D3SError, match="index 1200 is beyond ImageNet's 1000 classes"):
        judge(answers(), subjects_from_manifest(manifest()), classes, "images")


def test_a_classifier_without_weights_says_why() -> None:
    given = predictions_of(np.zeros((0, 1000)), [], status="no_weights", reason="the hub can't be reached")
    with pytest.raises(BadInput, match="hub can't be reached") as caught:
        judge(given, subjects_from_manifest(manifest()), CLASSES, "images")
    assert caught.value.status == "no_weights"


def test_pictures_that_the_manifest_lacks_are_refused() -> None:
    with pytest.raises(D3SError, match="lacks 1 of the samples predicted by lite2, such as a-night"):
        judge(answers(), subjects_from_manifest(manifest().drop(index=1)), CLASSES, "images")


def test_pictures_without_predictions_are_counted() -> None:
    given = answers()
    some = Predictions(given.frame.iloc[:3], given.logits[:3], given.metadata)
    assert judge(some, subjects_from_manifest(manifest()), CLASSES, "images").missing == 2


def test_unread_pictures_are_counted_and_left_out() -> None:
    given = answers()
    rows = given.frame.assign(status=["ok", "truncated", "ok", "ok", "ok"])
    judged = judge(
        Predictions(rows, given.logits, given.metadata), subjects_from_manifest(manifest()), CLASSES, "images"
    )
    assert judged.rows["sample"].tolist() == ["a-grass", "b-grass", "b-night"]
    assert judged.unread == 1


def test_a_data_set_of_unknown_classes_has_a_reason() -> None:
    subjects = complete_subjects(manifest().assign(class_id=-1))
    with pytest.raises(BadInput, match="of 5 pictures 0 could not be read and 5 have a class without") as caught:
        judge(answers(), subjects, CLASSES, "templates")
    assert caught.value.status == "nothing_judged"


def test_without_exemplars_sets_and_then_pictures_are_drawn() -> None:
    unknown = manifest().assign(exemplar="", split_group="", matched_set=["a", "a", "", "", ""])
    rows = judge(answers(), subjects_from_manifest(unknown), CLASSES, "images").rows
    assert rows["cluster"].tolist() == ["a", "a", "b-grass", "b-night"]


def test_numbers_of_a_crossed_design_become_text(tmp_path: Path) -> None:
    table = manifest().drop(columns="split").assign(placement=[0, 1, 0, 1, 0], noise=1)
    table.to_parquet(tmp_path / "0.parquet")
    found = read_subjects([tmp_path / "0.tar"])
    assert found["placement"].tolist() == ["0", "1", "0", "1", "0"]
    assert found["accepted"].tolist() == [True, False, True, True, True]
    with pytest.raises(D3SError, match=r"1\.parquet can't be read"):
        read_subjects([tmp_path / "1.parquet"])


def test_a_sample_stands_once() -> None:
    with pytest.raises(D3SError, match="1 samples stand twice"):
        complete_subjects(pd.concat([manifest(), manifest().iloc[:1]]))


def test_a_label_map_gives_super_classes(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("label,imagenet_indices\nlandbird,7-9 80\nunicorn,\nwaterbird,127 128\n")
    classes = label_map_classes(path)
    assert classes.ids == (0, 2)
    assert classes.names == ("landbird", "waterbird")
    assert classes.indices == ((7, 8, 9, 80), (127, 128))


def test_labels_of_one_name_are_one_class(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("label,name,imagenet_indices\nn1,cat,281\nn2,dog,151-153\nn3,cat,282\n")
    classes = label_map_classes(path)
    assert (classes.ids, classes.names, classes.indices) == ((0, 1), ("cat", "dog"), ((281, 282), (151, 152, 153)))


def test_templates_alone_have_names_but_no_class() -> None:
    table = complete_subjects(pd.DataFrame({"background": ["grass"], "template": ["grass-val-003"]}))
    assert table[["sample", "class_id"]].to_numpy().tolist() == [["grass/grass-val-003", -1]]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name,imagenet_indices\na,1\n", "lacks the column 'label'"),
        ("label,imagenet_indices\na,seven\n", "imagenet_indices of 'a' is 'seven'"),
        ("label,imagenet_indices\na,1\nb,1\n", "a and b both have the ImageNet index 1"),
        ("label,imagenet_indices\na,\n", "gives no class any imagenet_indices"),
    ],
)
def test_a_label_map_that_cannot_be_used_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(D3SError, match=problem):
        label_map_classes(path)
