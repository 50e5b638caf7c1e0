"""How different pictures of one class on one background are: mean perceptual distance of pairs.

The distance is that of Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric" (LPIPS,
2018, equation 1) before its weights are calibrated on people's judgements: activations of several layers are normalised
to unit length over channels, and the squared distances at all places of a layer are averaged, then those of layers. It
lies between 0 and 4, as any squared distance of unit vectors does.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from d3s.identity import digest
from d3s.metrics.estimates import Bootstrap
from d3s.metrics.resampling import bootstrap_interval, divided

Activations = Sequence[np.ndarray]
"""Of one picture: for every layer, channels x height x width."""
DIVERSITY_COLUMNS = (
    *("dataset", "shift", "class_id", "class_name", "background", "value", "ci_low", "ci_high"),
    *("pictures", "pairs", "reason"),
)


def normalised(activations: Activations) -> list[np.ndarray]:
    """Activations of unit length over channels, float32; a place without any stays 0."""
    found = []
    for layer in activations:
        length = np.sqrt((layer.astype(np.float32) ** 2).sum(axis=0, keepdims=True))
        found.append(np.divide(layer, length, out=np.zeros_like(layer, dtype=np.float32), where=length > 1e-10))
    return found


def perceptual_distance(first: Activations, second: Activations) -> float:
    """The distance of two pictures.

    Args:
        first, second: of ``normalised``.

    Raises:
        ValueError: they are of other layers.
    """
    if [layer.shape for layer in first] != [layer.shape for layer in second]:
        raise ValueError("the activations of two pictures differ in shape")
    layers = [((one - other) ** 2).sum(axis=0).mean() for one, other in zip(first, second, strict=True)]
    return float(np.mean(layers))


def choose_pairs(samples: Sequence[str], count: int, seed: int) -> list[tuple[str, str]]:
    """Up to ``count`` pairs of pictures of a cell, those with the smallest hashes.

    A pair's hash depends on its two names alone, so that a new picture changes only the pairs that it wins. With many
    pictures, pairs are of the pictures with the smallest hashes, so that the work does not grow with their square.
    """
    enough = max(2 * count, 2)  # pictures; far more than the count of pairs can be made of them
    names = sorted(samples, key=lambda name: (digest(seed, "diversity picture", name), name))[:enough]
    pairs = list(combinations(sorted(names), 2))
    pairs.sort(key=lambda pair: (digest(seed, "diversity pair", *pair), pair))
    return sorted(pairs[:count])


def cell_diversity(
    pairs: Sequence[tuple[str, str]], distances: Sequence[float], bootstrap: Bootstrap
) -> dict[str, object]:
    """The mean distance of a cell's pairs with its interval, drawing pictures.

    A drawn picture takes its pairs with it: a pair weighs the product of how often its two pictures are drawn, so pairs
    that share a picture are not taken as independent.
    """
    names = sorted({name for pair in pairs for name in pair})
    if not pairs:
        return {"pictures": 0, "pairs": 0, "reason": "fewer than two pictures"}
    drawn = bootstrap.clusters(names)
    place = {name: int(drawn.where[number]) for number, name in enumerate(names)}
    one, other = (np.array([place[pair[side]] for pair in pairs]) for side in (0, 1))
    values = np.asarray(distances, dtype=np.float64)

    def statistic(weights: np.ndarray) -> np.ndarray:
        together = weights[:, one] * weights[:, other]
        return divided(together @ values, together.sum(axis=1))

    interval = bootstrap_interval(statistic, drawn)
    found = {"value": interval.value, "ci_low": interval.low, "ci_high": interval.high}
    return found | {"pictures": len(names), "pairs": len(pairs), "reason": ""}


def diversity_table(
    subjects: pd.DataFrame,
    activations_of: Callable[[Sequence[str]], Mapping[str, Activations]],
    dataset: str,
    count: int,
    bootstrap: Bootstrap,
) -> pd.DataFrame:
    """Diversity of each class on each background, in the long form of ``diversity.csv``.

    Args:
        subjects: sample, class_id, class_name, background, shift of the pictures.
        activations_of: activations of samples, by sample; it may leave out what can't be read. Asked cell by cell, so
            that one cell's activations are held at a time.
        dataset: its name.
        count: pairs per cell.
        bootstrap: how intervals are drawn.
    """
    rows: list[dict[str, object]] = []
    for keys, cell in subjects.groupby(["shift", "class_id", "class_name", "background"], sort=True):
        pairs = choose_pairs(cell["sample"].tolist(), count, bootstrap.seed)
        known = {
            name: normalised(layers)
            for name, layers in activations_of(sorted({name for pair in pairs for name in pair})).items()
        }
        usable = [pair for pair in pairs if pair[0] in known and pair[1] in known]
        distances = [perceptual_distance(known[one], known[other]) for one, other in usable]
        about = dict(zip(("shift", "class_id", "class_name", "background"), keys, strict=True))
        rows.append({"dataset": dataset} | about | cell_diversity(usable, distances, bootstrap))
    return pd.DataFrame(rows, columns=list(DIVERSITY_COLUMNS))
