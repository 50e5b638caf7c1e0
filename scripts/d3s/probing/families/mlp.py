"""Small networks with one hidden layer, trained on all rows at once, many of them as one batch.

The hidden layer is added to a linear probe that is already fitted, so that what a line tells is told from the start:
networks from nothing told less than linear probes of features that training had rid of most of a label, where what is
left lies in directions of little spread. How complex a probe is, is how long its hidden layer is trained: one run gives
the probes of all numbers of steps, 0 among them. Hidden layers start from weights hashed from their tasks' seeds.
"""

from collections.abc import Sequence

import torch

from d3s.probing.families import linear
from d3s.probing.space import Space, label_weights

HIDDEN = 32
BASE = linear.PENALTIES.index(1e-3)
"""Among the penalties of linear probes: what is penalised more leaves too much to the hidden layer, and a weaker
penalty too little."""
STEPS = (0, 3, 8, 16)
DEFAULT = 1
RATE = 0.003
_BETAS = (0.9, 0.99)
_CELLS = 24_000_000


def log_probabilities(
    spaces: Sequence[Space],
    labels: Sequence[torch.Tensor],
    classes: int,
    seeds: Sequence[list[int]],
    complexity: Sequence[torch.Tensor] | None = None,
) -> list[torch.Tensor]:
    """As ``d3s.probing.families.linear.log_probabilities``, with places in ``STEPS``."""
    bases = [torch.full((len(own),), BASE) for own in labels]
    linear_parts = linear.log_probabilities(spaces, labels, classes, seeds, bases)
    return [
        _in_parts(space, own, part, starts, None if complexity is None else complexity[place])
        for place, (space, own, part, starts) in enumerate(zip(spaces, labels, linear_parts, seeds, strict=True))
    ]


def _in_parts(
    space: Space,
    labels: torch.Tensor,
    linear_part: torch.Tensor,
    seeds: list[int],
    steps: torch.Tensor | None,
) -> torch.Tensor:
    """As many tasks at once as there is room for."""
    most = max(1, _CELLS // max(1, HIDDEN * (len(space.rows) + 4 * space.rows.shape[1])))
    parts = []
    for start in range(0, len(labels), most):
        own = slice(start, start + most)
        chosen = None if steps is None else steps[own]
        parts.append(_train(space, labels[own], linear_part[own], seeds[own], chosen))
    return torch.cat(parts, dim=1 if steps is None else 0)


def _train(
    space: Space,
    labels: torch.Tensor,
    linear_part: torch.Tensor,
    seeds: list[int],
    complexity: torch.Tensor | None,
) -> torch.Tensor:
    """Of S numbers of steps (or of each task's own), T x (N + M) x K logarithms of probabilities."""
    tasks, axes, classes = len(labels), space.rows.shape[1], linear_part.shape[2]
    weights, _ = label_weights(labels, classes)
    fitted_part = linear_part[:, : space.fitted]
    # Coordinates of about 1, so that one rate serves parts of any size.
    rows = space.rows / space.spread.sum().clamp(min=1e-12).sqrt() * axes**0.5
    inner = rows[: space.fitted]
    wanted = torch.nn.functional.one_hot(labels.clamp(min=0), classes).float()
    parameters = _start(axes, classes, seeds)
    moments = [(torch.zeros_like(each), torch.zeros(tasks, 1, 1)) for each in parameters]
    last = max(STEPS) if complexity is None else max(STEPS[int(place)] for place in complexity)
    shape = (tasks, len(rows), classes)
    found = torch.empty(*((len(STEPS), *shape) if complexity is None else shape))
    batch = inner.expand(tasks, -1, -1)
    for step in range(last + 1):
        if step in STEPS:
            place = STEPS.index(step)
            if complexity is None:
                found[place] = _told(rows, parameters, linear_part)
            elif bool((complexity == place).any()):
                own = torch.nonzero(complexity == place)[:, 0]
                found[own] = _told(rows, [each[own] for each in parameters], linear_part[own])
        into, bias, out, out_bias = parameters
        hidden = torch.baddbmm(bias, batch, into).relu_()
        chances = _softmax(torch.baddbmm(fitted_part, hidden, out).add_(out_bias))
        error = (chances - wanted).mul_(weights[:, :, None])
        back = torch.bmm(error, out.transpose(1, 2)).mul_(hidden > 0)
        slopes = (
            torch.bmm(inner.T.expand(tasks, -1, -1), back),
            back.sum(dim=1, keepdim=True),
            torch.bmm(hidden.transpose(1, 2), error),
            error.sum(dim=1, keepdim=True),
        )
        _adam(parameters, slopes, moments, step + 1)
    return found


def _start(axes: int, classes: int, seeds: list[int]) -> list[torch.Tensor]:
    """Kaiming's start for the hidden layer; an output of zeros, so that a probe starts from telling nothing."""
    into = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        into.append(torch.randn(axes, HIDDEN, generator=generator) * (2 / axes) ** 0.5)
    count = len(seeds)
    return [
        torch.stack(into),
        torch.zeros(count, 1, HIDDEN),
        torch.zeros(count, HIDDEN, classes),
        torch.zeros(count, 1, classes),
    ]


def _adam(
    parameters: list[torch.Tensor],
    slopes: tuple[torch.Tensor, ...],
    moments: list[tuple[torch.Tensor, torch.Tensor]],
    step: int,
) -> None:
    """Adam (Kingma and Ba 2015) with one second moment per layer of a network instead of one per weight.

    With one per weight the step is as long in directions in which rows hardly differ as in those in which they do: the
    rows are in principal axes, so that is noise. Such probes told less than linear ones.
    """
    first, second = _BETAS
    rate = RATE / (1 - first**step)
    for parameter, slope, (mean, square) in zip(parameters, slopes, moments, strict=True):
        mean.mul_(first).add_(slope, alpha=1 - first)
        square.mul_(second).add_(slope.square().mean(dim=(1, 2), keepdim=True), alpha=1 - second)
        size = (square / (1 - second**step)).sqrt_().add_(1e-12)
        parameter.addcdiv_(mean, size.expand_as(mean), value=-rate)


def _told(rows: torch.Tensor, parameters: list[torch.Tensor], linear_part: torch.Tensor) -> torch.Tensor:
    into, bias, out, out_bias = parameters
    hidden = torch.baddbmm(bias, rows.expand(len(into), -1, -1), into).relu_()
    logits = torch.baddbmm(linear_part, hidden, out).add_(out_bias)
    return logits - logits.logsumexp(dim=2, keepdim=True)


def _softmax(logits: torch.Tensor) -> torch.Tensor:
    chances = logits.sub_(logits.amax(dim=2, keepdim=True)).exp_()
    return chances.div_(chances.sum(dim=2, keepdim=True))
