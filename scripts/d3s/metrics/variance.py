"""How much of a classifier's variation is the foreground's, the background's, the noise's: variance components.

Balanced random-effects analysis of variance within classes (Searle, Casella and McCulloch, "Variance components", 1992,
chapter 4): exemplars e, placements p in exemplars, noises q in those, backgrounds b crossed with all of them:

    y = class + e + p(e) + q(e, p) + b + e x b + p x b + q x b

Placements and noises count as nested, because a place or a noise does to another foreground what another one would; if
their effects were shared between exemplars, they would be part of p and q all the same. Components follow from expected
mean squares; a negative one is set to 0 before shares are taken, and its estimate is in the table. For intervals,
exemplars are drawn anew within classes; mean squares between exemplars are then means over pairs of two different ones,
since an exemplar drawn twice is no evidence that exemplars are alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from d3s.metrics.blocks import matched_blocks
from d3s.metrics.estimates import Bootstrap
from d3s.metrics.resampling import SHARE, bootstrap_interval

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
                rows += [head | row for row in _shares(crossed_designs(part, column), crossed_components, bootstrap)]
        else:
            for block, designs in set_designs(judged, outcome):
                head = about | {"shift": block, "design": "sets", "outcome": outcome}
                rows += [head | row for row in _shares(designs, two_way_components, bootstrap)]
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


Components = Callable[[dict[str, np.ndarray], tuple[int, int, int]], dict[str, np.ndarray]]
"""Mean squares and the numbers of placements, noises and backgrounds to components, each an array over resamples."""


def crossed_components(squares: dict[str, np.ndarray], levels: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """The components ``CROSSED`` from expected mean squares.

    With one placement, or one noise, its component can't be told from the foreground's, or from the placement's: it is
    NaN there. With one of both, the interaction can't be told from the rest.
    """
    p, q, b = levels
    nothing = np.full_like(squares["background"], np.nan)
    within = squares["exemplar_background"]  # of means over p x q cells
    if p > 1 and q > 1:
        rest = squares["noise_background"]
        placement_background = (squares["placement_background"] - rest) / q
        noise = (squares["noise"] - rest) / b
        placement = (squares["placement"] - squares["noise"] - squares["placement_background"] + rest) / (b * q)
        interaction = within - squares["placement_background"] / (p * q)
        of_cells = squares["placement"] / (b * p * q)
        rest = rest + placement_background
    elif p > 1 or q > 1:
        # One level of repetition: placements with a noise each, or noises at one place.
        rest, many = squares["placement_background" if p > 1 else "noise_background"], max(p, q)
        repeated = squares["placement" if p > 1 else "noise"]
        found = (repeated - rest) / b
        placement, noise = (found, nothing) if p > 1 else (nothing, found)
        interaction = within - rest / many
        of_cells = repeated / (b * many)
    else:
        placement = noise = interaction = nothing
        foreground = squares["exemplar"] - within / b
        parts = (foreground, placement, noise, squares["background"], interaction, within)
        return dict(zip(CROSSED, parts, strict=True))
    foreground = squares["exemplar"] - interaction / b - of_cells
    parts = (foreground, placement, noise, squares["background"], interaction, rest)
    return dict(zip(CROSSED, parts, strict=True))


def two_way_components(squares: dict[str, np.ndarray], levels: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """The components ``TWO_WAY``: as of one placement and one noise, with sets in place of exemplars."""
    found = crossed_components(squares, levels)
    return {"set": found["foreground"], "background": found["background"], "rest": found["rest"]}


def mean_squares(designs: Sequence[Design], weights: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Mean squares of weighted exemplars, over classes.

    Args:
        designs: one per class.
        weights: for each, R x e: how often each exemplar is drawn.

    Returns:
        R numbers each (b backgrounds, p placements, q noises per exemplar):

        - ``exemplar``: variance between the means of exemplars;
        - ``background``: the covariance of two exemplars' profiles over backgrounds, which is the component itself;
        - ``exemplar_background``: the variance of an exemplar's profile beyond that;
        - ``placement``, ``placement_background``, ``noise``, ``noise_background``: the mean squares of the usual table,
          within exemplars; NaN where there is one level.
    """
    pairwise: dict[str, list[np.ndarray]] = {"exemplar": [], "background": [], "exemplar_background": []}
    single: dict[str, list[np.ndarray]] = {}
    pair_shares, shares = [], []
    for design, weight in zip(designs, weights, strict=True):
        exemplars = len(design.values)
        profiles = design.values.mean(axis=(1, 2))
        means = profiles.mean(axis=1)
        centred = profiles - means[:, None]
        products = centred @ centred.T / (profiles.shape[1] - 1)
        total = weight.sum(axis=1)
        pairs = total**2 - (weight**2).sum(axis=1)  # ordered pairs of different exemplars
        with np.errstate(invalid="ignore", divide="ignore"):
            covariance = (((weight @ products) * weight).sum(axis=1) - weight**2 @ np.diag(products)) / pairs
            apart = (means[:, None] - means[None, :]) ** 2 / 2
            between = ((weight @ apart) * weight).sum(axis=1) / pairs
            own = weight @ np.diag(products) / total
        known = pairs > 0
        pair_shares.append(np.where(known, exemplars - 1, 0).astype(float))
        for name, values in (
            ("exemplar", between),
            ("background", covariance),
            ("exemplar_background", own - covariance),
        ):
            pairwise[name].append(np.where(known, values, 0.0))
        inside = _inside(design.values)
        with np.errstate(invalid="ignore", divide="ignore"):
            for name, values in inside.items():
                single.setdefault(name, []).append(np.where(total > 0, weight @ values / total, 0.0))
        shares.append(np.where(total > 0, exemplars, 0).astype(float))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            name: (np.stack(parts) * np.stack(pair_shares)).sum(axis=0) / np.stack(pair_shares).sum(axis=0)
            for name, parts in pairwise.items()
        }
        found |= {
            name: (np.stack(parts) * np.stack(shares)).sum(axis=0) / np.stack(shares).sum(axis=0)
            for name, parts in single.items()
        }
    return found


def _inside(values: np.ndarray) -> dict[str, np.ndarray]:
    """Mean squares within each of e exemplars of e x p x q x b values; NaN where there are no degrees of freedom."""
    _, p, q, b = values.shape
    by_background = values.mean(axis=(1, 2), keepdims=True)
    of_places = values.mean(axis=2, keepdims=True)  # e x p x 1 x b
    places, exemplars = of_places.mean(axis=3, keepdims=True), by_background.mean(axis=3, keepdims=True)
    cells = values.mean(axis=3, keepdims=True)  # e x p x q x 1

    def square(deviation: np.ndarray, repeats: int, freedom: int) -> np.ndarray:
        total = repeats * (deviation**2).sum(axis=(1, 2, 3))
        return total / freedom if freedom else np.full(len(values), np.nan)

    return {
        "placement": square(places - exemplars, q * b, p - 1),
        "placement_background": square(of_places - places - by_background + exemplars, q, (p - 1) * (b - 1)),
        "noise": square(cells - places, b, p * (q - 1)),
        "noise_background": square(values - cells - of_places + places, 1, p * (q - 1) * (b - 1)),
    }


def _shares(designs: Sequence[Design], components: Components, bootstrap: Bootstrap) -> list[dict[str, object]]:
    """Rows of all components, each with its share of the sum of those that are known."""
    names = CROSSED if components is crossed_components else TWO_WAY
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
        return components(mean_squares(designs, spread_out(weights)), (p, q, b))

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
