"""Learning rates over the steps."""

import math

import pytest

from d3s.schedules import rate_at


def test_constant_stays() -> None:
    assert {rate_at("constant", step, 100, 5e-3, 5e-4, 10) for step in range(100)} == {5e-3}


def test_cosine_falls_once_and_restarts_fall_in_every_period() -> None:
    cosine = [rate_at("cosine", step, 200, 5e-3, 5e-4, 100) for step in range(201)]
    assert cosine == sorted(cosine, reverse=True)
    assert (cosine[0], cosine[200]) == pytest.approx((5e-3, 5e-4))
    again = [rate_at("restarts", step, 1000, 5e-3, 5e-4, 100) for step in range(300)]
    assert again[:100] == again[100:200] == again[200:]
    assert again[50] == pytest.approx((5e-3 + 5e-4) / 2)
    assert again[99] == pytest.approx(5e-4 + 4.5e-3 * (1 + math.cos(math.pi * 0.99)) / 2)


def test_a_rate_below_the_least_stays_and_other_words_are_refused() -> None:
    assert rate_at("cosine", 50, 100, 1e-4, 5e-4, 100) == 1e-4
    with pytest.raises(ValueError, match="steep"):
        rate_at("steep", 0, 100, 1.0, 0.1, 100)
