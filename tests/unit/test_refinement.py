"""Cross entropy apart from overconfidence."""

import math

import pytest
import torch
import torch.nn.functional as F

from d3s.refinement import refined_cross_entropy


def drawn(number: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and labels drawn from just what they say."""
    draws = torch.Generator().manual_seed(0)
    logits = torch.randn(number, 5, generator=draws)
    return logits, torch.multinomial(torch.softmax(logits, dim=1), 1, generator=draws)[:, 0]


@pytest.mark.parametrize("factor", [0.01, 1.0, 30.0])
def test_how_sure_a_network_is_changes_nothing(factor: float) -> None:
    logits, labels = drawn()
    assert math.isclose(
        refined_cross_entropy(logits * factor, labels), refined_cross_entropy(logits, labels), rel_tol=1e-6
    )


def test_of_logits_that_are_right_already_it_is_the_cross_entropy() -> None:
    logits, labels = drawn()
    plain = F.cross_entropy(logits, labels).item()
    assert plain - 1e-3 < refined_cross_entropy(logits, labels) <= plain + 1e-9


def test_logits_that_tell_nothing_or_the_contrary_give_the_entropy_of_a_guess() -> None:
    logits, labels = drawn()
    assert math.isclose(refined_cross_entropy(-logits, labels), math.log(5), rel_tol=1e-3)
    assert math.isclose(refined_cross_entropy(torch.zeros_like(logits), labels), math.log(5), rel_tol=1e-9)


def test_rows_of_unknown_label_do_not_count() -> None:
    logits, labels = drawn(100)
    some = torch.where(torch.arange(100) < 50, labels, -1)
    assert refined_cross_entropy(logits, some) == refined_cross_entropy(logits[:50], labels[:50])
    assert refined_cross_entropy(logits, torch.full((100,), -1)) == 0.0


def test_perfect_logits_leave_nothing() -> None:
    assert refined_cross_entropy(torch.eye(3), torch.arange(3)) < 1e-9


def test_what_is_no_number_stays_none() -> None:
    assert math.isnan(refined_cross_entropy(torch.full((2, 3), float("nan")), torch.tensor([0, 1])))
