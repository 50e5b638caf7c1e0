"""Objectives: their terms, what lowers them, and pictures whose labels nobody knows."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from d3s.dependence.strata import standardise
from d3s.dependence.wasserstein import Critic, dependency, gradient_penalty
from d3s.encoder import Encoded
from d3s.errors import D3SError
from d3s.objective import Labels, Objective, Shape, build_objective

PENALISED = ("adversarial", "club", "hsic", "mine", "wasserstein")
"""Those that lower the dependence of each part on the other's label; ``orthogonal`` knows no labels."""
SHAPE = Shape(foreground=24, background=16, classes=4, backgrounds=3)


def build(name: str, **chosen: object) -> Objective:
    return build_objective(name, SHAPE, chosen, seed=0)


def batch(draws: torch.Generator, leak: float, number: int = 64) -> tuple[Encoded, Labels]:
    """Features that show their own label, and the other one as strongly as ``leak`` says."""
    classes, backgrounds = (torch.randint(count, (number,), generator=draws) for count in (4, 3))
    # Two exemplars of each class, and two templates of each background.
    labels = Labels(classes, backgrounds, *(2 * own + torch.arange(number) % 2 for own in (classes, backgrounds)))
    foreground, background = (torch.randn(number, size, generator=draws) for size in (24, 16))
    foreground[:, :12] += leak * (labels.background[:, None] - 1.0)
    background[:, :8] += leak * (labels.klass[:, None] - 1.5)
    logits = [torch.randn(number, size, generator=draws) for size in (4, 3)]
    return Encoded(foreground, background, *logits), labels


def test_erm_is_two_cross_entropies() -> None:
    draws = torch.Generator().manual_seed(0)
    encoded, labels = batch(draws, 0.0)
    erm = build("erm")
    terms = erm.step(encoded, labels, draws, warm=False)
    assert set(terms) == {"loss", "class_entropy", "background_entropy"}
    expected = nn.functional.cross_entropy(encoded.class_logits, labels.klass)
    expected += nn.functional.cross_entropy(encoded.background_logits, labels.background)
    assert torch.isclose(terms["loss"], expected)
    assert erm.inner_steps == 0
    assert not list(erm.parameters())
    with pytest.raises(ValueError, match="no networks"):
        erm.inner_step(encoded, labels, draws)


def test_the_loss_is_the_sum_of_its_terms_and_the_warm_up_has_no_penalty() -> None:
    draws = torch.Generator().manual_seed(0)
    encoded, labels = batch(draws, 1.0)
    objective = build("wasserstein")
    warm = objective.step(encoded, labels, draws, warm=True)
    terms = objective.step(encoded, labels, draws, warm=False)
    assert set(terms) - set(warm) == {"foreground_dependency", "background_dependency"}
    for found in (warm, terms):
        assert math.isclose(sum(v.item() for k, v in found.items() if k != "loss"), found["loss"].item(), rel_tol=1e-5)


@pytest.mark.parametrize("scaling", ["none", "batch"])
def test_the_penalty_is_near_zero_without_dependence_and_clearly_positive_with_it(scaling: str) -> None:
    def measured(leak: float) -> float:
        objective = build("wasserstein", scaling=scaling, critic_rate=5e-3, label_fraction=0.5)
        optimiser = torch.optim.Adam(objective.parameters(), lr=objective.inner_rate, betas=(0.0, 0.9))
        draws = torch.Generator().manual_seed(1)
        for _ in range(60):
            optimiser.zero_grad()
            objective.inner_step(*batch(draws, leak), draws)["loss"].backward()
            optimiser.step()
        with torch.no_grad():
            return objective.penalty(*batch(draws, leak, 4000), draws)["foreground_dependency"].item()

    assert abs(measured(0.0)) < 0.1
    assert measured(2.0) > 0.5


def test_the_encoder_step_lowers_the_dependence_through_the_features() -> None:
    objective = build("wasserstein")
    draws = torch.Generator().manual_seed(0)
    encoded, labels = batch(draws, 1.0)
    features = encoded.background.requires_grad_()
    objective.penalty(encoded._replace(background=features), labels, draws)["background_dependency"].backward()
    assert features.grad is not None
    assert features.grad.abs().sum() > 0


def test_the_interpolation_weight_is_drawn_once_per_sample() -> None:
    seen = []

    class Recorder(Critic):
        def forward(self, pairs: torch.Tensor) -> torch.Tensor:
            seen.append(pairs.detach())
            return super().forward(pairs)

    draws = torch.Generator().manual_seed(0)
    critic = Recorder(8, 3, draws)
    real, mixed = (torch.randn(5, 10, generator=draws) for _ in range(2))
    weights = torch.rand(5, generator=draws)
    gradient_penalty(critic, real, mixed, weights)
    along = (seen[0] - mixed) / (real - mixed)
    assert torch.allclose(along, weights[:, None].expand(5, 10), atol=1e-4)


def test_the_gradient_penalty_is_the_squared_distance_from_slope_one() -> None:
    critic = Critic(2, 1, torch.Generator().manual_seed(0))
    linear = nn.Linear(3, 1)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[2.0, 1.0, 2.0]]))  # slope 3
    critic.layers = nn.Sequential(linear)
    real, mixed = torch.randn(4, 3), torch.randn(4, 3)
    assert torch.isclose(gradient_penalty(critic, real, mixed, torch.rand(4)), torch.tensor(4.0))


def test_the_critic_s_widths_halve_down_to_one() -> None:
    critic = Critic(100, 5, torch.Generator(), label_fraction=0.2)
    widths = [layer.out_features for layer in critic.layers if isinstance(layer, nn.Linear)]
    assert widths == [60, 30, 15, 7, 3, 1]
    assert critic.vectors.shape == (5, 20)
    assert not critic.vectors.requires_grad
    assert isinstance(critic.layers[-1], nn.Linear)
    slopes = {layer.negative_slope for layer in critic.layers if isinstance(layer, nn.LeakyReLU)}
    assert slopes == {0.1}


def test_no_difference_if_shuffling_changes_nothing() -> None:
    critic = Critic(6, 2, torch.Generator().manual_seed(0))
    labels = torch.zeros(9, dtype=torch.long)
    assert dependency(critic, torch.randn(9, 6), labels, labels).item() == 0.0


def test_critics_depend_on_the_seed_alone() -> None:
    first, torch_seed = build("wasserstein").state_dict(), torch.manual_seed(99)
    again, other = build("wasserstein").state_dict(), build_objective("wasserstein", SHAPE, {}, seed=1).state_dict()
    assert torch_seed is not None
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


def test_standardise_gives_unit_spread_and_leaves_constants_at_zero() -> None:
    scaled = standardise(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    assert torch.allclose(scaled, torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), atol=2e-3)


def test_settings_are_read_as_their_defaults_type() -> None:
    settings = build("wasserstein", critic_steps="2", foreground_weight="0.5").settings
    assert (settings.critic_steps, settings.foreground_weight) == (2, 0.5)


def test_mistakes_name_what_there_is() -> None:
    with pytest.raises(D3SError, match="no objective 'wassertein'") as caught:
        build("wassertein")
    assert "erm" in caught.value.remedy
    with pytest.raises(D3SError, match="no setting 'weight'") as caught:
        build("wasserstein", weight=1)
    assert "foreground_weight" in caught.value.remedy
    with pytest.raises(D3SError, match="critic_steps"):
        build("wasserstein", critic_steps="many")
    with pytest.raises(D3SError, match="scaling"):
        build("wasserstein", scaling="some")


def fitted(objective: Objective, draws: torch.Generator, leak: float, steps: int = 120) -> Objective:
    """The objective after steps of its own networks."""
    if objective.inner_steps:
        optimiser = torch.optim.Adam(objective.parameters(), lr=5e-3, betas=(0.0, 0.9))
        for _ in range(steps):
            optimiser.zero_grad()
            objective.inner_step(*batch(draws, leak), draws)["loss"].backward()
            optimiser.step()
    return objective


@pytest.mark.parametrize("given", ["none", "own"])
@pytest.mark.parametrize("name", [name for name in PENALISED if name != "wasserstein"])
def test_each_penalty_sees_a_leak_and_nothing_where_there_is_none(name: str, given: str) -> None:
    """Scores are of new pictures, so that what a network learnt by heart does not count."""

    def measured(leak: float) -> float:
        draws = torch.Generator().manual_seed(1)
        objective = fitted(build(name, given=given), draws, leak)
        with torch.no_grad():
            terms = objective.penalty(*batch(draws, leak, 1000), draws)
        return sum(value.item() for value in terms.values())

    assert measured(0.0) < 0.05
    assert measured(2.0) > 4 * max(measured(0.0), 0.02)


@pytest.mark.parametrize("given", ["none", "own"])
def test_orthogonal_parts_have_nothing_in_common(given: str) -> None:
    draws = torch.Generator().manual_seed(0)
    objective = build("orthogonal", given=given)
    encoded, labels = batch(draws, 0.0, 500)
    apart = objective.penalty(encoded, labels, draws)["correlation"].item()
    alike = encoded._replace(background=encoded.foreground[:, :16] + 0.1 * encoded.background)
    together = objective.penalty(alike, labels, draws)["correlation"].item()
    assert abs(apart) < 0.05
    assert together > 0.5


@pytest.mark.parametrize("name", ["erm", "orthogonal", *PENALISED])
def test_every_objective_gives_its_terms_and_their_sum_as_the_loss(name: str) -> None:
    draws = torch.Generator().manual_seed(0)
    encoded, labels = batch(draws, 1.0)
    terms = build(name).step(encoded, labels, draws, warm=False)
    assert {"class_entropy", "background_entropy"} < set(terms)
    own = sum(value.item() for key, value in terms.items() if key != "loss")
    assert math.isclose(own, terms["loss"].item(), rel_tol=1e-5)


@pytest.mark.parametrize("given", ["none", "own"])
@pytest.mark.parametrize("name", ["erm", "orthogonal", *PENALISED])
def test_pictures_of_unknown_background_count_in_no_term_that_needs_it(name: str, given: str) -> None:
    """Half of the batch has no background label; whatever its features are, terms of the background stay the same."""
    chosen = {} if name == "erm" else {"given": given}
    if name not in ("erm", "orthogonal"):
        chosen["scaling"] = "none"
    draws = torch.Generator().manual_seed(0)
    encoded, labels = batch(draws, 1.0)
    unknown = replace(labels, background=torch.where(torch.arange(64) < 32, labels.background, -1))
    other = encoded._replace(
        background_logits=torch.cat([encoded.background_logits[:32], torch.randn(32, 3, generator=draws)]),
        foreground=torch.cat([encoded.foreground[:32], torch.randn(32, 24, generator=draws)]),
    )
    objective = build(name, **chosen)
    first, second = (
        objective.step(each, unknown, torch.Generator().manual_seed(1), warm=False) for each in (encoded, other)
    )
    assert first["background_entropy"].item() == second["background_entropy"].item()
    for term in (key for key in first if key.startswith("foreground_")):
        assert torch.isclose(first[term], second[term]), term


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("given", ["none", "own"])
@pytest.mark.parametrize("name", ["matched", "orthogonal", *PENALISED])
def test_tiny_batches_and_batches_without_labels_give_numbers(name: str, given: str, number: int) -> None:
    draws = torch.Generator().manual_seed(0)
    objective = build(name) if name == "matched" else build(name, given=given)
    for known in (True, False):
        encoded, labels = batch(draws, 1.0, number)
        encoded = Encoded(*(value.requires_grad_() for value in encoded))
        if not known:
            labels = Labels(*(torch.full((number,), -1) for _ in range(4)))
        terms = objective.step(encoded, labels, draws, warm=False)
        assert all(bool(torch.isfinite(value)) for value in terms.values())
        terms["loss"].backward()
        assert encoded.foreground.grad is None or bool(torch.isfinite(encoded.foreground.grad).all())
        if objective.inner_steps:
            inner = objective.inner_step(encoded, labels, draws)
            assert bool(inner) or not known
            assert all(bool(torch.isfinite(value)) for value in inner.values())


def test_given_the_own_label_a_dependence_that_it_explains_costs_nothing() -> None:
    """Where each class has one background, features that show the class show the background, and rightly so."""
    draws = torch.Generator().manual_seed(0)
    classes = torch.randint(3, (300,), generator=draws)
    foreground, background = (torch.randn(300, size, generator=draws) for size in (24, 16))
    foreground[:, :3] += 5.0 * nn.functional.one_hot(classes, 3)
    logits = [torch.randn(300, size, generator=draws) for size in (4, 3)]
    encoded, labels = Encoded(foreground, background, *logits), Labels(classes, classes, classes, classes)
    marginal, conditional = (
        build("hsic", given=given).penalty(encoded, labels, draws)["foreground_hsic"].item()
        for given in ("none", "own")
    )
    assert marginal > 0.1
    assert abs(conditional) < 0.01


def test_words_of_settings_are_checked() -> None:
    for name, key in (("hsic", "given"), ("mine", "scaling"), ("orthogonal", "given"), ("matched", "background")):
        with pytest.raises(D3SError, match=key):
            build(name, **{key: "sometimes"})
    assert build("hsic", unbiased="false").settings.unbiased is False
    with pytest.raises(D3SError, match="unbiased"):
        build("hsic", unbiased="perhaps")


@pytest.mark.parametrize(("foreground", "background"), [("exemplar", "template"), ("class", "background")])
def test_matched_pictures_are_drawn_together_where_they_differ_in_what_is_not_wanted(
    foreground: str, background: str
) -> None:
    draws = torch.Generator().manual_seed(0)
    objective = build("matched", foreground=foreground, background=background)
    blind, leaking = (objective.penalty(*batch(torch.Generator().manual_seed(0), leak), draws) for leak in (0.0, 3.0))
    encoded, labels = batch(torch.Generator().manual_seed(0), 0.0)
    own = {"exemplar": labels.exemplar, "class": labels.klass, "template": labels.template}
    shown = nn.functional.one_hot(own[foreground], 24).float(), nn.functional.one_hot(labels.background, 16).float()
    ideal = objective.penalty(encoded._replace(foreground=shown[0], background=shown[1]), labels, draws)
    assert ideal["foreground_varying"].item() < 1e-3
    assert 0.9 < blind["foreground_varying"].item() < 1.1  # noise differs as much inside of pairs as elsewhere
    assert leaking["foreground_varying"] > blind["foreground_varying"]
    assert leaking["background_varying"] > blind["background_varying"]


def test_matched_pictures_of_unknown_exemplar_or_background_count_in_no_pair() -> None:
    draws = torch.Generator().manual_seed(0)
    encoded, labels = batch(draws, 1.0)
    known = torch.arange(64) < 32
    objective = build("matched")
    for column in ("exemplar", "background"):
        some = replace(labels, **{column: torch.where(known, getattr(labels, column), -1)})
        found = objective.penalty(encoded, some, draws)["foreground_varying"]
        alone = Encoded(*(value[known] for value in encoded))
        assert torch.isclose(found, objective.penalty(alone, labels[known], draws)["foreground_varying"])
