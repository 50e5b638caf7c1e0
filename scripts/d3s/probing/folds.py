"""Which rows a probe is fitted on, chosen with, and tried on: no exemplar and no panorama on both sides.

Folds of split groups (exemplars with their near-duplicates) are crossed with folds of template groups (blocks of a
panorama). A row is tested by a probe that was fitted on the rows that are in neither of its two folds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from d3s.identity import digest

INNER_FOLDS = 3
"""Folds of each kind in which a probe's complexity is chosen: three, so that labels with three groups keep two."""


def assign_folds(groups: Sequence[str], labels: Sequence[str], folds: int, seed: int, purpose: str) -> np.ndarray:
    """Deal the groups of each label out to folds, the largest first, each to the fold with the fewest rows so far.

    A label with two groups or more is never wholly in one fold, so it can always be fitted on.

    Returns:
        N fold numbers; rows of one group have the same one.
    """
    table = pd.DataFrame({"group": list(groups), "label": list(labels)}, dtype=object)
    sizes = table.groupby("group").size()
    owner = table.groupby("group")["label"].first()
    number = min(folds, int(owner.value_counts().max()))
    fold_of: dict[str, int] = {}
    loads = np.zeros(number)
    for label in sorted(owner.unique()):
        own = sorted(owner.index[owner == label], key=lambda g: (-sizes[g], digest(seed, purpose, g)))
        taken = np.zeros(number)
        for group in own:
            # First by the label's own rows, then by all rows, so that small labels don't all end in fold 0.
            fold = min(range(number), key=lambda f: (taken[f], loads[f], f))
            fold_of[group] = fold
            taken[fold] += sizes[group]
            loads[fold] += sizes[group]
    return table["group"].map(fold_of).to_numpy()


def both_folds(rows: pd.DataFrame, folds: int, template_folds: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The fold of split groups and the fold of template groups of each row.

    Args:
        rows: with the columns split_group, class_id, template_group and background.
        folds, template_folds: at most so many of each.
        seed: of ties between groups of one size.
    """
    exemplars = assign_folds(rows["split_group"], rows["class_id"].astype(str), folds, seed, "fold.split_group")
    templates = assign_folds(rows["template_group"], rows["background"], template_folds, seed, "fold.template_group")
    return exemplars, templates


def crossfit_splits(
    rows: pd.DataFrame, folds: int, template_folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of (rows to fit on, rows to test on), which share no split group and no template group.

    Args:
        rows, folds, template_folds, seed: as ``both_folds``.

    Yields:
        Two arrays of row numbers. Each row is tested once.
    """
    exemplars, templates = both_folds(rows, folds, template_folds, seed)
    for exemplar_fold in np.unique(exemplars):
        for template_fold in np.unique(templates):
            test = np.flatnonzero((exemplars == exemplar_fold) & (templates == template_fold))
            fit = np.flatnonzero((exemplars != exemplar_fold) & (templates != template_fold))
            if len(test) and len(fit):
                yield fit, test


@dataclass(frozen=True)
class Choice:
    """Rows to compare complexities on: each pair (fitted on, validated on) shares no group of either kind.

    Attributes:
        fit: I x N, true where the probe of that pair is fitted.
        held: I x N, true where it is validated.
    """

    fit: np.ndarray
    held: np.ndarray


def choice_of(rows: pd.DataFrame, seed: int) -> Choice:
    """Pairs of folds i of split groups and i of template groups, so that every group is validated on about once.

    All nine pairs would be a ninth of the rows each, and cost three times as much.
    """
    exemplars, templates = both_folds(rows, INNER_FOLDS, INNER_FOLDS, seed)
    number = min(len(np.unique(exemplars)), len(np.unique(templates)))
    pairs = range(number if number > 1 else 0)
    none = np.zeros((0, len(rows)), dtype=bool)
    fit = [(exemplars != place) & (templates != place) for place in pairs]
    held = [(exemplars == place) & (templates == place) for place in pairs]
    return Choice(np.stack(fit), np.stack(held)) if fit else Choice(none, none)


def online_blocks(groups: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Blocks in which an online code sends the labels: whole groups, each block twice as many as all before it.

    Block 0 has one group of each label, block 1 the second ones, block 2 the third and fourth, and so on: what has been
    sent always holds every label, and never a part of a group that is still to come.

    Args:
        groups: N names of groups, in each of which the label is constant.
        labels: N labels.
        seed: of the order of groups.

    Returns:
        N numbers of blocks.
    """
    table = pd.DataFrame({"group": groups, "label": labels}).drop_duplicates()
    table["place"] = [digest(seed, "probe.order", str(group)) for group in table["group"]]
    rank = table.sort_values("place").groupby("label").cumcount()
    block = {table.loc[row, "group"]: int(number).bit_length() for row, number in rank.items()}
    return np.array([block[group] for group in groups])
