"""The held-out part of train: exemplars that no gradient sees, for early stopping and every choice of a setting.

The split val is for reporting alone.
"""

import pandas as pd

from d3s.identity import digest


def hold_out(rows: pd.DataFrame, fraction: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the training rows by split groups: near-duplicates of an exemplar stay together.

    Of each class, the share of its groups with the lowest hashes is held out, rounded, one at least, and never all. A
    group stays in if a background would have no training row without it.

    Args:
        rows: with the columns split_group, class_id and background.
        fraction: of each class's groups; 0 holds nothing out.
        seed: root of the hashes.

    Returns:
        The rows to train on and those that are held out, both in their order.
    """
    out: set[str] = set()
    if fraction > 0:
        first = rows.drop_duplicates("split_group")  # a group of several classes counts for the one that is met first
        for label, own in first.groupby("class_id", sort=True):
            groups = sorted(own["split_group"], key=lambda group: digest(seed, "held_out", str(label), group))
            number = min(max(1, round(fraction * len(groups))), len(groups) - 1)
            for group in groups:
                if number == 0:
                    break
                rest = rows[~rows["split_group"].isin(out | {group})]
                if set(rest["background"]) == set(rows["background"]) and set(rest["class_id"]) == set(
                    rows["class_id"]
                ):
                    out.add(group)
                    number -= 1
    held = rows["split_group"].isin(out)
    return rows[~held].reset_index(drop=True), rows[held].reset_index(drop=True)
