from pathlib import Path

import numpy as np
import pytest

from d3s.errors import D3SError
from d3s.superclasses import JUDGING_COLUMNS, SuperClasses, read_super_classes
from d3s.tables import slice_digest

BIRD = {"class_id": "0", "name": "bird", "imagenet_indices": "7-9 80"}
FRUIT = {"class_id": "10", "name": "fruit", "imagenet_indices": "2"}
TOY = {"class_id": "3", "name": "toy", "imagenet_indices": ""}


def test_super_classes_are_those_with_indices_by_ascending_id() -> None:
    classes = SuperClasses.from_rows([FRUIT, TOY, BIRD])
    assert classes.ids == (0, 10)
    assert classes.names == ("bird", "fruit")
    assert classes.indices == ((7, 8, 9, 80), (2,))


def test_probabilities_are_summed_over_indices() -> None:
    probabilities = np.zeros((2, 100), dtype=np.float32)
    probabilities[0, [7, 80, 50]] = [0.25, 0.5, 0.25]
    probabilities[1, 2] = 1
    assert SuperClasses.from_rows([BIRD, FRUIT]).sums(probabilities).tolist() == [[0.75, 0.0], [0.0, 1.0]]


def test_class_zero_counts_as_any_other() -> None:
    assert SuperClasses.from_rows([BIRD]).ids == (0,)


def test_an_index_belongs_to_one_class() -> None:
    with pytest.raises(D3SError, match="bird and fruit both have the ImageNet index 80"):
        SuperClasses.from_rows([BIRD, FRUIT | {"imagenet_indices": "80"}])


def test_an_index_beyond_the_classifier() -> None:
    with pytest.raises(D3SError, match="index 80 is beyond the classifier's 50 classes"):
        SuperClasses.from_rows([BIRD]).sums(np.zeros(50))


def test_a_table_without_any_indices() -> None:
    with pytest.raises(D3SError, match="no class any imagenet_indices"):
        SuperClasses.from_rows([TOY])


def test_a_table_that_changed_since_the_job_was_planned(tmp_path: Path) -> None:
    table = tmp_path / "classes.csv"
    table.write_text("class_id,name,label,definition,imagenet_indices\n0,bird,bird,it flies,7-9 80\n")
    planned = slice_digest([BIRD], JUDGING_COLUMNS)
    assert read_super_classes(table, planned).ids == (0,)
    table.write_text(table.read_text().replace("80", "81"))
    with pytest.raises(D3SError, match="changed while"):
        read_super_classes(table, planned)
