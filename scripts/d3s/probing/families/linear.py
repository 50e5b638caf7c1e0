"""Linear probes: multinomial logistic regressions with an L2 penalty, many of them at once.

All tasks of a space share its rows, so the logits of all of them are one matrix product, and spaces of like size (the
folds of a data set) are one batch of those. The solver is L-BFGS (Nocedal, "Updating
quasi-Newton matrices with limited storage", 1980) on every task by itself, in coordinates divided by the root of
(spread / K + penalty): in principal axes that is nearly the diagonal of the curvature (Boehning, "Multinomial logistic
regression algorithm", 1992, has the bound of that form), and few steps are needed whatever the penalty. Large data are
gone through in blocks of rows, so that the memory is that of the features.
"""

from collections.abc import Sequence

import torch

from d3s.probing.space import Space, label_weights

PENALTIES = (1.0, 1e-2, 1e-3, 1e-4, 1e-5)
"""From the simplest probe, which tells hardly more than nothing, to one that fits what can be fitted."""
DEFAULT = 2
TOLERANCE = 1e-3
"""A fit ends where the last step took off less than this share of the loss, and the next is expected to do so too."""
MOST_STEPS = 300
_HISTORY = 5
_CELLS = 24_000_000
"""Numbers held at once per block of rows: 96 MB."""


def log_probabilities(
    spaces: Sequence[Space],
    labels: Sequence[torch.Tensor],
    classes: int,
    seeds: Sequence[list[int]],
    complexity: Sequence[torch.Tensor] | None = None,
) -> list[torch.Tensor]:
    """Fit tasks in several spaces, and tell the labels of all rows.

    Args:
        spaces: B of them.
        labels: of each T x N; -1 for a row that the task is not fitted on. T is the same in all spaces.
        classes: K.
        seeds: of the tasks; nothing is random here.
        complexity: of each space T places in ``PENALTIES``, or nothing for all of them.

    Returns:
        Of each space T x (N + M) x K natural logarithms of probabilities; without ``complexity`` G x T x (N + M) x K.
    """
    penalties = torch.tensor(PENALTIES)
    tasks = len(labels[0])
    size = max(space.rows.shape[1] for space in spaces) * classes * tasks * _HISTORY * 2
    together, most_tasks = max(1, _CELLS // max(1, size)), max(1, _CELLS * tasks // max(1, size))
    found = []
    for first in range(0, len(spaces), together):
        batch = slice(first, first + together)
        parts = []
        for begin in range(0, tasks, most_tasks):
            own = slice(begin, begin + most_tasks)
            given = [each[own] for each in labels[batch]]
            if complexity is None:
                paths = [penalty.expand(len(given), len(given[0])) for penalty in penalties]
            else:
                paths = [penalties[torch.stack([each[own] for each in complexity[batch]])]]
            parts.append(_along(spaces[batch], given, classes, paths))
        for place in range(len(parts[0][0])):
            whole = [torch.cat([part[step][place] for part in parts]) for step in range(len(parts[0]))]
            found.append(torch.stack(whole) if complexity is None else whole[0])
    return found


def _along(
    spaces: Sequence[Space], labels: list[torch.Tensor], classes: int, penalties: list[torch.Tensor]
) -> list[list[torch.Tensor]]:
    """Logarithms of probabilities by penalty and space; each fit starts from where the one before it ended."""
    start, found = None, []
    for penalty in penalties:
        start = weights, bias = fit(spaces, labels, classes, penalty, start)
        told = []
        for place, space in enumerate(spaces):
            _, present = label_weights(labels[place], classes)
            axes = space.rows.shape[1]
            logits = (space.rows @ weights[place, :axes].flatten(1)).view(-1, *weights.shape[2:]) + bias[place]
            logits = torch.where(present.T.to(logits.device), logits, -1e30)
            told.append((logits - _log_sum(logits)).permute(2, 0, 1))
        found.append(told)
    return found


Start = tuple[torch.Tensor, torch.Tensor]


def fit(
    spaces: Sequence[Space],
    labels: Sequence[torch.Tensor],
    classes: int,
    penalties: torch.Tensor,
    start: Start | None = None,
    tolerance: float = TOLERANCE,
    most_steps: int = MOST_STEPS,
) -> Start:
    """The weights of all tasks.

    A task's loss is the weighted mean of cross entropies, in nats, plus half its penalty times the sum of squares of
    its weights; intercepts are free.

    Args:
        spaces, labels, classes: as ``log_probabilities``.
        penalties: B x T numbers.
        start: weights and intercepts to begin with; zeros otherwise.
        tolerance: see ``TOLERANCE``.
        most_steps: of each task.

    Returns:
        B x D x K x T weights, zero beyond a space's own axes, and B x K x T intercepts.
    """
    problem = _Problem(spaces, labels, classes, penalties)
    whole = torch.zeros_like(problem.scale).expand(-1, -1, classes, -1).clone()
    if start is not None:
        whole = torch.cat([start[0], start[1][:, None]], dim=1) * problem.scale
    active = torch.arange(len(spaces), device=whole.device)
    point, value, slope = whole, *problem.value_and_slope(whole, active)
    fallen = torch.full_like(value, torch.inf)
    ended = torch.zeros_like(value, dtype=torch.bool)
    steps: list[torch.Tensor] = []
    turns: list[torch.Tensor] = []
    for _ in range(most_steps):
        direction = -_two_loops(slope, steps, turns)
        expected = (direction * slope).sum(dim=(1, 2))
        # A direction that does not fall (rounding near the end) gives way to steepest descent.
        bad = expected >= 0
        if bool(bad.any()):
            direction = torch.where(bad[:, None, None], -slope, direction)
            expected = torch.where(bad, -slope.square().sum(dim=(1, 2)), expected)
        # Both: the first says little before the curvature is known, and the second after too short a step. Where
        # nothing fell, rounding stands in the way of more.
        least = tolerance * value + 1e-9
        ended = ended | ((-expected / 2 < least) & (fallen < least)) | (fallen <= 0)
        left = ~ended.all(dim=1)
        if not bool(left.all()):
            whole[active[~left]] = point[~left]
            if not bool(left.any()):
                break
            active, ended, value, fallen, expected = (each[left] for each in (active, ended, value, fallen, expected))
            point, slope, direction = point[left], slope[left], direction[left]
            steps, turns = [step[left] for step in steps], [turn[left] for turn in turns]
        moved, new_value, new_slope = _search(problem, point, value, slope, direction, expected, active, ended)
        steps, turns = [*steps, moved - point][-_HISTORY:], [*turns, new_slope - slope][-_HISTORY:]
        fallen = torch.where(ended, fallen, value - new_value)
        point, value, slope = moved, new_value, new_slope
    else:
        whole[active] = point
    weights = whole / problem.scale
    return weights[:, :-1], weights[:, -1]


class _Problem:
    """The losses of all tasks and their slopes, in the coordinates of the solver."""

    def __init__(
        self, spaces: Sequence[Space], labels: Sequence[torch.Tensor], classes: int, penalties: torch.Tensor
    ) -> None:
        device = spaces[0].rows.device
        rows = max(space.fitted for space in spaces)
        axes = max(space.rows.shape[1] for space in spaces)
        shape = (len(spaces), rows, axes)
        # A single space, which may be large, is not copied.
        alone = len(spaces) == 1
        self.rows = spaces[0].rows[None, :rows] if alone else torch.zeros(shape, device=device)
        tasks = len(labels[0])
        self.weights = torch.zeros(len(spaces), rows, tasks, device=device)
        self.labels = torch.zeros(len(spaces), rows, tasks, dtype=torch.long, device=device)
        self.absent = torch.zeros(len(spaces), classes, tasks, device=device)
        spread = torch.zeros(len(spaces), axes, device=device)
        for place, (space, own) in enumerate(zip(spaces, labels, strict=True)):
            if not alone:
                self.rows[place, : space.fitted, : space.rows.shape[1]] = space.rows[: space.fitted]
            weights, present = label_weights(own, classes)
            self.weights[place, : space.fitted] = weights.T
            self.labels[place, : space.fitted] = own.T.clamp(min=0)
            self.absent[place] = torch.where(present.T, 0.0, -1e30)
            spread[place, : len(space.spread)] = space.spread
        self.penalties = penalties.to(device)
        curvature = spread[:, :, None] / classes + self.penalties[:, None]
        self.scale = torch.cat([curvature, torch.full_like(curvature[:, :1], 1 / classes)], dim=1).sqrt()[:, :, None]
        self.classes = classes

    def value_and_slope(self, point: torch.Tensor, active: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses (A x T) and slopes (A x D + 1 x K x T) in A of the spaces."""
        every = len(active) == len(self.rows)
        scale, penalties, absent, weights, labels, rows = (
            each if every else each[active]
            for each in (self.scale, self.penalties, self.absent, self.weights, self.labels, self.rows)
        )
        plain = point / scale
        flat, bias = plain[:, :-1].flatten(2), (plain[:, -1] + absent)[:, None]
        value = penalties * plain[:, :-1].square().sum(dim=(1, 2)) / 2
        slope = penalties[:, None, None] * plain
        slope[:, -1] = 0.0
        block = max(1, _CELLS // max(1, len(active) * self.classes * weights.shape[2]))
        for start in range(0, rows.shape[1], block):
            own = slice(start, start + block)
            part, weight, wanted = rows[:, own], weights[:, own], labels[:, own, None]
            logits = torch.bmm(part, flat).view(*part.shape[:2], *plain.shape[2:]).add_(bias)
            logits.sub_(logits.amax(dim=2, keepdim=True))
            right = logits.gather(2, wanted)[:, :, 0]
            chances = logits.exp_()
            total = chances.sum(dim=2)
            value = value + (weight * (total.log() - right)).sum(dim=1)
            chances.mul_((weight / total)[:, :, None])
            chances.scatter_add_(2, wanted, -weight[:, :, None])
            slope[:, :-1] += torch.bmm(part.transpose(1, 2), chances.flatten(2)).view(slope[:, :-1].shape)
            slope[:, -1] += chances.sum(dim=1)
        return value, slope / scale


def _two_loops(slope: torch.Tensor, steps: list[torch.Tensor], turns: list[torch.Tensor]) -> torch.Tensor:
    """The quasi-Newton direction of every task; a step along which nothing turned counts for nothing."""
    if not steps:
        return slope

    def dot(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return (first * second).sum(dim=(1, 2), keepdim=True)

    inverse = []
    for step, turn in zip(steps, turns, strict=True):
        along = dot(step, turn)
        inverse.append(torch.where(along > 1e-12, 1 / along.clamp(min=1e-12), 0.0))
    found, kept = slope.clone(), []
    for step, turn, rate in zip(reversed(steps), reversed(turns), reversed(inverse), strict=True):
        share = rate * dot(step, found)
        found.addcmul_(share, turn, value=-1)
        kept.append(share)
    ratio = dot(steps[-1], turns[-1]) / dot(turns[-1], turns[-1]).clamp(min=1e-30)
    found *= torch.where(ratio > 0, ratio, 1.0)
    for step, turn, rate, share in zip(steps, turns, inverse, reversed(kept), strict=True):
        found.addcmul_(share - rate * dot(turn, found), step)
    return found


def _search(
    problem: _Problem,
    point: torch.Tensor,
    value: torch.Tensor,
    slope: torch.Tensor,
    direction: torch.Tensor,
    expected: torch.Tensor,
    active: torch.Tensor,
    ended: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Halve the step of each task until its loss falls by a tenth of what the slope promises (Armijo's rule).

    Tasks that have ended stay where they are.
    """
    rate = torch.where(ended, 0.0, 1.0)
    for _ in range(20):
        moved = torch.addcmul(point, rate[:, None, None], direction)
        new_value, new_slope = problem.value_and_slope(moved, active)
        # The loss is a float32 sum: what is within its rounding counts as fallen.
        short = ~ended & (new_value > value + 0.1 * rate * expected + 1e-6 * value.abs())
        if not bool(short.any()):
            break
        rate = torch.where(short, rate / 2, rate)
    else:  # no step helps: stay, and the next round ends the task
        moved = torch.where(short[:, None, None], point, moved)
        new_value, new_slope = torch.where(short, value, new_value), torch.where(short[:, None, None], slope, new_slope)
    return moved, new_value, new_slope


def _log_sum(logits: torch.Tensor) -> torch.Tensor:
    top = logits.amax(dim=1, keepdim=True)
    return top + (logits - top).exp().sum(dim=1, keepdim=True).log()
