import numpy as np
import pandas as pd
import pytest

from d3s.metrics.diversity import cell_diversity, choose_pairs, diversity_table, normalised, perceptual_distance
from d3s.metrics.estimates import Bootstrap

BOOTSTRAP = Bootstrap(seed=0, resamples=300)


def test_the_distance_by_hand() -> None:
    """One layer of 2 channels and 1 x 2 places: a right angle (squared distance 2) and the same direction (0)."""
    first = normalised([np.array([[[3.0, 1.0]], [[0.0, 0.0]]])])
    second = normalised([np.array([[[0.0, 7.0]], [[5.0, 0.0]]])])
    assert perceptual_distance(first, second) == pytest.approx(1.0)
    assert perceptual_distance(first, first) == 0


def test_layers_weigh_alike_whatever_their_size() -> None:
    rng = np.random.default_rng(0)
    layers = [(rng.normal(size=(4, 8, 8)), rng.normal(size=(4, 8, 8))), (rng.normal(size=(16, 2, 2)),) * 2]
    first, second = (normalised([layer[side] for layer in layers]) for side in (0, 1))
    assert perceptual_distance(first, second) == pytest.approx(perceptual_distance(first[:1], second[:1]) / 2)


def test_the_distance_is_that_of_torch() -> None:
    import torch
    import torch.nn.functional as F

    one, other = torch.randn(2, 6, 5, 5, generator=torch.Generator().manual_seed(0)).double()
    expected = (F.normalize(one, dim=0) - F.normalize(other, dim=0)).square().sum(dim=0).mean()
    found = perceptual_distance(normalised([one.numpy()]), normalised([other.numpy()]))
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_a_place_without_activations_stays_so() -> None:
    assert normalised([np.zeros((3, 2, 2))])[0].tolist() == np.zeros((3, 2, 2)).tolist()


def test_pictures_of_other_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        perceptual_distance([np.zeros((1, 2, 2))], [np.zeros((1, 3, 3))])


def test_pairs_are_hashed_and_a_new_picture_changes_few() -> None:
    names = [f"p{number}" for number in range(9)]
    pairs = choose_pairs(names, 10, seed=0)
    assert len(set(pairs)) == 10
    assert choose_pairs(names[::-1], 10, seed=0) == pairs
    assert choose_pairs(names, 10, seed=1) != pairs
    more = choose_pairs([*names, "q"], 10, seed=0)
    assert len(set(more) & set(pairs)) >= 6
    assert choose_pairs(names[:3], 10, seed=0) == [("p0", "p1"), ("p0", "p2"), ("p1", "p2")]
    assert choose_pairs(names[:1], 10, seed=0) == []


def test_many_pictures_cost_no_more_than_their_pairs() -> None:
    pairs = choose_pairs([f"p{number:05d}" for number in range(3000)], 5, seed=0)
    assert len(pairs) == 5
    assert len({name for pair in pairs for name in pair}) <= 10


def test_pairs_that_share_a_picture_are_not_independent() -> None:
    """One odd picture among eight makes seven of 28 pairs: the interval must reach what the set is without it."""
    names = [f"p{number}" for number in range(8)]
    pairs = choose_pairs(names, 28, seed=0)
    found = cell_diversity(pairs, [1.0 if "p0" in pair else 0.2 for pair in pairs], BOOTSTRAP)
    assert found["value"] == pytest.approx(0.4)
    assert float(str(found["ci_low"])) <= 0.2
    assert (found["pictures"], found["pairs"]) == (8, 28)


def test_the_table_is_by_class_and_background_and_says_what_it_lacks() -> None:
    rng = np.random.default_rng(0)
    rows = [("a", "grass", number) for number in range(4)] + [("a", "night", 0), ("b", "grass", 0), ("b", "grass", 1)]
    subjects = pd.DataFrame(
        [
            {"sample": f"{name}-{ground}-{n}", "shift": "background", "class_id": ord(name), "class_name": name}
            | {"background": ground}
            for name, ground, n in rows
        ]
    )
    pictures = {sample: [rng.normal(size=(3, 2, 2))] for sample in subjects["sample"]}
    del pictures["b-grass-1"]  # it can't be read

    def activations(samples: list[str]) -> dict[str, list[np.ndarray]]:
        return {sample: pictures[sample] for sample in samples if sample in pictures}

    table = diversity_table(subjects, activations, "images", 28, BOOTSTRAP)  # type: ignore[arg-type]
    assert table[["class_name", "background", "pairs", "reason"]].to_numpy().tolist() == [
        ["a", "grass", 6, ""],
        ["a", "night", 0, "fewer than two pictures"],
        ["b", "grass", 0, "fewer than two pictures"],
    ]
    assert 0 < table.loc[0, "value"] < 4
