"""Group data with known answers: features that show the class, the background, or both."""

import numpy as np
import pandas as pd

BACKGROUNDS = ["cave", "grass", "road", "water"]
CLASSES = ["0", "1", "2"]


def group_rows(each: int = 8, tests: int = 4, exemplars: int = 4) -> pd.DataFrame:
    """Group data of every class on every background, with several exemplars and two panoramas."""
    made = [
        {"sample": f"{split}-{label}-{place}-{number}", "class": label, "background": place, "split": split}
        | {"split_group": f"{split}-{label}-{number % exemplars}", "template_group": f"{split}-{place}-{number % 2}"}
        | {"accepted": True}
        for split, count in (("train", each), ("test", tests))
        for label in CLASSES
        for place in BACKGROUNDS
        for number in range(count)
    ]
    return pd.DataFrame(made).sort_values("sample", ignore_index=True)


def shown(rows: pd.DataFrame, klass: float, background: float, noise: float = 0.3, seed: int = 0) -> np.ndarray:
    """Features: the class and the background as directions of given strength, in noise."""
    rng = np.random.default_rng(seed)
    parts = [
        strength * (rows[column].to_numpy(dtype=str)[:, None] == np.array(names)[None, :])
        for column, names, strength in (("class", CLASSES, klass), ("background", BACKGROUNDS, background))
    ]
    return np.hstack([*parts, np.zeros((len(rows), 3))]) + noise * rng.normal(size=(len(rows), 10))
