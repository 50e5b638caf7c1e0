"""Estimators of dependence beside what is known: Gaussians, tables of two labels, and independence.

Tolerances are about four standard errors of the estimate at the stated number of rows, unless a reason stands beside.
"""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from d3s.dependence.adversarial import v_information
from d3s.dependence.club import club, club_gaussian
from d3s.dependence.covariance import cross_correlation, mean_squared_correlation
from d3s.dependence.hsic import delta, hsic, normalised_hsic, rbf
from d3s.dependence.matched import varying_share
from d3s.dependence.mine import MovingMean, donsker_varadhan, mine_loss
from d3s.dependence.networks import LabelNet, mlp
from d3s.dependence.strata import centre, entropy, shares, shuffle
from d3s.dependence.wasserstein import Critic, dependency, gradient_penalty

TABLE = torch.tensor([[0.30, 0.05, 0.05], [0.05, 0.10, 0.15], [0.05, 0.05, 0.20]])
"""p(z, y) of two labels of three values."""


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussians(r: float, number: int, source: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    x, noise = (torch.randn(number, 1, generator=source) for _ in range(2))
    return x, r * x + math.sqrt(1 - r**2) * noise


def pairs(number: int, source: torch.Generator, table: torch.Tensor = TABLE) -> tuple[torch.Tensor, torch.Tensor]:
    cells = torch.multinomial(table.flatten(), number, replacement=True, generator=source)
    return cells // table.shape[1], cells % table.shape[1]


def information(table: torch.Tensor = TABLE) -> float:
    product = table.sum(1, keepdim=True) * table.sum(0, keepdim=True)
    return float(torch.xlogy(table, table / product).sum())


def fit(network: nn.Module, loss: Callable[[], torch.Tensor], steps: int, rate: float = 5e-3) -> None:
    """The rate falls to nothing, or the end would depend on the last few batches, and with them on the processor."""
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()


# Donsker-Varadhan, MINE


def test_the_bound_is_the_information_where_the_statistic_is_the_best_one() -> None:
    """T = log p(z,y) / p(z)p(y) makes it tight: exact on the table itself, not only on a sample."""
    product = TABLE.sum(1, keepdim=True) * TABLE.sum(0, keepdim=True)
    best = (TABLE / product).log()
    many = 2000
    joint = torch.repeat_interleave(best.flatten(), (TABLE.flatten() * many).round().long())
    found = donsker_varadhan(joint, best, product.log())
    assert math.isclose(found.item(), information(), abs_tol=1e-4)
    assert donsker_varadhan(joint, best + 3.0, product.log()) < found  # any other statistic gives less


@pytest.mark.parametrize("r", [0.0, 0.5, 0.9])
def test_mine_finds_the_information_of_gaussians(r: float) -> None:
    """-log(1 - r^2) / 2 nats: 0, 0.144, 0.830. A network of 400 steps comes within 0.05 of it (0.033 in twelve seeds),
    from below or by its noise."""
    source = draws()
    network, mean = mlp([2, 64, 64, 1], source), MovingMean()

    def statistics(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = gaussians(r, number, source)
        mixed = y[shuffle(number, None, source)]
        return network(torch.cat([x, y], 1)), network(torch.cat([x, mixed], 1))

    fit(network, lambda: mine_loss(*statistics(512), mean), 400)
    with torch.no_grad():
        found = donsker_varadhan(*statistics(20_000)).item()
    assert math.isclose(found, -math.log(1 - r**2) / 2, abs_tol=0.05)


def test_mine_s_value_is_the_bound_and_its_gradient_that_of_the_average() -> None:
    joint, product = (torch.randn(50, generator=draws(n)).requires_grad_() for n in (0, 1))
    mean = MovingMean(decay=0.5)
    first = mine_loss(joint, product, mean)
    assert math.isclose(first.item(), -donsker_varadhan(joint, product).item(), rel_tol=1e-5)
    other = product.detach() + 1.0
    mine_loss(joint, other, mean)
    expected = 0.5 * product.detach().exp().mean() + 0.5 * other.exp().mean()
    assert torch.isclose(mean.log_mean.exp(), expected, rtol=1e-4)
    last = mine_loss(joint, product, mean)
    average = mean.log_mean.exp()
    (gradient,) = torch.autograd.grad(last, product)
    assert torch.allclose(gradient, product.detach().exp() / 50 / average, rtol=1e-3)


# CLUB


@pytest.mark.parametrize("r", [0.0, 0.5, 0.9])
def test_club_of_gaussians_is_its_known_value_above_the_information(r: float) -> None:
    """With the true conditional r^2 / (1 - r^2): 0, 0.333, 4.26."""
    source = draws()
    x, y = gaussians(r, 40_000, source)
    spread = torch.full_like(x, math.log(1 - r**2))
    found = club_gaussian(r * x, spread, y, y[shuffle(len(y), None, source)]).item()
    truth = r**2 / (1 - r**2)
    assert math.isclose(found, truth, abs_tol=0.02 + 0.03 * truth)
    assert found > -math.log(1 - r**2) / 2 - 0.02


def test_club_of_a_table_is_information_and_lautum_information() -> None:
    z, y = pairs(60_000, draws())
    product = TABLE.sum(1, keepdim=True) * TABLE.sum(0, keepdim=True)
    truth = information() + float((product * (product / TABLE).log()).sum())
    conditional = (TABLE / TABLE.sum(1, keepdim=True)).log()
    assert math.isclose(club(conditional[z], y, shares(y, 3)).item(), truth, abs_tol=0.02)
    fitted = nn.Parameter(torch.zeros(3, 3))
    loss = nn.ParameterList([fitted])
    fit(loss, lambda: F.cross_entropy(fitted[z], y), 200, rate=0.1)
    assert math.isclose(club(fitted.log_softmax(1)[z], y, shares(y, 3)).item(), truth, abs_tol=0.03)
    assert truth > information()


# HSIC


@pytest.mark.parametrize("r", [0.0, 0.5, 0.9])
def test_hsic_of_gaussians_is_its_closed_form(r: float) -> None:
    """Kernels of width 1: E[kl] + E[k]E[l] - 2 E[E[k]E[l]], each a Gaussian integral."""
    cov = torch.tensor([[1.0, r], [r, 1.0]], dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    both = torch.linalg.det(eye + 2 * cov) ** -0.5
    apart = 1 / 3.0
    mixed = 0.5 * torch.linalg.det(eye + cov / 2) ** -0.5
    truth = float(both + apart - 2 * mixed)
    x, y = gaussians(r, 2000, draws())
    first, second = rbf(x.double(), 1.0), rbf(y.double(), 1.0)
    assert math.isclose(hsic(first, second, unbiased=True).item(), truth, abs_tol=0.005)
    # The biased one is too large by about the spreads of the two kernels over N: here 0.0001.
    assert math.isclose(hsic(first, second, unbiased=False).item(), truth, abs_tol=0.006)


def test_hsic_of_two_labels_is_the_squared_distance_of_their_table_from_its_product() -> None:
    z, y = pairs(3000, draws())
    truth = float((TABLE - TABLE.sum(1, keepdim=True) * TABLE.sum(0, keepdim=True)).square().sum())
    assert math.isclose(hsic(delta(z), delta(y)).item(), truth, abs_tol=0.006)


def test_the_unbiased_estimate_is_around_zero_without_dependence_even_of_few_rows() -> None:
    source = draws()
    found: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(300):
        first = rbf(torch.randn(16, 4, generator=source))
        second = delta(torch.randint(3, (16,), generator=source))
        for unbiased, kept in found.items():
            kept.append(hsic(first, second, unbiased).item())
    means = {unbiased: sum(kept) / 300 for unbiased, kept in found.items()}
    assert abs(means[True]) < 0.002
    assert means[False] > 0.005


def test_normalised_hsic_is_one_of_a_variable_with_itself_and_does_not_change_with_scale() -> None:
    x = torch.randn(200, 5, generator=draws())
    own = rbf(x)
    assert math.isclose(normalised_hsic(own, own, unbiased=False).item(), 1.0, abs_tol=1e-5)
    y = torch.randint(3, (200,), generator=draws(1))
    shown = x + y[:, None]
    small, large = (normalised_hsic(rbf(scale * shown), delta(y)).item() for scale in (0.01, 100.0))
    assert math.isclose(small, large, rel_tol=1e-3)
    assert small > 0.1


def test_many_features_and_few_have_the_same_kernel() -> None:
    x = torch.randn(20, 8, generator=draws())
    wide = torch.cat([x, torch.zeros(20, 4)], dim=1)
    assert torch.allclose(rbf(x), rbf(wide), atol=1e-5)


# V-information


@pytest.mark.parametrize("given", [False, True])
def test_v_information_of_the_best_adversary_is_the_information(given: bool) -> None:
    z, y = pairs(60_000, draws())
    logits = (TABLE / TABLE.sum(1, keepdim=True)).log()[z]
    if given:  # nothing is left to tell where the stratum tells it all
        assert v_information(logits, y, z, clip=False).item() == pytest.approx(0.0, abs=0.01)
    else:
        assert v_information(logits, y).item() == pytest.approx(information(), abs=0.01)


def test_a_deceived_adversary_reads_nothing_and_no_less() -> None:
    logits = torch.tensor([[9.0, 0.0], [0.0, 9.0]]).requires_grad_()
    wrong = v_information(logits, torch.tensor([1, 0]))
    assert wrong.item() == 0.0
    assert v_information(logits, torch.tensor([1, 0]), clip=False).item() < -5
    (gradient,) = torch.autograd.grad(wrong, logits)
    assert not gradient.any()


# correlation


@pytest.mark.parametrize("r", [0.0, 0.5, 0.9])
def test_cross_correlation_is_the_sum_of_squared_correlations(r: float) -> None:
    """Two of six columns of each are correlated with r, so the sum is 2 r^2."""
    source = draws()
    first, second = (torch.randn(5000, 6, generator=source) for _ in range(2))
    for column in range(2):
        first[:, column : column + 1], second[:, column : column + 1] = gaussians(r, 5000, source)
    assert cross_correlation(first, second).item() == pytest.approx(2 * r**2, abs=0.05)
    assert mean_squared_correlation(first, second).item() == pytest.approx(2 * r**2 / 6, abs=0.01)


def test_without_correlation_the_biased_sum_is_the_columns_over_the_rows() -> None:
    source = draws()
    found: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(50):
        first, second = torch.randn(64, 40, generator=source), torch.randn(64, 20, generator=source)
        for unbiased, kept in found.items():
            kept.append(cross_correlation(first, second, unbiased=unbiased).item())
    assert sum(found[False]) / 50 == pytest.approx(40 * 20 / 64, rel=0.1)
    assert abs(sum(found[True]) / 50) < 0.03 * 40 * 20 / 64


def test_correlation_does_not_see_a_square() -> None:
    x = torch.randn(5000, 1, generator=draws())
    assert cross_correlation(x, x.square()).item() == pytest.approx(0.0, abs=0.02)
    few = slice(0, 1000)
    assert normalised_hsic(rbf(x[few]), rbf(x.square()[few])).item() > 0.1


# Wasserstein


def test_the_wasserstein_measure_of_a_shift_is_its_size() -> None:
    """z = d (2y - 1) + small noise, y in {0, 1}: half of the shuffled pairs have moved by 2d along z, or by the
    distance of the labels' vectors, if that is shorter. With far vectors the distance of the two laws is d."""
    source = draws()
    critic = Critic(1, 2, source, label_fraction=6.0)
    critic.vectors.copy_(torch.tensor([[10.0] * 6, [-10.0] * 6]))
    critic.layers = mlp([7, 64, 64, 1], source)
    shift = 0.5

    def drawn(number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        y = torch.randint(2, (number,), generator=source)
        z = shift * (2.0 * y[:, None] - 1) + 0.05 * torch.randn(number, 1, generator=source)
        return z, y, y[shuffle(number, None, source)]

    def loss() -> torch.Tensor:
        z, y, mixed = drawn(128)
        weights = torch.rand(128, generator=source)
        slope = gradient_penalty(critic, critic.pairs(z, y), critic.pairs(z, mixed), weights)
        return -dependency(critic, z, y, mixed) + 10 * slope

    fit(critic, loss, 600, rate=2e-3)
    with torch.no_grad():
        found = dependency(critic, *drawn(5000)).item()
    assert found == pytest.approx(shift, rel=0.2)  # the penalty lets slopes be a little off 1


# strata and networks


def test_shuffling_stays_inside_strata_and_moves_what_it_can() -> None:
    strata = torch.tensor([0, 1, 0, 1, 0, 2] * 20)
    order = shuffle(len(strata), strata, draws())
    assert sorted(order.tolist()) == list(range(120))
    assert torch.equal(strata[order], strata)
    assert (order != torch.arange(120)).float().mean() > 0.8
    assert torch.equal(shuffle(7, None, draws()), torch.randperm(7, generator=draws()))


def test_shares_entropies_and_means_of_strata() -> None:
    labels, strata = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 0, 1])
    assert torch.allclose(shares(labels, 2, strata)[0], torch.tensor([2 / 3, 1 / 3]))
    assert entropy(labels, 2).item() == pytest.approx(math.log(2))
    assert entropy(labels, 2, labels).item() == pytest.approx(0.0)
    centred = centre(torch.tensor([[1.0], [3.0], [5.0], [7.0]]), strata)
    assert centred.flatten().tolist() == pytest.approx([-2.0, 0.0, 2.0, 0.0])


def test_dependence_inside_strata_is_that_of_each_of_them() -> None:
    """Simpson's case: no dependence inside strata, much of it across them."""
    source = draws()
    strata = torch.randint(2, (400,), generator=source)
    z = 4.0 * strata[:, None] + torch.randn(400, 2, generator=source)
    y = torch.where(torch.rand(400, generator=source) < 0.9, strata, 1 - strata)
    assert normalised_hsic(rbf(z), delta(y)).item() > 0.2
    assert abs(normalised_hsic(rbf(z), delta(y), strata=strata).item()) < 0.01


def test_a_label_network_has_outputs_for_each_stratum() -> None:
    network = LabelNet(5, 3, [8], draws(), strata=2)
    x = torch.randn(4, 5, generator=draws(1))
    first, second = (network(x, torch.full((4,), stratum)) for stratum in (0, 1))
    assert first.shape == (4, 3)
    assert torch.equal(network.layers(x), torch.cat([first, second], dim=1))
    again = LabelNet(5, 3, [8], draws(), strata=2)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(
    ("shared", "varied", "rest"), [(1.0, 0.0, 0.0), (1.0, 2.0, 0.0), (1.0, 0.5, 1.5), (0.0, 1.0, 1.0)]
)
def test_the_varying_share_is_that_of_the_variances(shared: float, varied: float, rest: float) -> None:
    """Every exemplar on every background: effects of both and of neither, whose variances are known."""
    draws = torch.Generator().manual_seed(0)
    exemplars, backgrounds = (
        each.flatten() for each in torch.meshgrid(torch.arange(60), torch.arange(30), indexing="ij")
    )
    parts = (
        (shared, torch.randn(60, 50, generator=draws)[exemplars]),
        (varied, torch.randn(30, 50, generator=draws)[backgrounds]),
    )
    features = torch.randn(1800, 50, generator=draws) * rest**0.5
    features = features + sum(variance**0.5 * effect for variance, effect in parts)
    found = varying_share(features, exemplars, backgrounds)
    assert found is not None
    # Pairs that are apart share one background in thirty.
    truth = (varied + rest) / (shared + varied * 29 / 30 + rest)
    assert abs(found.item() - truth) < 0.03


def test_small_batches_do_not_bias_the_varying_share_much() -> None:
    draws = torch.Generator().manual_seed(0)
    found = []
    for _ in range(300):
        exemplars = torch.arange(4).repeat_interleave(2)
        features = torch.randn(4, 100, generator=draws)[exemplars] + torch.randn(8, 100, generator=draws)
        share = varying_share(features, exemplars, torch.arange(8))
        assert share is not None
        found.append(share.item())
    assert abs(sum(found) / 300 - 0.5) < 0.02


def test_the_varying_share_of_pictures_without_pairs_is_not_known() -> None:
    features = torch.randn(4, 3)
    assert varying_share(features, torch.arange(4), torch.zeros(4)) is None  # nothing is shared
    assert varying_share(features, torch.zeros(4), torch.arange(4)) is None  # nothing to compare with
    assert varying_share(features, torch.arange(4) % 2, torch.zeros(4)) is None  # nothing varies
    assert varying_share(features[:0], torch.zeros(0), torch.zeros(0)) is None
