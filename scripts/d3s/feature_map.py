"""A map of features in two dimensions, for the eye: pictures that a part takes for alike lie close together.

t-SNE (van der Maaten and Hinton 2008) keeps neighbourhoods and nothing else: distances between groups and their sizes
mean nothing, and what can be told from features is what probes say, not what a map shows.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from d3s.features import Features
from d3s.identity import digest
from d3s.identity import seed as hashed_seed

MOST_PICTURES = 1500
"""More than these are thinned out by hashes: a map with more points is no clearer."""
COMPONENTS, NEIGHBOURS = 50, 30
"""Principal components that neighbourhoods are looked for in, and t-SNE's perplexity, as is usual."""
PARTS = ("foreground", "background")
COLUMNS = ("objective", "seed", "part", "sample", "class_id", "class_name", "background", "x", "y")


def map_parts(features: Features, seed: int, most: int = MOST_PICTURES) -> pd.DataFrame:
    """Places of the val images on a map of each part.

    Args:
        features: of one encoder.
        seed: root of what is random: which pictures are shown, and t-SNE's draws.
        most: pictures to show.

    Returns:
        A row for each part and picture, in the order of samples; ``x`` and ``y`` have mean 0 and spread 1 along the
        longer side.
    """
    rows = features.rows["images_val"]
    order = sorted(range(len(rows)), key=lambda place: digest(seed, "feature_map", rows["sample"].iloc[place]))
    shown = np.sort(np.asarray(order[:most], dtype=int))
    tables = []
    for part in PARTS:
        places = flat_map(features.part("images_val", part)[shown], hashed_seed(seed, "feature_map", part))
        own = rows.iloc[shown][["sample", "class_id", "class_name", "background"]].reset_index(drop=True)
        about = {"objective": features.objective, "seed": features.seed, "part": part}
        tables.append(own.assign(**about, x=places[:, 0], y=places[:, 1]))
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


@threadpool_limits.wrap(limits=1)  # the last bits must not depend on the machine's cores
def flat_map(features: np.ndarray, seed: int) -> np.ndarray:
    """N x D features to N x 2 places, in a row where there is nothing to map: few pictures, or equal features."""
    spread = features.std(axis=0)
    if len(features) < 4 or not (spread > 0).any():
        return np.stack([np.arange(len(features), dtype=float), np.zeros(len(features))], axis=1)
    standard = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    components = min(COMPONENTS, len(features) - 1, features.shape[1])
    reduced = PCA(components, svd_solver="full").fit_transform(standard)
    start = np.zeros((len(features), 2), dtype=np.float32)
    start[:, : reduced.shape[1]] = reduced[:, :2] / reduced[:, 0].std() * 1e-4
    perplexity = min(NEIGHBOURS, (len(features) - 1) / 3)
    made = TSNE(2, perplexity=perplexity, init=start, random_state=seed % 2**32, n_jobs=1).fit_transform(reduced)
    return _upright(made.astype(np.float64))


def _upright(places: np.ndarray) -> np.ndarray:
    """The same map with its longest extent along x and most pictures left and below of the middle of its range."""
    centred = places - places.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    turned = centred @ axes.T
    turned *= np.where((turned**3).sum(axis=0) < 0, -1.0, 1.0)
    longest = turned[:, 0].std()
    return turned / longest if longest > 0 else turned


def feature_maps(encoders: Sequence[Features], seed: int) -> pd.DataFrame:
    """``feature_map.csv``: the maps of the first seed of each objective."""
    firsts: dict[str, Features] = {}
    for features in sorted(encoders, key=lambda found: (found.objective, found.seed)):
        firsts.setdefault(features.objective, features)
    return pd.concat([map_parts(features, seed) for features in firsts.values()], ignore_index=True)
