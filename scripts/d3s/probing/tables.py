"""The tables of probes, from the outcomes of all encoders: scores, and differences between objectives."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from d3s.metrics.resampling import DIFFERENCE, SHARE, Interval
from d3s.metrics.two_way import POSITIVE, TwoWay
from d3s.probing.encoder_probes import Key, Outcome

log = logging.getLogger(__name__)
KEY = ["objective", "seed", "features", "target", "probe", "fitted_on", "evaluated_on", "metric"]
COLUMNS = [*KEY, "value", "ci_low", "ci_high", "chance", "n", "clusters"]
PAIRED_KEY = ["objective", "baseline", *(name for name in KEY if name not in ("objective", "seed"))]
PAIRED_COLUMNS = [*PAIRED_KEY, "difference", "ci_low", "ci_high", "n", "clusters", "seeds"]
BASELINES = ("erm", "wasserstein")
"""What every other objective is compared with: plain training, and the paper's penalty."""
METRICS = ("top1", "control", "selectivity", "v_information", "mdl", "compression")
BOUNDS = {"top1": SHARE, "control": SHARE, "selectivity": DIFFERENCE, "mdl": POSITIVE, "compression": POSITIVE}

Outcomes = dict[tuple[str, int], dict[Key, Outcome]]
"""Outcomes of every encoder, by (objective, seed)."""


def two_way(rows: pd.DataFrame, known: np.ndarray) -> TwoWay:
    """Clusters of the rows that are known: split groups (exemplars with their near-duplicates) and template groups."""
    own = rows[known]
    return TwoWay(own["split_group"], own["template_group"])


def over_seeds(runs: Sequence[dict[Key, Outcome]], key: Key) -> Outcome:
    """Means per picture over encoders, so that an interval over exemplars and panoramas speaks of their mean."""
    names = runs[0][key].metrics
    return Outcome(
        {name: np.mean([run[key].metrics[name] for run in runs], axis=0) for name in names}, runs[0][key].labels
    )


def objectives_of(outcomes: Outcomes) -> dict[str, list[int]]:
    """The seeds of each objective, in order."""
    return {
        name: sorted(seed for own, seed in outcomes if own == name) for name in sorted({name for name, _ in outcomes})
    }


def score_table(outcomes: Outcomes, rows: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """``probes.csv``: a row per encoder, probe and metric, and a row ``mean`` per objective over its seeds.

    Args:
        outcomes: of every encoder.
        rows: by ``images`` and ``guides``, the rows of val that the outcomes stand for.
    """
    made = []
    for objective, seeds in objectives_of(outcomes).items():
        runs = {str(seed): outcomes[objective, seed] for seed in seeds}
        for key in runs[str(seeds[0])]:
            whole = {seed: run[key] for seed, run in runs.items()} | {"mean": over_seeds(list(runs.values()), key)}
            clusters: dict[bytes, TwoWay] = {}
            for seed, outcome in whole.items():
                for metric in METRICS:
                    values = outcome.metrics.get("mdl" if metric == "compression" else metric)
                    if values is None:
                        continue
                    known = np.isfinite(values)
                    if not known.any():
                        continue
                    drawn = clusters.get(known.tobytes())
                    if drawn is None:
                        drawn = clusters[known.tobytes()] = two_way(rows[key.evaluated_on], known)
                    found = _interval(drawn, values[known], metric, outcome.labels)
                    chance = float(np.nanmean(outcome.metrics["chance"])) if metric == "top1" else float("nan")
                    made.append(
                        {"objective": objective, "seed": seed, **key._asdict(), "metric": metric}
                        | {"value": found.value, "ci_low": found.low, "ci_high": found.high, "chance": chance}
                        | {"n": int(known.sum()), "clusters": drawn.clusters}
                    )
    return pd.DataFrame(made, columns=COLUMNS).sort_values(KEY, ignore_index=True)


def _interval(drawn: TwoWay, values: np.ndarray, metric: str, labels: int) -> Interval:
    found = drawn.mean(values, BOUNDS.get(metric))
    if metric != "compression":
        return found
    # The codelength of telling nothing over that of the code: falls as the latter rises, so the ends change places.
    uniform = np.log2(labels)
    return Interval(*(float(uniform / end) for end in (found.value, found.high, found.low)))


def paired_table(outcomes: Outcomes, rows: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """``probes_paired.csv``: each objective against plain training and against the paper's, picture by picture.

    Values are averaged over the seeds that both have before exemplars and panoramas are drawn.
    """
    made = []
    seeds_of = objectives_of(outcomes)
    for baseline in BASELINES:
        for objective, seeds in seeds_of.items():
            if objective == baseline or (objective == BASELINES[0] and baseline in BASELINES[1:]):
                continue
            shared = [seed for seed in seeds if seed in seeds_of.get(baseline, [])]
            if not shared:
                if baseline in seeds_of:
                    log.warning("no seed of %s has a run of %s to be compared with", objective, baseline)
                continue
            runs, against = ([outcomes[name, seed] for seed in shared] for name in (objective, baseline))
            for key in runs[0]:
                own, base = over_seeds(runs, key), over_seeds(against, key)
                for metric in ("top1", "v_information", "mdl"):
                    if metric not in own.metrics:
                        continue
                    difference = own.metrics[metric] - base.metrics[metric]
                    known = np.isfinite(difference)
                    if not known.any():
                        continue
                    drawn = two_way(rows[key.evaluated_on], known)
                    found = drawn.mean(difference[known], DIFFERENCE if metric == "top1" else None)
                    made.append(
                        {"objective": objective, "baseline": baseline, **key._asdict(), "metric": metric}
                        | {"difference": found.value, "ci_low": found.low, "ci_high": found.high}
                        | {"n": int(known.sum()), "clusters": drawn.clusters, "seeds": len(shared)}
                    )
    return pd.DataFrame(made, columns=PAIRED_COLUMNS).sort_values(PAIRED_KEY, ignore_index=True)
