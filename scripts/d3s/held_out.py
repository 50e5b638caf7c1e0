"""The held-out part of train: exemplars that no gradient sees, for early stopping and every choice of a setting.

Encoders and the splits of spurious correlations hold out the same exemplars, or penalties would be chosen on what an
encoder was trained on. The split val is for reporting alone.
"""

from collections.abc import Sequence

import pandas as pd

from d3s.identity import digest


def held_groups(
    groups: Sequence[str], labels: Sequence[str], backgrounds: Sequence[str], fraction: float, seed: int
) -> set[str]:
    """The split groups that are held out: near-duplicates of an exemplar stay together.

    Of each class, the share of its groups with the lowest hashes is held out, rounded, one at least, and never all. A
    group stays in if a class or a background would have no training row without it. A larger share holds out the same
    groups and more.

    Args:
        groups, labels, backgrounds: of N training rows, in any order.
        fraction: of each class's groups; 0 holds nothing out.
        seed: root of the hashes.
    """
    if fraction <= 0:
        return set()
    rows = pd.DataFrame({"group": list(groups), "label": list(labels), "background": list(backgrounds)})
    owner = rows.groupby("group")["label"].min()  # a group of several classes counts for one of them
    out: set[str] = set()
    for label in sorted(owner.unique()):
        own = sorted(owner.index[owner == label], key=lambda group: digest(seed, "held_out", label, group))
        number = min(max(1, round(fraction * len(own))), len(own) - 1)
        for group in own:
            if number == 0:
                break
            rest = rows[~rows["group"].isin(out | {group})]
            if all(set(rest[name]) == set(rows[name]) for name in ("label", "background")):
                out.add(group)
                number -= 1
    return out


def hold_out(rows: pd.DataFrame, fraction: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split training rows into those to train on and those that are held out, both in their order.

    Args:
        rows: with the columns split_group, class_id and background.
        fraction, seed: as ``held_groups``.
    """
    labels = rows["class_id"].astype(str).tolist()
    out = held_groups(rows["split_group"].tolist(), labels, rows["background"].tolist(), fraction, seed)
    held = rows["split_group"].isin(out)
    return rows[~held].reset_index(drop=True), rows[held].reset_index(drop=True)
