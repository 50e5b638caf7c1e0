"""What backgrounds cost: drops against references, the effect of each background, the worst, how far they differ."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from d3s.identity import seed as hashed_seed
from d3s.metrics.accuracy import by_background
from d3s.metrics.blocks import Block, matched_blocks
from d3s.metrics.estimates import FIGURES, Bootstrap, Build, cluster_kind, set_names
from d3s.metrics.resampling import (
    DIFFERENCE,
    SHARE,
    Clusters,
    Statistic,
    bootstrap_interval,
    divided,
)

Summary = Statistic
"""Accuracies on backgrounds (R x B) to one number each."""
EFFECT_COLUMNS = (
    *("model", "family", "dataset", "shift", "class_name", "background", "reference", "metric"),
    *FIGURES,
    *("p_value", "detail"),
)
"""Of ``background_effects.csv``; class_name and background are ``all`` where a figure is of all."""


def effect_rows(judged: pd.DataFrame, rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Rows with what is the same in all of them, in the columns of the table."""
    about = {name: judged[name].iloc[0] for name in ("model", "family", "dataset")}
    usual = about | {"shift": "", "class_name": "all", "background": "all", "reference": "", "detail": ""}
    return pd.DataFrame([usual | dict(row) for row in rows], columns=list(EFFECT_COLUMNS))


# ---------------------------------------------------------------- drops


def drop_rows(judged: pd.DataFrame, reference: pd.DataFrame, bootstrap: Bootstrap) -> pd.DataFrame:
    """Accuracy on a reference minus accuracy here, for all backgrounds and each; positive is what is lost.

    Where both data sets have pictures of the same matched sets, a picture is compared with the reference's picture of
    its set: the one on the same background if the reference has backgrounds (the guides), else the set's only one (the
    cut-outs). Pictures without such a partner are left out, as n tells. Otherwise the two data sets are drawn apart;
    ``detail`` says so, and whether they have the same classes (or the difference is one of tasks as well).

    Args:
        judged: rows of one classifier on one data set.
        reference: rows of the same classifier on another.
        bootstrap: how intervals are drawn.
    """
    name = reference["dataset"].iloc[0]
    paired = partners(judged, reference)
    rows: list[dict[str, object]] = []
    kind = cluster_kind(judged)
    same = set(judged["class_name"]) == set(reference["class_name"])
    for metric in ("top1", "top1_open"):
        if paired is not None:
            together = judged.assign(lost=paired[metric] - judged[metric]).dropna(subset=["lost"])
            for background, part in by_background(together) if len(together) else []:
                found = bootstrap.mean(part["lost"], part["cluster"], set_names(part), kind, bounds=DIFFERENCE)
                about = {"background": background, "reference": name, "metric": f"drop_{metric}", "detail": "paired"}
                rows.append(about | found)
            continue
        known, others = judged.dropna(subset=[metric]), reference.dropna(subset=[metric])
        for background, part in by_background(known) if len(known) and len(others) else []:
            found = apart(others, part, metric, bootstrap)
            detail = "unpaired" if same else "unpaired, other classes"
            about = {"background": background, "reference": name, "metric": f"drop_{metric}", "detail": detail}
            rows.append(about | found)
    return effect_rows(judged, rows)


def partners(judged: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame | None:
    """The reference's top1 and top1_open for each judged row (NaN for a row without partner), by row.

    Nothing if the two share no matched set.
    """
    shared = set(judged["matched_set"]) & set(reference["matched_set"]) - {""}
    if not shared:
        return None
    known = reference[reference["matched_set"].isin(shared)]
    keys = ["matched_set"]
    if set(known["background"]) & set(judged["background"]) - {""}:
        keys.append("background")
    means = known.groupby(keys)[["top1", "top1_open"]].mean()
    found = judged[keys].join(means, on=keys)[["top1", "top1_open"]]
    return found.set_index(judged.index)


def apart(first: pd.DataFrame, second: pd.DataFrame, metric: str, bootstrap: Bootstrap) -> dict[str, object]:
    """The mean of the first minus the mean of the second, which share no pictures and are drawn apart."""
    parts = [(frame["dataset"].iloc[0], frame) for frame in (first, second)]

    def drawn(names: Sequence[pd.Series]) -> tuple[list[Clusters], Statistic]:
        # Names are those of the data set: equal ones would otherwise be drawn alike in both.
        clusters = [
            bootstrap.clusters([f"{dataset}/{name}" for name in own])
            for (dataset, _), own in zip(parts, names, strict=True)
        ]
        sums = [part.sums(frame[metric].to_numpy()) for part, (_, frame) in zip(clusters, parts, strict=True)]
        sizes = [part.sizes() for part in clusters]
        cut = clusters[0].groups

        def statistic(weights: np.ndarray) -> np.ndarray:
            one, other = weights[:, :cut], weights[:, cut:]
            return divided(one @ sums[0], one @ sizes[0]) - divided(other @ sums[1], other @ sizes[1])

        return clusters, statistic

    clusters, statistic = drawn([frame["cluster"] for _, frame in parts])
    interval = bootstrap_interval(statistic, clusters, DIFFERENCE)
    of_sets, statistic = drawn([set_names(frame) for _, frame in parts])
    by_set = bootstrap_interval(statistic, of_sets, DIFFERENCE)
    return {
        "value": interval.value,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "n": len(second),
        "clusters": clusters[1].count,
        "cluster": cluster_kind(second),
        "set_ci_low": by_set.low,
        "set_ci_high": by_set.high,
    }


# ---------------------------------------------------------------- backgrounds against each other


def spread_rows(judged: pd.DataFrame, bootstrap: Bootstrap) -> pd.DataFrame:
    """Effect of each background, the worst one, and how far accuracies on backgrounds differ.

    Within complete matched sets where there are any, so that all backgrounds have the same foregrounds; the
    permutation test then gives all sets of an exemplar their backgrounds anew, the same way. A data set without matched
    sets is compared over all its pictures, each class weighing as much on every background (a class is left out that
    does not stand on all of them), and the permutation is of the backgrounds of single pictures within their class.

    Yields, per shift:
        effect: per background, accuracy there minus the mean over backgrounds.
        worst_background: the lowest accuracy, with its background and the share of draws in which it is that one. The
            lowest of several is below what that background has in truth, on average; its interval draws anew which one
            it is.
        spread: highest minus lowest accuracy. It grows with the number of backgrounds and the smallness of the sample
            even if backgrounds do nothing: ``spread_by_chance`` is its mean over permutations, and p_value the share of
            permutations with at least this spread.
        sd: standard deviation over backgrounds (divisor B - 1); ``sd_corrected`` is the root of its square minus what
            sampling adds to it, 0 if that is negative.
    """
    blocks = [block.complete() for block in matched_blocks(judged)]
    rows: list[dict[str, object]] = []
    for block in blocks:
        if len(block):
            rows += _spread(_from_block(block), block.backgrounds, block.shift, "matched sets", bootstrap)
    if not any(len(block) for block in blocks):
        frame = _on_all_backgrounds(judged)
        if len(frame):
            backgrounds = tuple(sorted(set(frame["background"])))
            rows += _spread(
                _from_rows(frame, backgrounds), backgrounds, "", "pictures, classes weighing alike", bootstrap
            )
    return effect_rows(judged, rows)


class _Cells:
    """Answers with their backgrounds, as the arrays that spreads are computed from.

    Attributes:
        values, sizes: N x B sums of answers and their (weighted) numbers.
        clusters: N names.
        sets: N names.
        n: how many answers each background has, or sets.
        kind: of the clusters.
        shuffled: whether the columns are shuffled within clusters (matched) or rows within strata (not matched).
        strata: N names of classes.
    """

    def __init__(
        self,
        values: np.ndarray,
        sizes: np.ndarray,
        clusters: np.ndarray,
        sets: np.ndarray,
        kind: str,
        strata: np.ndarray,
    ) -> None:
        self.values, self.sizes, self.clusters, self.sets = values, sizes, clusters, sets
        self.kind, self.strata = kind, strata
        self.matched = bool((sizes > 0).all())

    def build(self, summary: Summary) -> Build:
        """The statistic of a summary of the accuracies on backgrounds (R x B to R)."""

        def build(drawn: Clusters) -> Statistic:
            sums, sizes = drawn.sums(self.values), drawn.sums(self.sizes)
            return lambda weights: summary(divided(weights @ sums, weights @ sizes))

        return build

    def permuted(self, seed: int, times: int) -> np.ndarray:
        """Accuracies on backgrounds (times x B) if it were by chance which answer came from which background."""
        rng = np.random.default_rng(seed)
        backgrounds = self.values.shape[1]
        found = np.empty((times, backgrounds))
        if self.matched:
            names, where = np.unique(self.clusters.astype(str), return_inverse=True)
            sums = np.stack(
                [np.bincount(where, weights=column, minlength=len(names)) for column in self.values.T], axis=1
            )
            for place in range(times):
                found[place] = rng.permuted(sums, axis=1).sum(axis=0) / len(self.values)
            return found
        background = self.sizes.argmax(axis=1)
        weight = self.sizes.max(axis=1)
        answers = np.divide(self.values.sum(axis=1), weight)
        for place in range(times):
            order = np.arange(len(answers))
            for name in np.unique(self.strata):
                own = np.flatnonzero(self.strata == name)
                order[own] = rng.permutation(own)
            sums = np.bincount(background, weights=answers[order] * weight, minlength=backgrounds)
            found[place] = sums / np.bincount(background, weights=weight, minlength=backgrounds)
        return found


def _from_block(block: Block) -> _Cells:
    return _Cells(
        block.right, np.ones_like(block.right), block.clusters, block.sets, block.kind, block.class_ids.astype(str)
    )


def _on_all_backgrounds(judged: pd.DataFrame) -> pd.DataFrame:
    """The pictures of classes that stand on every background, if there are at least two backgrounds."""
    known = judged[judged["background"] != ""]
    backgrounds = known["background"].nunique()
    everywhere = known.groupby("class_id")["background"].transform("nunique") == backgrounds
    return known[everywhere] if backgrounds > 1 else known.iloc[:0]


def _from_rows(frame: pd.DataFrame, backgrounds: Sequence[str]) -> _Cells:
    """Each picture weighs one over the number of its class on its background, so that classes weigh alike."""
    number = frame.groupby(["class_id", "background"])["sample"].transform("size").to_numpy(dtype=float)
    column = np.searchsorted(np.asarray(backgrounds, dtype=object), frame["background"].to_numpy(dtype=object))
    sizes = np.zeros((len(frame), len(backgrounds)))
    sizes[np.arange(len(frame)), column] = 1 / number
    return _Cells(
        sizes * frame["top1"].to_numpy()[:, None],
        sizes,
        frame["cluster"].to_numpy(),
        set_names(frame).to_numpy(),
        cluster_kind(frame),
        frame["class_id"].to_numpy().astype(str),
    )


def _spread(
    cells: _Cells, backgrounds: tuple[str, ...], shift: str, design: str, bootstrap: Bootstrap
) -> list[dict[str, object]]:
    def estimate(summary: Summary, bounds: tuple[float, float] | None) -> dict[str, object]:
        return bootstrap.estimate(cells.build(summary), cells.clusters, cells.sets, None, bounds, cells.kind)

    rows: list[dict[str, object]] = []
    for place, name in enumerate(backgrounds):

        def effect(means: np.ndarray, place: int = place) -> np.ndarray:
            return means[:, place] - means.mean(axis=1)

        rows.append({"background": name, "metric": "effect"} | estimate(effect, DIFFERENCE))
    drawn = bootstrap.clusters(cells.clusters)
    means = cells.build(lambda found: found)(drawn)
    seen = means(np.ones((1, drawn.groups)))[0]
    of_draws = means(drawn.draws())
    # A whole percentage: the share of draws is no more exact than that.
    often = np.bincount(of_draws[np.isfinite(of_draws).all(axis=1)].argmin(axis=1), minlength=len(backgrounds))
    worst = int(seen.argmin())
    share = round(100 * often[worst] / max(often.sum(), 1))
    rows.append(
        {"background": backgrounds[worst], "metric": "worst_background"}
        | estimate(lambda found: found.min(axis=1), SHARE)
        | {"detail": f"the worst in {share} % of draws"}
    )
    by_chance = cells.permuted(hashed_seed(bootstrap.seed, "permutation", backgrounds), bootstrap.resamples)
    spreads = np.ptp(by_chance, axis=1)
    observed = float(np.ptp(seen))
    p_value = (1 + int((spreads >= observed - 1e-12).sum())) / (1 + len(spreads))
    rows.append({"metric": "spread"} | estimate(lambda found: np.ptp(found, axis=1), SHARE) | {"p_value": p_value})
    plain = {"n": len(cells.values), "clusters": drawn.count, "cluster": cells.kind}
    low, high = np.quantile(spreads, [0.025, 0.975])
    rows.append(
        {"metric": "spread_by_chance", "value": float(spreads.mean()), "ci_low": float(low), "ci_high": float(high)}
        | plain
        | {"detail": "mean and central 95 % of permutations"}
    )
    rows.append({"metric": "sd"} | estimate(lambda found: found.std(axis=1, ddof=1), SHARE))
    variance = sampling_variance(means, drawn.groups)
    corrected = float(np.sqrt(max(seen.var(ddof=1) - variance, 0.0)))
    rows.append({"metric": "sd_corrected", "value": corrected} | plain)
    return [{"shift": shift, "detail": design} | row for row in rows]


def sampling_variance(means: Statistic, groups: int) -> float:
    """What sampling clusters adds to the variance between backgrounds: by the jackknife, of the centred accuracies."""
    if groups < 2:
        return 0.0
    without = means(np.ones((groups, groups)) - np.eye(groups))
    without = without[np.isfinite(without).all(axis=1)]
    centred = without - without.mean(axis=1, keepdims=True)
    squares = ((centred - centred.mean(axis=0)) ** 2).sum(axis=0) * (groups - 1) / groups
    return float(squares.sum() / (without.shape[1] - 1))
