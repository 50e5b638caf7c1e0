"""Tables of trainings and maps of features, for figures and the report."""

from collections.abc import Sequence

import pandas as pd


def training_table() -> pd.DataFrame:
    """Two objectives, two seeds; one has a term of its own."""
    rows = [
        {"objective": objective, "seed": seed, "step": step, "term": term, "value": 1.0 / step}
        for objective, terms in (("erm", []), ("wasserstein", ["foreground_dependency", "inner_loss"]))
        for seed in (0, 1)
        for step in (20, 40)
        for term in ("class_entropy", "background_entropy", "loss", *terms)
    ]
    return pd.DataFrame(rows)


def feature_map_table(
    classes: Sequence[str] = ("bird", "fish"), backgrounds: Sequence[str] = ("grass",)
) -> pd.DataFrame:
    """Four pictures on a map of each part of two objectives."""
    rows = [
        {"objective": objective, "seed": 0, "part": part, "sample": f"s{number}", "class_id": number % len(classes)}
        | {"class_name": classes[number % len(classes)], "background": backgrounds[number % len(backgrounds)]}
        | {"x": number % 2, "y": number // 2}
        for objective in ("erm", "wasserstein")
        for part in ("foreground", "background")
        for number in range(4)
    ]
    return pd.DataFrame(rows)
