"""Do encoders keep foreground and background apart? Leakage against chance, and usefulness against plain training.

A goal ``holds`` if the interval lies on its right side (``yes``), is missed if it lies on the other (``no``), and is
``unresolved`` if the goal is inside it.
"""

import numpy as np
import pandas as pd

from d3s.metrics.resampling import SHARE
from d3s.metrics.two_way import POSITIVE
from d3s.probing.encoder_probes import Key
from d3s.probing.tables import Outcomes, objectives_of, over_seeds, two_way

MARGINS = {"linear": 0.05, "mlp": 0.15}
"""How far above chance the upper end of an interval of leakage may lie."""
KEPT = 0.95
"""Share of plain training's accuracy, from all features, that the wanted part must keep."""
BASELINE = "erm"
LEAKAGE_COLUMNS = [
    *("objective", "part", "target", "probe", "fitted_on", "dataset", "value", "ci_low", "ci_high"),
    *("chance", "upper_minus_chance", "goal", "holds", "n", "clusters", "seeds"),
]
USEFULNESS_COLUMNS = [
    *("objective", "part", "target", "probe", "fitted_on", "dataset", "value", "ci_low", "ci_high"),
    *("goal", "holds", "n", "clusters", "seeds"),
]


def verdict(low: float, high: float, goal: float, below: bool) -> str:
    """Whether a figure whose interval is given lies below (or not below) a goal."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "unresolved"
    if below:
        return "yes" if high <= goal else "no" if low > goal else "unresolved"
    return "yes" if low >= goal else "no" if high < goal else "unresolved"


def leakage_table(outcomes: Outcomes, rows: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """``leakage.csv``: what each part tells of the factor that it should not know, mean over seeds.

    Args:
        outcomes, rows: as ``tables.score_table``.
    """
    made = []
    for objective, seeds in objectives_of(outcomes).items():
        runs = [outcomes[objective, seed] for seed in seeds]
        for key in runs[0]:
            if key.features in (key.target, "all") or key.probe not in MARGINS:
                continue
            outcome = over_seeds(runs, key)
            known = np.isfinite(outcome.metrics["top1"])
            drawn = two_way(rows[key.evaluated_on], known)
            found = drawn.mean(outcome.metrics["top1"][known], SHARE)
            chance, margin = float(np.nanmean(outcome.metrics["chance"])), MARGINS[key.probe]
            made.append(
                _names(objective, key)
                | {"value": found.value, "ci_low": found.low, "ci_high": found.high, "chance": chance}
                | {"upper_minus_chance": found.high - chance, "goal": margin}
                | {"holds": verdict(found.low - chance, found.high - chance, margin, below=True)}
                | {"n": int(known.sum()), "clusters": drawn.clusters, "seeds": len(seeds)}
            )
    return _sorted(made, LEAKAGE_COLUMNS)


def usefulness_table(outcomes: Outcomes, rows: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """``usefulness.csv``: accuracy on the wanted factor as a share of plain training's on all of its features.

    Both means are over the seeds that both have, and the pictures that both were tried on. Empty without plain
    training.
    """
    made = []
    seeds_of = objectives_of(outcomes)
    for objective, own_seeds in seeds_of.items():
        seeds = [seed for seed in own_seeds if seed in seeds_of.get(BASELINE, [])]
        if not seeds:
            continue
        runs, against = ([outcomes[name, seed] for seed in seeds] for name in (objective, BASELINE))
        for key in runs[0]:
            if key.features != key.target:
                continue
            above = over_seeds(runs, key).metrics["top1"]
            below = over_seeds(against, key._replace(features="all")).metrics["top1"]
            known = np.isfinite(above) & np.isfinite(below)
            drawn = two_way(rows[key.evaluated_on], known)
            found = drawn.ratio(above[known], below[known], POSITIVE)
            made.append(
                _names(objective, key)
                | {"value": found.value, "ci_low": found.low, "ci_high": found.high, "goal": KEPT}
                | {"holds": verdict(found.low, found.high, KEPT, below=False)}
                | {"n": int(known.sum()), "clusters": drawn.clusters, "seeds": len(seeds)}
            )
    return _sorted(made, USEFULNESS_COLUMNS)


def _names(objective: str, key: Key) -> dict[str, object]:
    return {
        "objective": objective,
        "part": key.features,
        "target": key.target,
        "probe": key.probe,
        "fitted_on": key.fitted_on,
        "dataset": key.evaluated_on,
    }


def _sorted(made: list[dict[str, object]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(made, columns=columns).sort_values(columns[:6], ignore_index=True)
