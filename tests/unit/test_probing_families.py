"""The kinds of probes: each against a plain reference, and what all of them owe."""

import numpy as np
import pytest
import torch

from d3s.probing.families import knn, linear, mlp
from d3s.probing.measures import FAMILIES, Family
from d3s.probing.space import space_of
from probe_data import noise


def tasks(*labels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(labels))


@pytest.mark.parametrize(("rows", "columns"), [(30, 60), (120, 8)])
@pytest.mark.parametrize("place", range(len(linear.PENALTIES)))
def test_linear_probes_are_those_of_scikit_learn(rows: int, columns: int, place: int) -> None:
    from sklearn.linear_model import LogisticRegression

    x, new = noise(rows, columns), noise(40, columns, seed=1)
    labels = np.array([0, 1, 2, 0, 0, 2] * (rows // 6))
    space = space_of(x, new)
    told = linear.log_probabilities(space, tasks(labels), 3, [0], torch.tensor([place]))[0, rows:]
    scale = x.std(axis=0) * np.sqrt(columns)
    held = np.clip(new, x.min(axis=0), x.max(axis=0))  # new rows are held within the range that was met
    plain = LogisticRegression(
        C=1 / (linear.PENALTIES[place] * rows), class_weight="balanced", tol=1e-8, max_iter=5000
    ).fit((x - x.mean(axis=0)) / scale, labels)
    # A fit ends where steps take off less than 0.03 % of the loss, so probabilities agree to about a hundredth.
    found = plain.predict_proba((held - x.mean(axis=0)) / scale)
    assert np.abs(told.exp().numpy() - found).max() < 0.03


def test_tasks_of_one_batch_do_not_touch_each_other() -> None:
    space = space_of(noise(40, 20), noise(5, 20, seed=1))
    labels = [np.random.default_rng(seed).integers(0, 3, 40) for seed in range(4)]
    for family in (linear, mlp, knn):
        together = family.log_probabilities(space, tasks(*labels), 3, [1, 2, 3, 4], torch.tensor([2, 0, 1, 3]))
        alone = family.log_probabilities(space, tasks(labels[2]), 3, [3], torch.tensor([1]))[0]
        assert torch.allclose(together[2], alone, atol=2e-3)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_probabilities_add_up_and_never_go_to_labels_that_were_not_fitted(family: Family) -> None:
    space = space_of(noise(30, 10), noise(7, 10, seed=1))
    labels = np.where(np.arange(30) < 15, 0, 2)
    labels[::5] = -1  # not fitted on
    told = family.log_probabilities(space, tasks(labels), 4, [0])[:, 0].exp()
    assert torch.allclose(told.sum(dim=2), torch.ones(told.shape[:2]), atol=1e-4)
    assert (told[:, :, [1, 3]] == 0).all()


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_simplest_probe_says_least(family: Family) -> None:
    labels = np.arange(60) % 3
    shown = np.eye(3)[labels] + 0.1 * noise(60, 3)
    told = family.log_probabilities(space_of(shown, shown), tasks(labels), 3, [0])[:, 0, 60:]
    right = told[:, np.arange(60), labels].exp().mean(dim=1)
    assert right[0] < right.max()
    assert right.max() > 0.9


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_rows_that_are_not_fitted_on_change_no_probe(family: Family) -> None:
    space = space_of(noise(40, 12), noise(5, 12, seed=1))
    labels = np.arange(40) % 2
    masked = np.where(np.arange(40) < 30, labels, -1)
    flipped = family.log_probabilities(space, tasks(masked), 2, [0], torch.tensor([2]))
    again = family.log_probabilities(space, tasks(masked.copy()), 2, [0], torch.tensor([2]))
    assert torch.equal(flipped, again)


def test_networks_tell_what_no_line_can() -> None:
    x = noise(400, 2)
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    space = space_of(x[:300], x[300:])
    own = tasks(labels[:300])
    right = [
        float((family.log_probabilities(space, own, 2, [0])[-1, 0, 300:].argmax(dim=1).numpy() == labels[300:]).mean())
        for family in (linear, mlp)
    ]
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
            found.append(family.log_probabilities(space, tasks(np.arange(200) % 4), 4, [5]))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
