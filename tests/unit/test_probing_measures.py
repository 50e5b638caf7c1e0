"""What is measured of a probe: scores, chance, control tasks, information and codelengths, on data of known answer."""

import numpy as np
import pandas as pd
import pytest

from d3s.errors import D3SError
from d3s.probing.folds import Choice, online_blocks
from d3s.probing.labels import permuted
from d3s.probing.measures import FAMILIES, coded, codelength, control, load_family, tell
from d3s.probing.space import space_of
from probe_data import noise, one_hot, planned

NAMES = tuple(FAMILIES)
NOTHING = np.array([], dtype=str)


def no_choice(rows: int) -> Choice:
    return Choice(np.zeros((0, rows), dtype=bool), np.zeros((0, rows), dtype=bool))


def test_permuted_labels_stay_whole_in_groups_and_keep_their_counts() -> None:
    groups = np.repeat([f"g{place}" for place in range(12)], 5)
    labels = np.repeat(np.arange(12) % 4, 5)
    found = permuted(labels, groups, 0, "test")
    table = pd.DataFrame({"group": groups, "label": found})
    assert (table.groupby("group")["label"].nunique() == 1).all()
    assert (np.bincount(found) == np.bincount(labels)).all()
    assert (found != labels).any()
    assert (found == permuted(labels, groups, 0, "test")).all()
    assert (found != permuted(labels, groups, 1, "test")).any()


@pytest.mark.parametrize("name", NAMES)
def test_information_is_that_of_the_table(name: str) -> None:
    # The label is one of four, and the features say which half it is in: one bit, and no more than half are right.
    labels = np.arange(400) % 4
    shown = np.eye(2)[labels // 2]
    space = space_of(shown, shown)
    own = coded(labels.astype(str), labels.astype(str), np.arange(400).astype(str))
    half = np.arange(400) % 8 < 4
    (told,) = tell(load_family(name), [space], [own], [Choice(half[None], ~half[None])], 0, 0)
    assert abs(told.gain.mean() - 1.0) < 0.1
    assert abs(told.right.mean() - 0.5) < 0.01


@pytest.mark.parametrize("name", NAMES)
def test_noise_tells_nothing_and_scores_as_chance_does(name: str) -> None:
    labels = np.repeat(np.arange(4), 30)
    groups = np.array([f"g{place // 6}" for place in range(120)])
    own = coded(labels.astype(str), labels.astype(str), groups)
    space = space_of(noise(120, 10), noise(120, 10, seed=1))
    half = np.arange(120) % 2 == 0
    (told,) = tell(load_family(name), [space], [own], [Choice(half[None], ~half[None])], 20, 0)
    assert abs(told.chance.mean() - 0.25) < 0.05
    assert abs(told.right.mean() - 0.25) < 0.13
    assert told.gain.mean() < 0.05  # bits; below zero is what fitting noise costs


def test_a_label_that_was_not_fitted_is_not_counted() -> None:
    own = coded(np.array(["a", "b"] * 4), np.array(["a", "z", "b"]), np.arange(8).astype(str))
    assert own.others.tolist() == [0, -1, 1]
    space = space_of(np.array([[0.0], [1.0]] * 4), np.array([[0.0], [0.5], [1.0]]))
    (told,) = tell(load_family("knn"), [space], [own], [no_choice(8)], 1, 0)
    for values in (told.right, told.gain, told.chance):
        assert np.isnan(values).tolist() == [False, True, False]


def test_a_single_label_needs_no_probe() -> None:
    own = coded(np.array(["a"] * 4), np.array(["a", "b"]), np.arange(4).astype(str))
    (told,) = tell(load_family("linear"), [space_of(noise(4, 2), noise(2, 2))], [own], [no_choice(4)], 1, 0)
    assert told.right[0] == told.chance[0] == 1.0
    assert told.gain[0] == 0.0
    assert np.isnan(told.right[1])


@pytest.mark.parametrize("name", NAMES)
def test_control_tasks_are_learnt_from_what_names_the_group_only(name: str) -> None:
    rows = planned(classes=3, exemplars=4, each=6)
    groups = rows["split_group"].to_numpy()
    labels = coded(rows["class_id"].astype(str).to_numpy(), NOTHING, groups)
    folds = np.arange(len(rows)) % 3
    named = one_hot(rows["exemplar"])
    by_heart = control(load_family(name), space_of(named, named[:0]), labels, folds, 2, 0)
    assert by_heart.mean() > 0.95
    plain = noise(len(rows), 6)
    nothing = control(load_family(name), space_of(plain, plain[:0]), labels, folds, 2, 0)
    assert abs(nothing.mean() - 1 / 3) < 0.15


@pytest.mark.parametrize("name", NAMES)
def test_codes_are_short_where_labels_show(name: str) -> None:
    rows = planned(classes=4, exemplars=8, each=6)
    groups, numbers = rows["split_group"].to_numpy(), rows["class_id"].to_numpy()
    labels = coded(rows["class_id"].astype(str).to_numpy(), NOTHING, groups)
    blocks = online_blocks(groups, numbers, 0)
    shown = one_hot(rows["class_id"])
    bits = codelength(load_family(name), space_of(shown, shown[:0]), labels, blocks, 0)
    assert (bits[blocks == 0] == 2).all()  # log2 of four labels, before anything is known
    assert bits[blocks == blocks.max()].mean() < 0.7
    plain = noise(len(rows), 6)
    assert codelength(load_family(name), space_of(plain, plain[:0]), labels, blocks, 0).mean() > 1.9


def test_a_code_needs_two_blocks() -> None:
    labels = coded(np.array(["a", "b"] * 3), NOTHING, np.array(["g", "h"] * 3))
    space = space_of(noise(6, 2), noise(0, 2))
    assert codelength(load_family("linear"), space, labels, np.zeros(6, dtype=int), 0).tolist() == [1.0] * 6


def test_an_unknown_probe_is_named() -> None:
    with pytest.raises(D3SError, match="'forest'"):
        load_family("forest")
