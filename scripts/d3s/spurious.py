"""Spurious correlation (paper, section 5): D3S-cor shows each class on one background only; D3S-anticorr breaks that.

A classifier trained on D3S-cor may lean on either; D3S-anticorr tells which.
"""

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from d3s.errors import D3SError
from d3s.features import PARTS, TARGETS, Features
from d3s.identity import digest
from d3s.probes import Probe, ProbeSettings

KEY = ["objective", "seed", "features", "trained_on", "tested_on", "target", "metric"]
COLUMNS = [*KEY, "value", "n"]


def pair_classes(classes: list[int], backgrounds: list[str], seed: int) -> dict[int, str]:
    """Give every class one background, one to one as long as backgrounds last; then they are dealt out anew.

    Classes and backgrounds are each put in an order that is hashed from the seed, and paired in that order.

    Raises:
        D3SError: there are fewer than two backgrounds, so that no pairing could be broken.
    """
    if len(backgrounds) < 2:
        raise D3SError("a spurious correlation needs at least two backgrounds", "add a background to its table")
    shuffled = sorted(backgrounds, key=lambda name: (digest(seed, "spurious.background", name), name))
    order = sorted(classes, key=lambda number: (digest(seed, "spurious.class", number), number))
    return {number: shuffled[place % len(shuffled)] for place, number in enumerate(order)}


def select(rows: pd.DataFrame, pairing: dict[int, str], name: str) -> np.ndarray:
    """Row numbers of ``cor`` (every class on its own background) or ``anticorr`` (every class on any other).

    Backgrounds that no class is paired with are left out of both: a classifier trained on D3S-cor never saw them.
    """
    used = set(pairing.values())
    own = rows["class_id"].map(pairing).to_numpy() == rows["background"].to_numpy()
    wanted = own if name == "cor" else ~own
    return np.flatnonzero(wanted & rows["background"].isin(used).to_numpy())


@threadpool_limits.wrap(limits=1)  # as in probes
def spurious_rows(features: Features, settings: ProbeSettings, pairing_seed: int) -> list[dict[str, object]]:
    """Train linear classifiers of class and background on D3S-cor of train; test them on both sets of val.

    Args:
        features: of one encoder.
        settings: of the classifiers, which are probes.
        pairing_seed: which class goes with which background.

    Returns:
        Rows of ``spurious.csv``.

    Raises:
        D3SError: a set is empty.
    """
    train, val = features.rows["images_train"], features.rows["images_val"]
    classes = sorted(int(number) for number in train["class_id"].unique())
    pairing = pair_classes(classes, sorted(train["background"].unique()), pairing_seed)
    fit = select(train, pairing, "cor")
    tests = {name: select(val, pairing, name) for name in ("cor", "anticorr")}
    for name, chosen in {"cor of train": fit, **tests}.items():
        if not len(chosen):
            raise D3SError(f"D3S-{name} has no images", "make more images, or loosen the screen")
    rows: list[dict[str, object]] = []
    for part in PARTS:
        probe = Probe(features.part("images_train", part)[fit], settings)
        placed = {name: probe.place(features.part("images_val", part)[chosen]) for name, chosen in tests.items()}
        for target in TARGETS:
            labels, truth = features.labels("images_train", target)[fit], features.labels("images_val", target)
            for name, chosen in tests.items():
                correct = probe.predictions(labels, placed[name]) == truth[chosen]
                rows.append(
                    {"objective": features.objective, "seed": str(features.seed), "features": part}
                    | {"trained_on": "cor", "tested_on": name, "target": target}
                    | {"metric": "top1", "value": float(np.mean(correct)), "n": len(chosen)}
                )
    return rows


def spurious_table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """``spurious.csv``: the rows of all encoders and, per objective, their mean over seeds (seed ``mean``)."""
    table = pd.DataFrame(rows, columns=COLUMNS)
    keys = [name for name in KEY if name != "seed"]
    mean = table.groupby(keys, as_index=False).agg(value=("value", "mean"), n=("n", "first")).assign(seed="mean")
    return pd.concat([table, mean[COLUMNS]]).sort_values(KEY, ignore_index=True)
