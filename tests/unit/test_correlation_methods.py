"""Classifiers on synthetic groups whose answers are known."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from d3s.correlation.methods import (
    Rows,
    _balanced_draw,
    _best,
    fit,
    fit_all,
    fit_dfr,
    fit_group_dro,
    group_weights,
)
from d3s.correlation.softmax import Span, fit_softmax, losses, predict


def birds(n: int, paired: float, seed: int, core: float = 1.0, spurious: float = 3.0) -> Rows:
    """Two classes; a weak feature shows the class and a strong one the background, which is the class's for most."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    background = np.where(rng.random(n) < paired, labels, 1 - labels)
    features = rng.normal(size=(n, 6))
    features[:, 0] += core * (2 * labels - 1)
    features[:, 1] += spurious * (2 * background - 1)
    return Rows(features, labels, 2 * labels + background, rng.integers(2, size=n))


def worst(fitted: object, rows: Rows) -> float:
    right = fitted.predict(rows.features) == rows.labels  # type: ignore[attr-defined]
    return float(pd.Series(right).groupby(rows.groups).mean().min())


def test_it_is_the_logistic_regression_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)), np.arange(60) % 3
    x[:, 0] += y
    found = fit_softmax(
        np.hstack([x, np.ones((60, 1))]),
        y,
        np.full((1, 60), 1 / 60),
        np.array([0.01]),
        3,
        iterations=3000,
        tolerance=1e-9,
    )[0]
    theirs = LogisticRegression(C=1 / (0.01 * 60), tol=1e-9, max_iter=5000).fit(x, y)
    assert np.allclose(found[:-1].T, theirs.coef_, atol=1e-4)
    shift = found[-1] - theirs.intercept_
    assert np.allclose(shift, shift.mean(), atol=1e-4)


def test_few_rows_in_their_own_span_give_the_answers_of_the_whole_space() -> None:
    rng = np.random.default_rng(1)
    features, y = rng.normal(size=(20, 50)), np.arange(20) % 2
    span = Span.of(features)
    assert span.basis is not None
    whole = Span(span.mean, span.scale, None)
    weights, penalty = np.full((1, 20), 0.05), np.array([0.01])
    others = rng.normal(size=(30, 50))
    scores = [
        s.place(others) @ fit_softmax(s.place(features), y, weights, penalty, 2, iterations=5000, tolerance=1e-10)[0]
        for s in (span, whole)
    ]
    assert np.allclose(scores[0], scores[1], atol=1e-5)


def test_constant_features_tell_nothing_and_break_nothing() -> None:
    rows = birds(100, 0.5, 0)
    padded = np.hstack([rows.features, np.full((100, 2), 7.0)])
    fitted = fit("erm", Rows(padded, rows.labels, rows.groups), Rows(padded, rows.labels, rows.groups), 2)
    assert np.isfinite(fitted.coefficients).all()


def test_groups_weigh_the_same_whatever_their_size() -> None:
    groups = np.array([0, 0, 0, 1])
    assert np.allclose(group_weights(groups), [1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_plain_training_fails_the_rare_groups_and_the_others_do_not() -> None:
    train, validation, test = birds(1000, 0.95, 0), birds(400, 0.5, 1), birds(4000, 0.5, 2)
    fits = fit_all(("erm", "balanced", "group_dro"), train, validation, 2)
    fits["dfr"] = fit_dfr(validation, 2, 0)
    scores = {name: worst(fitted, test) for name, fitted in fits.items()}
    # the class alone tells Phi(1) = 84 % of each group; the background must not count
    assert scores["erm"] < 0.7
    for name in ("balanced", "group_dro", "dfr"):
        assert scores[name] == pytest.approx(0.84, abs=0.05), name


def test_nothing_learns_what_rho_1_does_not_show_but_dfr() -> None:
    train, validation, test = birds(600, 1.0, 0), birds(400, 0.5, 1), birds(4000, 0.5, 2)
    fits = fit_all(("balanced", "group_dro"), train, validation, 2)  # each class is one group: nothing to balance
    assert all(worst(fitted, test) < 0.5 for fitted in fits.values())
    assert worst(fit_dfr(validation, 2, 0), test) > 0.75


def test_group_dro_has_the_least_worst_loss() -> None:
    rows = birds(400, 0.9, 3)
    span = Span.of(rows.features)
    x = span.place(rows.features)
    penalties = np.array([0.01, 0.1])
    _, where, sizes = np.unique(rows.groups, return_inverse=True, return_counts=True)

    def largest(coefficients: np.ndarray) -> np.ndarray:
        own = np.stack([np.bincount(where, row) / sizes for row in losses(x, rows.labels, coefficients)])
        return own.max(axis=1) + penalties / 2 * (coefficients[:, :-1] ** 2).sum(axis=(1, 2))

    robust = largest(fit_group_dro(x, rows.labels, rows.groups, penalties, 2))
    for weights in (np.full(len(x), 1 / len(x)), group_weights(rows.groups)):
        assert (robust <= largest(fit_softmax(x, rows.labels, np.stack([weights] * 2), penalties, 2)) + 1e-3).all()
    longer = largest(fit_group_dro(x, rows.labels, rows.groups, penalties, 2, rounds=400, inner=60))
    assert np.allclose(robust, longer, rtol=0.03)


def test_equal_rows_give_equal_coefficients() -> None:
    train, validation = birds(80, 0.9, 0), birds(60, 0.5, 1)
    first, again = (fit_all(("erm", "group_dro"), train, validation, 2) for _ in range(2))
    for name in first:
        assert np.array_equal(first[name].coefficients, again[name].coefficients)
    assert np.array_equal(fit_dfr(validation, 2, 5).coefficients, fit_dfr(validation, 2, 5).coefficients)


def test_a_penalty_is_chosen_by_the_worst_group_then_the_mean_then_the_strongest() -> None:
    groups = np.array([0, 0, 1, 1])
    answers = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 1, 1], [1, 1, 1, 0]], dtype=bool)
    assert _best(answers, groups) == (3, 0.5, 0.75)


def test_a_balanced_draw_has_as_many_of_each_group_as_the_smallest() -> None:
    groups = np.array([0] * 7 + [1] * 2 + [2] * 5)
    weights = _balanced_draw(groups, 1)
    assert [int((weights[groups == group] > 0).sum()) for group in range(3)] == [2, 2, 2]
    assert weights.sum() == pytest.approx(1)


def test_without_a_validation_part_there_is_a_classifier_all_the_same() -> None:
    train = birds(60, 0.9, 0)
    empty = Rows(np.zeros((0, 6)), np.zeros(0, dtype=int), np.zeros(0, dtype=int))
    fitted = fit("erm", train, empty, 2)
    assert np.isnan(fitted.worst_group)
    assert set(predict(fitted.span.place(train.features), fitted.coefficients[None])[0]) == {0, 1}
