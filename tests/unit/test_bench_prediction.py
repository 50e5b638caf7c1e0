"""The floor of predictions: the same pictures, as tensors, through the same network."""

from pathlib import Path

import numpy as np
import torch

from d3s.classifier_library import load_library
from d3s.classifiers import Classifier
from d3s.picture_input import InputTransform
from d3s.subjects import read_shards
from predict_classifier import predict
from prediction import PICTURES, SIDE, lay_out_pictures, lay_out_shard


def test_the_shard_holds_the_pictures_that_the_floor_has_as_tensors(tmp_path: Path) -> None:
    rows, pictures = read_shards("images", [lay_out_shard(tmp_path / "a.tar")]), lay_out_pictures()
    assert len(rows) == len(pictures) == PICTURES
    assert {picture.size for picture in pictures} == {(SIDE, SIDE)}
    network = load_library("timm").build("test_resnet", 1000, {}).network.eval()
    classifier = Classifier(network, InputTransform(32), 16, torch.device("cpu"))
    told, answers = predict(rows, classifier, None, "")
    assert set(told["status"]) == {"ok"}
    bare = list(classifier.answers(classifier.transform.array(picture) for picture in pictures))
    assert answers[3] is not None
    assert answers[3].tolist() == bare[3].astype(np.float16).tolist()
