"""Simulated people who vote: good ones, spammers and adversaries."""

import numpy as np
import pandas as pd

from d3s.annotation.deciding import decide

KINDS = {"good": 0.55, "yes to all": 0.15, "guessing": 0.15, "contrary": 0.15}
"""Shares of people."""


def simulate_votes(images: int, people: int, seed: int) -> tuple[pd.DataFrame, pd.Series]:
    """Five votes for each image, by people of known accuracy: good ones are right 9 times of 10, contrary ones 1.5.

    Returns:
        The votes, and by sample whether the object is there (it is in 7 of 10).
    """
    rng = np.random.default_rng(seed)
    kinds = np.repeat(list(KINDS), [round(share * people) for share in KINDS.values()])
    truth = pd.Series(rng.random(images) < 0.7, index=[f"val-{n:05d}" for n in range(images)])
    rows = []
    for sample, there in truth.items():
        for person in rng.choice(len(kinds), 5, replace=False):
            right = {"good": 0.9, "yes to all": float(there), "guessing": 0.5, "contrary": 0.15}[kinds[person]]
            said = there == (rng.random() < right)
            rows.append((sample, f"w{person:03d}", "yes" if said else "no", "no", None))
    return pd.DataFrame(rows, columns=["sample", "worker", "object", "unsafe", "background"]), truth


def right_decisions(votes: pd.DataFrame, truth: pd.Series, rule: str) -> float:
    """The share of images about which a rule decides rightly."""
    accepted = decide(votes, rule, wanted=5).set_index("sample")["decision"] == "accepted"
    return float((accepted.reindex(truth.index) == truth).mean())
