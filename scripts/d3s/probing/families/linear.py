"""Linear probes: multinomial logistic regressions with an L2 penalty, many of them at once.

All tasks share the rows, so the logits of all of them are one matrix product. The solver is L-BFGS (Nocedal, "Updating
quasi-Newton matrices with limited storage", 1980) on every task by itself, in coordinates divided by the root of
(spread / K + penalty): in principal axes that is nearly the diagonal of the curvature (Boehning, "Multinomial logistic
regression algorithm", 1992, has the bound of that form), and few steps are needed whatever the penalty. Large data are
gone through in blocks of rows, so that the memory is that of the features.
"""

import torch

from d3s.probing.space import Space, label_weights

PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 3e-4, 1e-4)
"""From the simplest probe, which tells hardly more than nothing, to one that fits what can be fitted."""
DEFAULT = 3
TOLERANCE = 3e-4
"""A fit ends where the last step took off less than this share of the loss, and the next is expected to do so too."""
MOST_STEPS = 300
_HISTORY = 5
_CELLS = 24_000_000
"""Numbers held at once per block of rows: 96 MB."""


def log_probabilities(
    space: Space, labels: torch.Tensor, classes: int, seeds: list[int], complexity: torch.Tensor | None = None
) -> torch.Tensor:
    """Fit tasks, and tell the labels of all rows.

    Args:
        space: the rows.
        labels: T x N; -1 for a row that the task is not fitted on.
        classes: K.
        seeds: of the tasks; nothing is random here.
        complexity: T places in ``PENALTIES``, or nothing for all of them.

    Returns:
        T x (N + M) x K natural logarithms of probabilities; without ``complexity`` G x T x (N + M) x K.
    """
    penalties = torch.tensor(PENALTIES)
    if complexity is not None:
        return _all_rows(space, labels, classes, [penalties[complexity]])[0]
    return torch.stack(_all_rows(space, labels, classes, [penalty.expand(len(labels)) for penalty in penalties]))


def _all_rows(
    space: Space, labels: torch.Tensor, classes: int, penalties: list[torch.Tensor]
) -> list[torch.Tensor]:
    """Logarithms of probabilities by penalty; each fit starts from where the one before it ended."""
    most = max(1, _CELLS // max(1, space.rows.shape[1] * classes * _HISTORY * 2))
    parts: list[list[torch.Tensor]] = [[] for _ in penalties]
    for first in range(0, len(labels), most):
        own, start = slice(first, first + most), None
        _, present = label_weights(labels[own], classes)
        for penalty, kept in zip(penalties, parts, strict=True):
            start = weights, bias = fit(space, labels[own], classes, penalty[own], start)
            logits = (space.rows @ weights.flatten(1)).view(-1, *weights.shape[1:]) + bias
            logits = torch.where(present.T, logits, -1e30)
            kept.append((logits - _log_sum(logits)).permute(2, 0, 1))
    return [torch.cat(kept) for kept in parts]


def fit(
    space: Space,
    labels: torch.Tensor,
    classes: int,
    penalties: torch.Tensor,
    start: tuple[torch.Tensor, torch.Tensor] | None = None,
    tolerance: float = TOLERANCE,
    most_steps: int = MOST_STEPS,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights of all tasks.

    A task's loss is the weighted mean of cross entropies, in nats, plus half its penalty times the sum of squares of
    its weights; intercepts are free.

    Args:
        space, labels, classes: as ``log_probabilities``.
        penalties: T numbers.
        start: weights and intercepts to begin with; zeros otherwise.
        tolerance: see ``TOLERANCE``.
        most_steps: of each task.

    Returns:
        D x K x T weights and K x T intercepts.
    """
    problem = _Problem(space, labels, classes, penalties)
    count, device = len(labels), space.rows.device
    if start is None:
        point = torch.zeros(space.rows.shape[1] + 1, classes, count, device=device)
    else:
        point = torch.cat([start[0], start[1][None]]) * problem.scale
    value, slope = problem.value_and_slope(point, torch.arange(count, device=device))
    active = torch.arange(count, device=device)
    own, gradient = point.clone(), slope
    fallen = torch.full_like(value, torch.inf)
    steps: list[torch.Tensor] = []
    turns: list[torch.Tensor] = []
    for _ in range(most_steps):
        direction = -_two_loops(gradient, steps, turns)
        expected = (direction * gradient).sum(dim=(0, 1))
        # A direction that does not fall (rounding near the end) gives way to steepest descent.
        bad = expected >= 0
        direction = torch.where(bad, -gradient, direction)
        expected = torch.where(bad, -gradient.square().sum(dim=(0, 1)), expected)
        # Both: the first says little before the curvature is known, and the second after too short a step.
        # Where nothing fell, rounding stands in the way of more.
        least = tolerance * value + 1e-9
        done = ((-expected / 2 < least) & (fallen < least)) | (fallen <= 0)
        if bool(done.any()):
            point[..., active[done]] = own[..., done]
            left = ~done
            active, own, gradient = active[left], own[..., left], gradient[..., left]
            value, fallen = value[left], fallen[left]
            direction, expected = direction[..., left], expected[left]
            steps, turns = [step[..., left] for step in steps], [turn[..., left] for turn in turns]
            if not len(active):
                break
        moved, new_value, new_gradient = _search(problem, own, value, gradient, direction, expected, active)
        step, turn = moved - own, new_gradient - gradient
        steps, turns = [*steps, step][-_HISTORY:], [*turns, turn][-_HISTORY:]
        own, value, gradient, fallen = moved, new_value, new_gradient, value - new_value
    point[..., active] = own
    weights = point / problem.scale
    return weights[:-1], weights[-1]


class _Problem:
    """The losses of all tasks and their slopes, in the coordinates of the solver."""

    def __init__(self, space: Space, labels: torch.Tensor, classes: int, penalties: torch.Tensor) -> None:
        self.rows = space.rows[: space.fitted]
        device = self.rows.device
        weights, present = label_weights(labels, classes)
        self.weights, self.labels = weights.T.contiguous().to(device), labels.T.clamp(min=0).contiguous().to(device)
        self.absent = torch.where(present.T, 0.0, -1e30).to(device)  # K x T
        self.penalties = penalties.to(device)
        curvature = space.spread[:, None] / classes + self.penalties
        self.scale = torch.cat([curvature, torch.full_like(curvature[:1], 1 / classes)]).sqrt()[:, None, :]
        self.classes = classes

    def value_and_slope(self, point: torch.Tensor, tasks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses (A) and slopes (D + 1 x K x A) of A tasks."""
        scale, penalties = self.scale[..., tasks], self.penalties[tasks]
        weights = point / scale
        flat, bias = weights[:-1].flatten(1), weights[-1] + self.absent[:, tasks]
        own_weights, own_labels = self.weights[:, tasks], self.labels[:, tasks]
        value = penalties * weights[:-1].square().sum(dim=(0, 1)) / 2
        slope = torch.empty_like(weights)
        slope[:-1] = penalties * weights[:-1]
        slope[-1] = 0.0
        block = max(1, _CELLS // max(1, self.classes * len(tasks)))
        for start in range(0, len(self.rows), block):
            rows, wanted = self.rows[start : start + block], own_labels[start : start + block]
            weight = own_weights[start : start + block]
            logits = (rows @ flat).view(len(rows), *weights.shape[1:]).add_(bias)
            logits.sub_(logits.amax(dim=1, keepdim=True))
            right = logits.gather(1, wanted[:, None])[:, 0]
            chances = logits.exp_()
            total = chances.sum(dim=1)
            value = value + (weight * (total.log() - right)).sum(dim=0)
            chances.mul_((weight / total)[:, None])
            chances.scatter_add_(1, wanted[:, None], -weight[:, None])
            slope[:-1] += (rows.T @ chances.flatten(1)).view(slope[:-1].shape)
            slope[-1] += chances.sum(dim=0)
        return value, slope / scale


def _two_loops(gradient: torch.Tensor, steps: list[torch.Tensor], turns: list[torch.Tensor]) -> torch.Tensor:
    """The quasi-Newton direction of every task; a step along which nothing turned counts for nothing."""
    if not steps:
        return gradient
    inverse = []
    for step, turn in zip(steps, turns, strict=True):
        along = (step * turn).sum(dim=(0, 1))
        inverse.append(torch.where(along > 1e-12, 1 / along.clamp(min=1e-12), 0.0))
    found, kept = gradient.clone(), []
    for step, turn, rate in zip(reversed(steps), reversed(turns), reversed(inverse), strict=True):
        share = rate * (step * found).sum(dim=(0, 1))
        found -= share * turn
        kept.append(share)
    step, turn = steps[-1], turns[-1]
    size = turn.square().sum(dim=(0, 1))
    ratio = (step * turn).sum(dim=(0, 1)) / size.clamp(min=1e-30)
    found *= torch.where(ratio > 0, ratio, 1.0)
    for step, turn, rate, share in zip(steps, turns, inverse, reversed(kept), strict=True):
        found += (share - rate * (turn * found).sum(dim=(0, 1))) * step
    return found


def _search(
    problem: _Problem,
    point: torch.Tensor,
    value: torch.Tensor,
    gradient: torch.Tensor,
    direction: torch.Tensor,
    expected: torch.Tensor,
    tasks: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Halve the step of each task until its loss falls by a tenth of what the slope promises (Armijo's rule)."""
    moved = point + direction
    new_value, new_gradient = problem.value_and_slope(moved, tasks)
    rate = 1.0
    for _ in range(20):
        # The loss is a float32 sum: what is within its rounding counts as fallen.
        short = torch.nonzero(new_value > value + 0.1 * rate * expected + 1e-6 * value.abs())[:, 0]
        if not len(short):
            return moved, new_value, new_gradient
        rate /= 2
        moved[..., short] = point[..., short] + rate * direction[..., short]
        new_value[short], new_gradient[..., short] = problem.value_and_slope(moved[..., short], tasks[short])
    # No step helps: stay, and the next round ends the task or tries the steepest way.
    short = torch.nonzero(new_value > value)[:, 0]
    moved[..., short], new_value[short], new_gradient[..., short] = (
        point[..., short],
        value[short],
        gradient[..., short],
    )
    return moved, new_value, new_gradient


def _log_sum(logits: torch.Tensor) -> torch.Tensor:
    top = logits.amax(dim=1, keepdim=True)
    return top + (logits - top).exp().sum(dim=1, keepdim=True).log()
