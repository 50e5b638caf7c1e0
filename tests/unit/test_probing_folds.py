"""Folds of probes: nothing of one exemplar or panorama on both sides."""

import numpy as np
import pytest

from d3s.probing.folds import assign_folds, choice_of, crossfit_splits, online_blocks
from probe_data import planned


@pytest.mark.parametrize("backgrounds", [(3, 2), (2, 2), (5, 2, 3)])
@pytest.mark.parametrize("exemplars", [2, 3, 7])
def test_fit_and_test_share_neither_split_group_nor_template_group(
    exemplars: int, backgrounds: tuple[int, ...]
) -> None:
    rows = planned(exemplars=exemplars, backgrounds=backgrounds, each=6)
    tested: list[int] = []
    for fit, test in crossfit_splits(rows, 5, 3, seed=0):
        for column in ("split_group", "template_group"):
            assert not set(rows[column].iloc[fit]) & set(rows[column].iloc[test])
        for column in ("class_id", "background"):
            assert set(rows[column].iloc[fit]) == set(rows[column])  # every label keeps data to fit on
        tested += test.tolist()
    assert sorted(tested) == list(range(len(rows)))


def test_folds_are_balanced_and_do_not_depend_on_the_order_of_rows() -> None:
    rows = planned(exemplars=6)
    folds = assign_folds(rows["split_group"], rows["class_id"].astype(str), 3, 0, "test")
    assert len(set(np.bincount(folds))) == 1
    order = np.random.default_rng(0).permutation(len(rows))
    mixed = rows.iloc[order]
    again = assign_folds(mixed["split_group"], mixed["class_id"].astype(str), 3, 0, "test")
    assert (again == folds[order]).all()


def test_complexity_is_chosen_on_groups_that_the_inner_fit_has_not() -> None:
    rows = planned(exemplars=4, backgrounds=(3, 4), each=6)
    choice = choice_of(rows, seed=0)
    assert len(choice.fit) == 3
    for fit, held in zip(choice.fit, choice.held, strict=True):
        assert fit.any()
        assert held.any()
        for column in ("split_group", "template_group"):
            assert not set(rows[column][fit]) & set(rows[column][held])


def test_with_one_group_of_each_label_there_is_nothing_to_choose_by() -> None:
    assert choice_of(planned(exemplars=1, backgrounds=(1, 1)), seed=0).fit.shape[0] == 0


def test_an_online_code_sends_whole_groups_and_doubles() -> None:
    rows = planned(exemplars=5)
    blocks = online_blocks(rows["split_group"].to_numpy(), rows["class_id"].to_numpy(), seed=0)
    groups = rows.assign(block=blocks).drop_duplicates("split_group")
    assert (rows.assign(block=blocks).groupby("split_group")["block"].nunique() == 1).all()
    for _, own in groups.groupby("class_id"):
        assert sorted(own["block"]) == [0, 1, 2, 2, 3]
