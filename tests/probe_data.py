"""Val splits of known structure for the tests of probes."""

import numpy as np
import pandas as pd

from d3s.features import Features


def planned(classes: int = 3, exemplars: int = 4, backgrounds: tuple[int, ...] = (3, 2), each: int = 3) -> pd.DataFrame:
    """A val split: every exemplar on every background, on each of its template groups in turn."""
    rows = [
        {
            "sample": f"{klass}-{exemplar}-{place}-{number}",
            "class_id": klass,
            "exemplar": f"e{klass}{exemplar}",
            "split_group": f"g{klass}{exemplar}",
            "background": f"b{place}",
            "template_group": f"b{place}:{(number + exemplar) % groups}",
        }
        for klass in range(classes)
        for exemplar in range(exemplars)
        for place, groups in enumerate(backgrounds)
        for number in range(each)
    ]
    return pd.DataFrame(rows)


def one_hot(values: pd.Series) -> np.ndarray:
    return pd.get_dummies(values).to_numpy(dtype=float)


def noise(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def encoder(objective: str, seed: int, leak: bool) -> Features:
    """An encoder whose background part shows the class only if it leaks."""
    train = planned(exemplars=5).assign(
        split_group=lambda t: "t" + t["split_group"], template_group=lambda t: "t" + t["template_group"]
    )
    rows = {"images_train": train, "images_val": planned(), "guides_val": planned()}
    matrices = {}
    for number, (name, table) in enumerate(rows.items()):
        shown = one_hot(table["class_id"]) if leak else noise(len(table), 3, seed + number)
        matrices[name] = np.hstack([one_hot(table["class_id"]), one_hot(table["background"]), shown])
    return Features(objective, seed, 3, matrices, rows)
