"""How alike classifiers answer, and how alike they err."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from d3s.metrics.estimates import FIGURES, Bootstrap, Build, cluster_kind, set_names
from d3s.metrics.resampling import SHARE, Clusters, Statistic, divided, ratio

AGREEMENT_COLUMNS = ("dataset", "first", "second", "metric", *FIGURES)
KAPPA = (-1.0, 1.0)


PICTURE_COLUMNS = ("sample", "cluster", "split_group", "exemplar", "matched_set")
ANSWER_COLUMNS = ("sample", "predicted", "top1")
"""Of judged rows, what is kept of a data set's pictures, and of each classifier's answers."""


def agreement_table(
    answers: Mapping[str, pd.DataFrame], pictures: pd.DataFrame, dataset: str, bootstrap: Bootstrap
) -> pd.DataFrame:
    """Agreement of every two classifiers on the pictures that both were judged on.

    Args:
        answers: by classifier, ``ANSWER_COLUMNS`` of its judged rows.
        pictures: ``PICTURE_COLUMNS`` of all of them.
        dataset: its name.
        bootstrap: how intervals are drawn.

    Yields:
        same_prediction: share of pictures whose predicted super-classes are equal.
        kappa: Cohen's (1960): that share beyond what two classifiers with these frequencies of answers reach by chance.
        both_wrong: share of pictures on which both err.
        same_error: of those, the share on which they give the same wrong answer; n is their number.
        error_consistency: Cohen's kappa of being right (Geirhos et al., "Beyond accuracy", 2020).
    """
    rows: list[dict[str, object]] = []
    for first, second in combinations(sorted(answers), 2):
        both = answers[first].merge(answers[second], on="sample", suffixes=("", "_other"), validate="one_to_one")
        both = both.merge(pictures, on="sample", validate="one_to_one")
        if not len(both):
            continue
        about = {"dataset": dataset, "first": first, "second": second}
        one, other = both["predicted"].to_numpy(), both["predicted_other"].to_numpy()
        right, right_other = both["top1"].to_numpy(), both["top1_other"].to_numpy()
        clusters, sets, kind = both["cluster"], set_names(both), cluster_kind(both)
        wrong = (right == 0) & (right_other == 0)
        same = bootstrap.mean(one == other, clusters, sets, kind)
        both_wrong = bootstrap.mean(wrong, clusters, sets, kind)
        rows += [about | {"metric": "same_prediction"} | same, about | {"metric": "both_wrong"} | both_wrong]
        for metric, pair in (("kappa", (one, other)), ("error_consistency", (right, right_other))):
            found = bootstrap.estimate(_kappa(*pair), clusters, sets, None, KAPPA, kind)
            rows.append(about | {"metric": metric} | found)
        if wrong.any():

            def build(drawn: Clusters, wrong: np.ndarray = wrong, same: np.ndarray = one == other) -> Statistic:
                return ratio(drawn.sums(wrong & same), drawn.sums(wrong))

            found = bootstrap.estimate(build, clusters, sets, int(wrong.sum()), SHARE, kind)
            rows.append(about | {"metric": "same_error"} | found)
    return pd.DataFrame(rows, columns=list(AGREEMENT_COLUMNS))


def _kappa(first: np.ndarray, second: np.ndarray) -> Build:
    answers = np.unique(np.concatenate([first, second]))
    ours, theirs = np.searchsorted(answers, first), np.searchsorted(answers, second)

    def build(drawn: Clusters) -> Statistic:
        sizes, same = drawn.sizes(), drawn.sums(first == second)
        sums = drawn.counts(ours, len(answers)), drawn.counts(theirs, len(answers))

        def statistic(weights: np.ndarray) -> np.ndarray:
            total = weights @ sizes
            seen = divided(weights @ same, total)
            chance = divided(((weights @ sums[0]) * (weights @ sums[1])).sum(axis=1), total**2)
            return divided(seen - chance, 1 - chance)

        return statistic

    return build
