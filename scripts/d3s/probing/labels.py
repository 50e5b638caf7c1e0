"""Labels that carry nothing: permuted between whole groups, for the chance level and for control tasks.

The class is constant in an exemplar, the background in a block of a panorama. Pictures of one group are alike, so a
probe that was fitted to labels shuffled between pictures would see contradictions inside each group, fall back to the
mean, and score otherwise than one that is fitted to real labels and led astray by groups. Whole groups change their
labels instead. How many groups a label has stays as it is, and with it what cross-fitting does to chance: the label
of the groups that are held out is the rarest among those that are left, which puts chance below one over the number of
labels.
"""

import numpy as np

from d3s.identity import seed as hashed_seed

GROUPS = {"foreground": "split_group", "background": "template_group"}
"""The column inside whose groups a target is constant."""


def permuted(labels: np.ndarray, groups: np.ndarray, seed: int, purpose: str, *identity: object) -> np.ndarray:
    """The labels of groups, given to the same groups anew.

    Args:
        labels: N whole numbers.
        groups: N names; if a label is not constant in a group, that of its first row stands for it.
        seed, purpose, identity: what the permutation is hashed from.

    Returns:
        N labels, constant in each group.
    """
    _, first, where = np.unique(groups, return_index=True, return_inverse=True)
    rng = np.random.default_rng(hashed_seed(seed, purpose, *identity))
    return np.asarray(labels[first][rng.permutation(len(first))][where])
