"""How often another background turns a right answer into a wrong one, within matched sets.

What would be seen if backgrounds did nothing? A set holds one picture per background, so a flip may be the
background's doing or that of the generator's noise. Two figures bracket it. ``flip_rate_coin`` is what would be seen if
every picture were a coin of its own, with the accuracy of its class and background: sets that hang together flip less.
And where an exemplar has several sets, ``pair_flip_same_background`` tells how often the answer changes between two of
its sets (with other placements, templates and noises) on the same background: if backgrounds did nothing, two of its
pictures on different backgrounds from different sets would differ no more often. ``background_flip_excess`` is how much
more often they do; its expectation is 0 if backgrounds do nothing, whatever placement, template and noise do.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from d3s.metrics.background_effects import effect_rows
from d3s.metrics.blocks import Block, matched_blocks
from d3s.metrics.estimates import Bootstrap
from d3s.metrics.resampling import DIFFERENCE, SHARE, Clusters, Statistic, ratio


def flip_rows(judged: pd.DataFrame, bootstrap: Bootstrap) -> pd.DataFrame:
    """Flips within complete matched sets, per shift, over all classes and for each.

    Yields:
        flip_rate: share of sets that are right on some backgrounds and wrong on others.
        always_right, always_wrong: shares of the other sets.
        flip_rate_coin: see above; no interval, it is an expectation.
        pair_flip_rate: share of pairs of backgrounds whose predicted classes differ, over all sets.
        pair_flip_same_background, pair_flip_other_background, background_flip_excess: see above; n is the number of
        pairs of sets that share an exemplar.
    """
    rows: list[dict[str, object]] = []
    for block in (block.complete() for block in matched_blocks(judged)):
        if not len(block):
            continue
        for name, part in [("all", block), *by_class(block)]:
            rows += [{"shift": block.shift, "class_name": name} | row for row in _flips(part, bootstrap)]
        rows += [{"shift": block.shift} | row for row in _noise(block, bootstrap)]
    return effect_rows(judged, rows)


def by_class(block: Block) -> list[tuple[str, Block]]:
    """The block of each class, by name."""
    return [(str(name), block.of(block.class_names == name)) for name in sorted(set(block.class_names))]


def flipped(block: Block) -> np.ndarray:
    """S numbers: 1 for a set that is right on some backgrounds and wrong on others."""
    return (block.right.min(axis=1) != block.right.max(axis=1)).astype(float)


def pair_flips(block: Block) -> np.ndarray:
    """S numbers: the share of pairs of backgrounds whose predicted classes differ."""
    pairs = list(combinations(range(len(block.backgrounds)), 2))
    return np.mean([block.predicted[:, one] != block.predicted[:, other] for one, other in pairs], axis=0)


def _flips(block: Block, bootstrap: Bootstrap) -> list[dict[str, object]]:
    measures = {
        "flip_rate": flipped(block),
        "always_right": block.right.min(axis=1),
        "always_wrong": 1 - block.right.max(axis=1),
        "pair_flip_rate": pair_flips(block),
    }
    rows: list[dict[str, object]] = [
        {"metric": metric} | bootstrap.mean(values, block.clusters, block.sets, block.kind)
        for metric, values in measures.items()
    ]
    coin = {"metric": "flip_rate_coin", "value": float(coin_flips(block).mean()), "n": len(block)}
    return [*rows, coin | {"clusters": len(set(block.clusters)), "cluster": block.kind}]


def coin_flips(block: Block) -> np.ndarray:
    """S chances that a set flips if each picture is right by itself with the accuracy of its class and background."""
    found = np.empty(len(block))
    for class_id in np.unique(block.class_ids):
        own = block.class_ids == class_id
        accuracy = block.right[own].mean(axis=0)
        found[own] = 1 - accuracy.prod() - (1 - accuracy).prod()
    return found


def _noise(block: Block, bootstrap: Bootstrap) -> list[dict[str, object]]:
    """The comparison of pairs of sets that share an exemplar; no rows where there is no such pair."""
    pairs = np.array(
        [
            (one, other)
            for name in sorted(set(block.exemplars) - {""})
            for one, other in combinations(np.flatnonzero(block.exemplars == name), 2)
        ]
    ).reshape(-1, 2)
    if not len(pairs):
        return []
    differ = block.predicted[pairs[:, 0]][:, :, None] != block.predicted[pairs[:, 1]][:, None, :]  # pairs x B x B
    backgrounds = len(block.backgrounds)
    same = np.trace(differ, axis1=1, axis2=2) / backgrounds
    others = (differ.sum(axis=(1, 2)) - same * backgrounds) / (backgrounds * (backgrounds - 1))
    clusters = block.clusters[pairs[:, 0]]
    rows = []
    for metric, values, bounds in (
        ("pair_flip_same_background", same, SHARE),
        ("pair_flip_other_background", others, SHARE),
        ("background_flip_excess", others - same, DIFFERENCE),
    ):

        def build(drawn: Clusters, values: np.ndarray = values) -> Statistic:
            return ratio(drawn.sums(values), drawn.sizes())

        rows.append({"metric": metric} | bootstrap.estimate(build, clusters, None, len(pairs), bounds, block.kind))
    return rows
