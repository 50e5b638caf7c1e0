"""Which classes break most easily when the background changes, and the matched sets that show it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from d3s.metrics.blocks import Block
from d3s.metrics.estimates import Bootstrap
from d3s.metrics.flips import flipped, pair_flips

CLASS_COLUMNS = (
    *(
        "rank",
        "dataset",
        "shift",
        "class_id",
        "class_name",
        "fragility",
        "ci_low",
        "ci_high",
        "n",
        "clusters",
        "cluster",
    ),
    *("pair_flip_rate", "spread", "accuracy", "judges"),
)
SET_COLUMNS = (
    *("rank", "dataset", "shift", "class_id", "class_name", "fragility", "place", "matched_set", "exemplar"),
    *("flips", "judges", "background", "sample", "right", "wrong", "taken_for"),
)
CLASSES, SETS = 10, 3
"""Most fragile classes whose sets are listed, and sets of each."""


def fragile_tables(
    blocks: Sequence[tuple[str, Block]], dataset: str, bootstrap: Bootstrap
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All classes by fragility, and the sets of the most fragile ones with the most flips.

    A class's fragility is the mean over judges of its flip rate, the share of its complete matched sets that a judge
    has right on some backgrounds and wrong on others. Equal ones are ranked by the mean over judges of the share of
    pairs of backgrounds whose predictions differ, then by spread (highest minus lowest accuracy over backgrounds), then
    by name.

    Args:
        blocks: name and matched sets of every judge, for one shift; only sets that are complete for all of them count.
        dataset: its name.
        bootstrap: how intervals are drawn.

    Returns:
        ``fragile_classes.csv``, and ``fragile_sets.csv`` with one row per set and background: ``flips`` is the sum over
        judges of pairs of backgrounds that differ in being right, ``right`` and ``wrong`` name the judges, and
        ``taken_for`` the class that each of the wrong ones chose, in the same order.
    """
    complete = [(name, block.complete()) for name, block in blocks]
    shared = set.intersection(*({str(name) for name in block.sets} for _, block in complete)) if complete else set()
    same = {block.backgrounds for _, block in complete}
    if not shared or len(same) != 1:
        return pd.DataFrame(columns=list(CLASS_COLUMNS)), pd.DataFrame(columns=list(SET_COLUMNS))
    judges = [(name, block.of(np.isin(block.sets.astype(str), sorted(shared)))) for name, block in complete]
    names = {
        int(number): str(name)
        for _, block in blocks
        for number, name in zip(block.class_ids, block.class_names, strict=True)
    }
    block = judges[0][1]
    flips = np.mean([flipped(own) for _, own in judges], axis=0)
    pairs = np.mean([pair_flips(own) for _, own in judges], axis=0)
    about = {"dataset": dataset, "shift": block.shift, "judges": " ".join(name for name, _ in judges)}
    classes: list[dict[str, object]] = []
    for class_id in np.unique(block.class_ids):
        own = np.flatnonzero(block.class_ids == class_id)
        found = bootstrap.mean(flips[own], block.clusters[own], kind=block.kind)
        means = [judge.right[own].mean(axis=0) for _, judge in judges]
        classes.append(
            about
            | {name: found[name] for name in ("ci_low", "ci_high", "n", "clusters", "cluster")}
            | {"class_id": int(class_id), "class_name": str(block.class_names[own[0]]), "fragility": found["value"]}
            | {"pair_flip_rate": float(pairs[own].mean()), "accuracy": float(np.mean(means))}
            | {"spread": float(np.mean([np.ptp(values) for values in means]))}
        )
    ranked = pd.DataFrame(classes).sort_values(
        ["fragility", "pair_flip_rate", "spread", "class_name"], ascending=[False, False, False, True]
    )
    ranked["rank"] = np.arange(1, len(ranked) + 1)
    rows: list[dict[str, object]] = []
    for chosen in ranked.head(CLASSES).to_dict("records"):
        rows += [about | chosen | row for row in _sets(judges, int(chosen["class_id"]), names)]
    return ranked[list(CLASS_COLUMNS)].reset_index(drop=True), pd.DataFrame(rows, columns=list(SET_COLUMNS))


def _sets(judges: Sequence[tuple[str, Block]], class_id: int, names: Mapping[int, str]) -> list[dict[str, object]]:
    """The sets of a class that flip, by their flips, then by name.

    Args:
        names: of the classes that have sets; of others the number is written.
    """
    block = judges[0][1]
    number = sum((judge.right.sum(axis=1) * (1 - judge.right).sum(axis=1)) for _, judge in judges)
    flips = np.asarray(number, dtype=int)
    own = [place for place in np.flatnonzero(block.class_ids == class_id) if flips[place]]
    own.sort(key=lambda place: (-flips[place], block.sets[place]))
    rows = []
    for rank, place in enumerate(own[:SETS], start=1):
        for column, background in enumerate(block.backgrounds):
            right = [name for name, judge in judges if judge.right[place, column]]
            wrong = [name for name, judge in judges if not judge.right[place, column]]
            chosen = [int(judge.predicted[place, column]) for _, judge in judges if not judge.right[place, column]]
            rows.append(
                {"place": rank, "matched_set": block.sets[place], "exemplar": block.exemplars[place]}
                | {"flips": int(flips[place]), "background": background, "sample": block.samples[place, column]}
                | {"right": " ".join(right), "wrong": " ".join(wrong)}
                | {"taken_for": " ".join(names.get(number, str(number)) for number in chosen)}
            )
    return rows
