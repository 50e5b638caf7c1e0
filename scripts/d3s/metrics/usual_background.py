"""What an unusual background costs: the background gap of ImageNet-9, within matched sets and on its own folders.

Xiao et al., "Noise or signal: the role of image backgrounds in object recognition" (2021), take the accuracy on
foregrounds that stand before a background of their own class (``mixed_same``) minus that before one of another class
(``mixed_rand``). Matched sets allow it foreground by foreground: a class's table row names the backgrounds in which it
is usually photographed.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from d3s.metrics.background_effects import apart, effect_rows
from d3s.metrics.blocks import Block, matched_blocks
from d3s.metrics.estimates import Bootstrap, cluster_kind, set_names
from d3s.metrics.flips import by_class
from d3s.metrics.resampling import DIFFERENCE

VARIANTS = ("mixed_same", "mixed_rand")
"""Variants of a benchmark whose difference is its background gap."""


def usual_gap_rows(judged: pd.DataFrame, usual: Mapping[int, Sequence[str]], bootstrap: Bootstrap) -> pd.DataFrame:
    """Accuracy on a class's usual backgrounds minus on its others, set by set, over all classes and for each.

    Args:
        judged: rows of one classifier on one data set.
        usual: usual backgrounds by class id; a class without any is left out, as is one with no other.
        bootstrap: how intervals are drawn.

    Yields:
        ``usual_background_gap``; each set weighs alike, n is the number of sets that have a picture of both kinds.
        ``usual_background_margin`` is the same of the log odds.
    """
    rows: list[dict[str, object]] = []
    for block in matched_blocks(judged):
        for name, part in [("all", block), *by_class(block)]:
            for metric, values in (("gap", part.right), ("margin", part.margin)):
                gaps = set_gaps(part, values, usual)
                if not np.isfinite(gaps).any():
                    continue
                bounds = DIFFERENCE if metric == "gap" else None
                found = bootstrap.mean(gaps, part.clusters, part.sets, part.kind, bounds=bounds)
                about = {"shift": part.shift, "class_name": name, "metric": f"usual_background_{metric}"}
                rows.append(about | found)
    return effect_rows(judged, rows)


def set_gaps(block: Block, values: np.ndarray, usual: Mapping[int, Sequence[str]]) -> np.ndarray:
    """For each set, the mean of S x B values on the usual backgrounds minus on the others; NaN where one is lacking."""
    found = np.full(len(block), np.nan)
    for class_id in np.unique(block.class_ids):
        column = np.isin(block.backgrounds, list(usual.get(int(class_id), ())))
        own = block.class_ids == class_id
        known = ~np.isnan(values[own])
        sums = [np.where(known & side, values[own], 0).sum(axis=1) for side in (column, ~column)]
        counts = [(known & side).sum(axis=1) for side in (column, ~column)]
        with np.errstate(invalid="ignore"):
            found[own] = sums[0] / counts[0] - sums[1] / counts[1]
    return found


def variant_gap_rows(judged: pd.DataFrame, bootstrap: Bootstrap) -> pd.DataFrame:
    """The background gap of a benchmark that has the variants ``VARIANTS``; no rows for others.

    Foreground by foreground where matched sets tell which pictures show the same one in both variants, else the
    variants are drawn apart.
    """
    same, rand = (judged[judged["variant"] == name] for name in VARIANTS)
    if not len(same) or not len(rand):
        return effect_rows(judged, [])
    shared = set(same["matched_set"]) & set(rand["matched_set"]) - {""}
    about: dict[str, object] = {"metric": "variant_background_gap", "reference": VARIANTS[1]}
    if not shared:
        named = [part.assign(dataset=part["variant"]) for part in (same, rand)]
        found = apart(named[0], named[1], "top1", bootstrap)
        return effect_rows(judged, [about | found | {"n": len(same) + len(rand), "detail": "unpaired"}])
    means = [part[part["matched_set"].isin(shared)].groupby("matched_set")["top1"].mean() for part in (same, rand)]
    first = same.drop_duplicates("matched_set").set_index("matched_set").loc[means[0].index].reset_index()
    found = bootstrap.mean(
        (means[0] - means[1]).to_numpy(), first["cluster"], set_names(first), cluster_kind(same), bounds=DIFFERENCE
    )
    return effect_rows(judged, [about | found | {"detail": "paired"}])
