"""How much of a classifier's variation is the foreground's, the background's, the noise's: variance components.

Balanced random-effects analysis of variance within classes (Searle, Casella and McCulloch, "Variance components", 1992,
chapter 4) of exemplars E, placements P, noises Q and backgrounds B, each crossed with all others: a class's placements
and noises are the same for all of its exemplars, and a template goes with placement and background. Components of all
15 effects follow from expected mean squares, and are added up to

    foreground                E
    placement                 P + E x P
    noise                     Q + E x Q + P x Q + E x P x Q
    background                B
    foreground_x_background   E x B
    rest                      all that involves B with P (templates, too) or Q

A negative one is set to 0 before shares are taken, and its estimate is in the table. For intervals, exemplars are drawn
anew within classes. What is between exemplars is then a mean over pairs of two different ones, since an exemplar drawn
twice is no evidence that exemplars are alike: the covariance of two exemplars' effects estimates what effects have in
common (B, say), their variance that and what the exemplar adds (B + E x B).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from d3s.metrics.blocks import matched_blocks
from d3s.metrics.estimates import Bootstrap
from d3s.metrics.resampling import SHARE, bootstrap_interval, divided

VARIANCE_COLUMNS = (
    *("model", "family", "dataset", "shift", "design", "outcome", "component", "share", "ci_low", "ci_high"),
    *("variance", "negative", "n", "classes", "exemplars", "placements", "noises", "backgrounds", "cluster", "reason"),
)
OUTCOMES = {"margin": "margin", "correct": "top1"}
"""What is decomposed, and the column of judged rows that holds it."""
CROSSED = ("foreground", "placement", "noise", "background", "foreground_x_background", "rest")
TWO_WAY = ("set", "background", "rest")


@dataclass(frozen=True)
class Design:
    """The answers of one class.

    Attributes:
        values: e x p x q x b outcomes, without gaps.
        names: e names of what is drawn anew: exemplars, or of sets the exemplars that they show.
    """

    values: np.ndarray
    names: Sequence[str]


def variance_table(judged: pd.DataFrame, bootstrap: Bootstrap) -> pd.DataFrame:
    """Shares of variance, in the long form of ``variance_shares.csv``.

    A data set with placements and noises is decomposed as a crossed design: its components are ``CROSSED``. Any other
    with matched sets is decomposed in two ways (design ``sets``): sets, with which placement, noise and template go,
    backgrounds, and the rest, which holds the interaction of foreground and background together with the generator's
    noise. All are within classes, of which each counts as much as its exemplars (sets) give degrees of freedom.

    A design that allows no estimate is a row without share, with its reason.
    """
    about = {name: judged[name].iloc[0] for name in ("model", "family", "dataset")}
    crossed = bool(((judged["placement"] != "") & (judged["noise"] != "")).any())
    rows: list[dict[str, object]] = []
    for outcome, column in OUTCOMES.items():
        if crossed:
            for shift, part in judged.groupby("shift", sort=True):
                head = about | {"shift": shift, "design": "crossed", "outcome": outcome}
                rows += [head | row for row in shares_of(crossed_designs(part, column), CROSSED, bootstrap)]
        else:
            for block, designs in set_designs(judged, outcome):
                head = about | {"shift": block, "design": "sets", "outcome": outcome}
                rows += [head | row for row in shares_of(designs, TWO_WAY, bootstrap)]
    return pd.DataFrame(rows, columns=list(VARIANCE_COLUMNS))


def crossed_designs(judged: pd.DataFrame, column: str) -> list[Design]:
    """The classes of a crossed data set as arrays: the exemplars that have a picture in every cell.

    Cells are placements x noises x backgrounds of the data set, as far as most exemplars have them; an exemplar that
    lacks one is left out.
    """
    known = judged[np.isfinite(judged[column]) & (judged["exemplar"] != "")]
    levels = [sorted(known[name].unique()) for name in ("placement", "noise", "background")]
    shape = tuple(len(names) for names in levels)
    designs = []
    for _, own in known.groupby("class_id", sort=True):
        cells, names = [], []
        for exemplar, part in own.groupby("exemplar", sort=True):
            keys = ["placement", "noise", "background"]
            if part.duplicated(keys).any() or len(part) != np.prod(shape):
                continue
            values = np.empty(shape)
            where = [np.searchsorted(np.asarray(found), part[key]) for found, key in zip(levels, keys, strict=True)]
            values[tuple(where)] = part[column]
            cells.append(values)
            names.append(str(exemplar))
        if len(cells) > 1:
            designs.append(Design(np.stack(cells), names))
    return designs


def set_designs(judged: pd.DataFrame, outcome: str) -> list[tuple[str, list[Design]]]:
    """For each shift, the complete matched sets of every class as arrays of one placement and one noise."""
    found = []
    for block in (block.complete() for block in matched_blocks(judged)):
        values = block.margin if outcome == "margin" else block.right
        designs = []
        for class_id in np.unique(block.class_ids):
            own = np.flatnonzero((block.class_ids == class_id) & np.isfinite(values).all(axis=1))
            if len(own) > 1:
                designs.append(Design(values[own][:, None, None, :], block.clusters[own].tolist()))
        found.append((block.shift, designs))
    return found


def components(designs: Sequence[Design], weights: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The components ``CROSSED`` of weighted exemplars, over classes.

    A design with a single placement (or noise) tells nothing of its component, which is NaN: it goes to the foreground,
    and what a template does to the background. With a single one of both, the interaction can't be told from the rest.

    Args:
        designs: one per class; all have the same numbers of placements, noises and backgrounds.
        weights: for each, R x e: how often each exemplar is drawn.

    Returns:
        R numbers each. Between classes, what is between exemplars weighs by their number less one, what is within them
        by their number.
    """
    levels = dict(zip("PQB", designs[0].values.shape[1:], strict=True))
    own: dict[str, list[np.ndarray]] = {}
    common: dict[str, list[np.ndarray]] = {}
    between: list[np.ndarray] = []
    sizes, pair_sizes = [], []
    for design, weight in zip(designs, weights, strict=True):
        total = weight.sum(axis=1)
        pairs = total**2 - (weight**2).sum(axis=1)  # ordered pairs of different exemplars
        sizes.append(np.where(total > 0, len(design.values), 0).astype(float))
        pair_sizes.append(np.where(pairs > 0, len(design.values) - 1, 0).astype(float))
        for effect, products in _products(design.values).items():
            alone = np.diag(products)
            own.setdefault(effect, []).append(divided(weight @ alone, total))
            both = ((weight @ products) * weight).sum(axis=1) - weight**2 @ alone
            common.setdefault(effect, []).append(divided(both, pairs))
        means = design.values.mean(axis=(1, 2, 3))
        apart = (means[:, None] - means[None, :]) ** 2 / 2
        between.append(divided(((weight @ apart) * weight).sum(axis=1), pairs))

    def over_classes(parts: Sequence[np.ndarray], shares: Sequence[np.ndarray]) -> np.ndarray:
        return divided(np.nansum(np.stack(parts) * np.stack(shares), axis=0), np.stack(shares).sum(axis=0))

    selves = {effect: over_classes(parts, sizes) for effect, parts in own.items()}
    shared = {effect: over_classes(parts, pair_sizes) for effect, parts in common.items()}
    foreground = over_classes(between, pair_sizes)
    for effect in selves:
        foreground = foreground - (selves[effect] - shared[effect]) / np.prod([levels[name] for name in effect])
    nothing = np.full_like(foreground, np.nan)
    mixed = [values for effect, values in selves.items() if "B" in effect and effect != "B"]
    interaction = selves["B"] - shared["B"]
    return {
        "foreground": foreground,
        "placement": selves.get("P", nothing),
        "noise": selves["Q"] + selves.get("PQ", 0.0) if "Q" in selves else nothing,
        "background": shared["B"],
        "foreground_x_background": interaction if mixed else nothing,
        "rest": np.sum(mixed, axis=0) if mixed else interaction,
    }


def two_way_components(designs: Sequence[Design], weights: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The components ``TWO_WAY``: as of one placement and one noise, with sets in place of exemplars."""
    found = components(designs, weights)
    return {"set": found["foreground"], "background": found["background"], "rest": found["rest"]}


def _products(values: np.ndarray) -> dict[str, np.ndarray]:
    """For every effect within exemplars (P, Q, B, PQ, ...), what each two exemplars say of its component.

    The mean product of the effects of two exemplars, less what effects that contain it add to that: with one and the
    same exemplar, the component's usual estimate from mean squares, sum over C of (-1)^(|C| - |A|) MS_C over the number
    of cells of each level of A, where C runs over A and all effects that contain it.

    Args:
        values: e x p x q x b.

    Returns:
        e x e symmetric matrices; effects of factors with a single level are left out.
    """
    active = {name: axis for axis, name in enumerate("PQB", start=1) if values.shape[axis] > 1}
    cells = np.prod([values.shape[axis] for axis in active.values()])
    squares: dict[str, np.ndarray] = {}
    effects = ["".join(names) for size in range(1, len(active) + 1) for names in combinations(active, size)]
    for effect in effects:
        part = values
        for name, axis in active.items():
            mean = part.mean(axis=axis, keepdims=True)
            part = part - mean if name in effect else mean
        flat = part.reshape(len(values), -1)
        freedom = np.prod([values.shape[active[name]] - 1 for name in effect])
        squares[effect] = flat @ flat.T * (cells / flat.shape[1]) / freedom
    return {
        effect: sum(
            (-1) ** (len(other) - len(effect)) * square
            for other, square in squares.items()
            if set(effect) <= set(other)
        )
        / (cells / np.prod([values.shape[active[name]] for name in effect]))
        for effect in effects
    }


def shares_of(designs: Sequence[Design], names: Sequence[str], bootstrap: Bootstrap) -> list[dict[str, object]]:
    """Rows of all components, each with its share of the sum of those that are known."""
    if not designs:
        reason = "no class has two exemplars (sets) with a picture in every cell"
        return [{"component": name, "reason": reason} for name in names]
    p, q, b = designs[0].values.shape[1:]
    if b < 2:
        return [{"component": name, "reason": "there is a single background"} for name in names]
    strata = [bootstrap.clusters(design.names) for design in designs]

    def spread_out(weights: np.ndarray) -> list[np.ndarray]:
        """Weights of clusters as weights of exemplars (or sets)."""
        found, start = [], 0
        for part in strata:
            found.append(weights[:, start : start + part.groups][:, part.where])
            start += part.groups
        return found

    def variances(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = components if names == CROSSED else two_way_components
        return found(designs, spread_out(weights))

    everything = np.ones((1, sum(part.groups for part in strata)))
    estimates = {name: float(values[0]) for name, values in variances(everything).items()}
    about = {
        "n": sum(design.values.size for design in designs),
        "classes": len(designs),
        "exemplars": sum(part.count for part in strata),
        "placements": p,
        "noises": q,
        "backgrounds": b,
        "cluster": "exemplar within class",
    }
    rows = []
    for name in names:
        if np.isnan(estimates[name]):
            rows.append({"component": name, "reason": "the design has one level of it"} | about)
            continue

        def share(weights: np.ndarray, name: str = name) -> np.ndarray:
            parts = {key: np.maximum(values, 0.0) for key, values in variances(weights).items()}
            total = np.nansum(np.stack(list(parts.values())), axis=0)
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.where(total > 0, parts[name] / total, np.nan)

        interval = bootstrap_interval(share, strata, SHARE)
        rows.append(
            {"component": name, "share": interval.value, "ci_low": interval.low, "ci_high": interval.high}
            | {"variance": estimates[name], "negative": estimates[name] < 0, "reason": ""}
            | about
        )
    return rows
