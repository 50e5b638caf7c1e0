"""Maps: neighbours stay neighbours, equal input gives equal maps, and few pictures are no accident."""

import numpy as np
import pandas as pd

from d3s.feature_map import COLUMNS, feature_maps, flat_map
from d3s.features import Features


def groups(size: int, seed: int = 0) -> np.ndarray:
    """Three groups of points in 20 dimensions, far apart."""
    draws = np.random.default_rng(seed)
    return np.concatenate([draws.normal(10 * place, 1, (size, 20)) for place in range(3)])


def features(objective: str, seed: int, size: int = 10) -> Features:
    """Features whose foreground part is in groups and whose background part is noise."""
    own = groups(size)
    noise = np.random.default_rng(1).normal(size=(len(own), 8))
    rows = pd.DataFrame({"sample": [f"s{place:03d}" for place in range(len(own))]})
    rows["class_id"] = np.repeat([0, 1, 2], size)
    rows = rows.assign(class_name="class" + rows["class_id"].astype(str), background="grass")
    return Features(objective, seed, 20, {"images_val": np.concatenate([own, noise], axis=1)}, {"images_val": rows})


def nearest_are_alike(places: np.ndarray, labels: np.ndarray) -> float:
    """Share of points whose nearest neighbour has the same label."""
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return float((labels[distances.argmin(axis=1)] == labels).mean())


def test_neighbours_stay_neighbours() -> None:
    places = flat_map(groups(20), seed=3)
    assert places.shape == (60, 2)
    assert nearest_are_alike(places, np.repeat([0, 1, 2], 20)) == 1.0
    assert abs(places.mean(axis=0)).max() < 1e-6
    assert places[:, 0].std() >= places[:, 1].std()


def test_equal_input_gives_equal_maps() -> None:
    assert np.array_equal(flat_map(groups(8), seed=3), flat_map(groups(8), seed=3))


def test_few_pictures_lie_in_a_row() -> None:
    assert flat_map(np.ones((3, 5)), seed=0).tolist() == [[0, 0], [1, 0], [2, 0]]


def test_constant_features_are_no_accident() -> None:
    assert np.isfinite(flat_map(np.ones((12, 5)), seed=0)).all()


def test_a_map_of_each_part_and_of_the_first_seed() -> None:
    table = feature_maps([features("hsic", 1), features("erm", 0), features("hsic", 0)], seed=5)
    assert list(table.columns) == list(COLUMNS)
    assert table.groupby(["objective", "seed", "part"]).size().to_dict() == {
        (objective, 0, part): 30 for objective in ("erm", "hsic") for part in ("background", "foreground")
    }


def test_too_many_pictures_are_thinned_out_the_same_way_for_all() -> None:
    from d3s.feature_map import map_parts

    thin = [map_parts(features(objective, 0), seed=5, most=12) for objective in ("erm", "hsic")]
    assert [len(table) for table in thin] == [24, 24]
    assert thin[0]["sample"].tolist() == thin[1]["sample"].tolist()
