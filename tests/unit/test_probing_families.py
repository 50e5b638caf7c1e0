"""The kinds of probes: each against a plain reference, and what all of them owe."""

import numpy as np
import pytest
import torch

from d3s.probing.families import knn, linear, mlp
from d3s.probing.measures import FAMILIES, Family
from d3s.probing.space import Space, space_of
from probe_data import noise


def told_of(
    family: Family, space: Space, *labels: np.ndarray, classes: int, place: int | list[int] | None = None, seed: int = 0
) -> torch.Tensor:
    """Logarithms of probabilities of some tasks in one space."""
    places = None if place is None else [torch.tensor([place] if isinstance(place, int) else place)]
    seeds = [[seed + number for number in range(len(labels))]]
    (told,) = family.log_probabilities([space], [torch.from_numpy(np.stack(labels))], classes, seeds, places)
    return told


@pytest.mark.parametrize(("rows", "columns"), [(30, 60), (120, 8)])
@pytest.mark.parametrize("place", range(len(linear.PENALTIES)))
def test_linear_probes_are_those_of_scikit_learn(rows: int, columns: int, place: int) -> None:
    from sklearn.linear_model import LogisticRegression

    x, new = noise(rows, columns), noise(40, columns, seed=1)
    labels = np.array([0, 1, 2, 0, 0, 2] * (rows // 6))
    space = space_of(x, new)
    penalty = linear.PENALTIES[place]
    task = torch.from_numpy(labels)[None]
    weights, bias = linear.fit([space], [task], 3, torch.tensor([[penalty]]), tolerance=1e-6)
    told = torch.softmax(space.rows[rows:] @ weights[0, :, :, 0] + bias[0, :, 0], dim=1)
    scale = x.std(axis=0) * np.sqrt(columns)
    held = np.clip(new, x.min(axis=0), x.max(axis=0))  # new rows are held within the range that was met
    plain = LogisticRegression(C=1 / (penalty * rows), class_weight="balanced", tol=1e-8, max_iter=5000)
    plain.fit((x - x.mean(axis=0)) / scale, labels)
    found = plain.predict_proba((held - x.mean(axis=0)) / scale)
    # Fits are in float32, and the loss is flat where labels are told apart.
    assert np.abs(told.numpy() - found).max() < 0.02
    # Probes end their fits earlier, which hardly changes what they say.
    early = told_of(linear, space, labels, classes=3, place=place)[0, rows:].exp()
    assert np.abs(early.numpy() - found).mean() < 0.02


def test_tasks_of_one_batch_do_not_touch_each_other() -> None:
    space = space_of(noise(40, 20), noise(5, 20, seed=1))
    labels = [np.random.default_rng(seed).integers(0, 3, 40) for seed in range(4)]
    for family in (linear, mlp, knn):
        together = told_of(family, space, *labels, classes=3, place=[2, 0, 1, 3])
        alone = told_of(family, space, labels[2], classes=3, place=1, seed=2)[0]
        assert torch.allclose(together[2], alone, atol=2e-3)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_probabilities_add_up_and_never_go_to_labels_that_were_not_fitted(family: Family) -> None:
    space = space_of(noise(30, 10), noise(7, 10, seed=1))
    labels = np.where(np.arange(30) < 15, 0, 2)
    labels[::5] = -1  # not fitted on
    told = told_of(family, space, labels, classes=4)[:, 0].exp()
    assert torch.allclose(told.sum(dim=2), torch.ones(told.shape[:2]), atol=1e-4)
    assert (told[:, :, [1, 3]] == 0).all()


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_simplest_probe_says_least(family: Family) -> None:
    labels = np.arange(60) % 3
    shown = np.eye(3)[labels] + 0.1 * noise(60, 3)
    told = told_of(family, space_of(shown, shown), labels, classes=3)[:, 0, 60:]
    right = told[:, np.arange(60), labels].exp().mean(dim=1)
    assert right[0] < right.max()
    assert right.max() > 0.9


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_spaces_of_one_batch_do_not_touch_each_other(family: Family) -> None:
    sizes = [(40, 20), (35, 20), (30, 8)]
    spaces = [space_of(noise(*size), noise(5, size[1], seed=1)) for size in sizes]
    labels = [torch.from_numpy(np.arange(rows) % 3)[None] for rows, _ in sizes]
    together = family.log_probabilities(spaces, labels, 3, [[0], [1], [2]])
    for place, space in enumerate(spaces):
        (alone,) = family.log_probabilities([space], [labels[place]], 3, [[place]])
        # Batches round otherwise than single products, and the last steps of a fit magnify that.
        assert (together[place].exp() - alone.exp()).abs().mean() < 5e-3


def test_networks_tell_what_no_line_can() -> None:
    x = noise(400, 2)
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    space = space_of(x[:300], x[300:])
    right = []
    for family in (linear, mlp):
        told = told_of(family, space, labels[:300], classes=2)[-1, 0, 300:]
        right.append(float((told.argmax(dim=1).numpy() == labels[300:]).mean()))
    assert right[0] < 0.65
    assert right[1] > 0.85


def test_constant_features_are_left_out() -> None:
    x = np.hstack([noise(20, 3), np.full((20, 2), 7.0)])
    new = np.hstack([noise(4, 3, seed=1), np.full((4, 2), 9.0)])
    assert torch.allclose(space_of(x, new).rows, space_of(x[:, :3], new[:, :3]).rows, atol=1e-5)
    assert torch.isfinite(space_of(np.zeros((6, 4)), np.ones((2, 4))).rows).all()


def test_new_rows_are_held_within_the_range_that_was_met() -> None:
    x = noise(20, 3)
    far = space_of(x, np.full((1, 3), 1e6)).rows[20]
    assert torch.allclose(far, space_of(x, x.max(axis=0)[None]).rows[20])


@pytest.mark.parametrize("shape", [(12, 40), (40, 12)])
def test_turning_to_principal_axes_changes_no_distance(shape: tuple[int, int]) -> None:
    x = noise(*shape)
    rows = space_of(x, x[:0]).rows
    plain = (x - x.mean(axis=0)) / x.std(axis=0) / np.sqrt(shape[1])
    expected = np.linalg.norm(plain[:, None] - plain[None], axis=2)
    assert torch.allclose(torch.cdist(rows, rows), torch.from_numpy(expected).float(), atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_number_of_threads_changes_no_byte(family: Family) -> None:
    from d3s.probing.space import one_thread

    found = []
    before = torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        with one_thread():
            space = space_of(noise(200, 300), noise(50, 300, seed=1))
            found.append(told_of(family, space, np.arange(200) % 4, classes=4))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
