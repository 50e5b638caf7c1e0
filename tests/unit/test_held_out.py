"""The held-out part of train."""

import pandas as pd

from d3s.held_out import held_groups, hold_out


def rows(groups: int = 10) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"sample": f"{label}-{group}-{ground}", "class_id": label, "split_group": f"{label}-{group}"}
            | {"background": ground}
            for label in range(3)
            for group in range(groups)
            for ground in ("grass", "road")
        ]
    )


def test_whole_groups_of_each_class_are_held_out() -> None:
    fitting, held = hold_out(rows(), 0.2, 0)
    assert len(fitting) + len(held) == 60
    assert not set(fitting["split_group"]) & set(held["split_group"])
    assert held.groupby("class_id")["split_group"].nunique().tolist() == [2, 2, 2]
    assert not hold_out(rows(), 0.2, 1)[1].equals(held)


def test_a_new_exemplar_moves_few() -> None:
    before, after = (set(hold_out(rows(groups), 0.2, 0)[1]["split_group"]) for groups in (10, 11))
    assert len(before - after) <= 3


def test_nothing_is_held_out_that_training_needs() -> None:
    assert hold_out(rows(1), 0.5, 0)[1].empty  # each class has one group
    assert hold_out(rows(), 0.0, 0)[1].empty
    lone = rows()
    lone.loc[lone["split_group"] != "0-3", "background"] = "grass"
    lone.loc[lone["split_group"] == "0-3", "background"] = "road"
    fitting, held = hold_out(lone, 0.9, 0)
    assert "0-3" not in set(held["split_group"])
    assert set(fitting["background"]) == {"grass", "road"}


def test_a_larger_share_holds_out_the_same_groups_and_more() -> None:
    columns = [rows()[name].astype(str).tolist() for name in ("split_group", "class_id", "background")]
    groups, labels, backgrounds = columns
    few, many = (held_groups(groups, labels, backgrounds, share, 0) for share in (0.2, 0.5))
    assert few < many


def test_the_order_of_rows_changes_nothing() -> None:
    held = hold_out(rows(), 0.3, 0)[1]
    turned = hold_out(rows()[::-1], 0.3, 0)[1]
    assert set(held["split_group"]) == set(turned["split_group"])
