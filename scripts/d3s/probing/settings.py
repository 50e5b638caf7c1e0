"""How probes are fitted and judged."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ProbeSettings:
    """How probes are fitted and judged.

    Attributes:
        probes: modules of ``d3s.probing.families``.
        folds: at most so many folds of split groups.
        template_folds: at most so many folds of template groups; every pair of the two is one fit.
        repeats: how often all of it is done with other folds, initialisations and orders; values are means over them.
        permutations: refits per fold with labels permuted between whole groups, whose mean score is the chance level.
        controls: control tasks per repeat.
        seed: root of folds, permutations and initialisations.
    """

    probes: tuple[str, ...] = ("linear", "mlp", "knn")
    folds: int = 5
    template_folds: int = 3
    repeats: int = 1
    permutations: int = 3
    controls: int = 1
    seed: int = 0
