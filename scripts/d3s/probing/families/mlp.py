"""Small networks with one hidden layer, trained on all rows at once, many of them as one batch.

How complex a probe is, is how long it is trained: one run gives the probes of all numbers of steps. Networks start from
weights that are hashed from their tasks' seeds.
"""

from collections.abc import Sequence

import torch

from d3s.probing.space import Space, label_weights

HIDDEN = 64
STEPS = (1, 3, 6, 10, 15, 22)
"""From the simplest probe, one step from nothing, to one that knows its rows by heart."""
DEFAULT = 3
RATE = 0.01
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
    return [
        _of_space(space, labels[place], classes, seeds[place], None if complexity is None else complexity[place])
        for place, space in enumerate(spaces)
    ]


def _of_space(
    space: Space, labels: torch.Tensor, classes: int, seeds: list[int], complexity: torch.Tensor | None
) -> torch.Tensor:
    most = max(1, _CELLS // max(1, HIDDEN * (len(space.rows) + 4 * space.rows.shape[1])))
    parts = [
        _train(
            space,
            labels[start : start + most],
            classes,
            seeds[start : start + most],
            None if complexity is None else complexity[start : start + most],
        )
        for start in range(0, len(labels), most)
    ]
    return torch.cat(parts, dim=1 if complexity is None else 0)


def _train(
    space: Space, labels: torch.Tensor, classes: int, seeds: list[int], complexity: torch.Tensor | None
) -> torch.Tensor:
    tasks, axes = len(labels), space.rows.shape[1]
    weights, present = label_weights(labels, classes)
    absent = torch.where(present, 0.0, -1e30)[:, None]
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
    for step in range(1, last + 1):
        into, bias, out, out_bias = parameters
        hidden = torch.baddbmm(bias, batch, into).relu_()
        chances = _softmax(torch.baddbmm(out_bias + absent, hidden, out))
        error = (chances - wanted).mul_(weights[:, :, None])
        back = torch.bmm(error, out.transpose(1, 2)).mul_(hidden > 0)
        slopes = (
            torch.bmm(inner.T.expand(tasks, -1, -1), back),
            back.sum(dim=1, keepdim=True),
            torch.bmm(hidden.transpose(1, 2), error),
            error.sum(dim=1, keepdim=True),
        )
        _adam(parameters, slopes, moments, step)
        if step in STEPS:
            place = STEPS.index(step)
            if complexity is None:
                found[place] = _told(rows, parameters, absent)
            elif bool((complexity == place).any()):
                own = torch.nonzero(complexity == place)[:, 0]
                found[own] = _told(rows, [each[own] for each in parameters], absent[own])
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


def _told(rows: torch.Tensor, parameters: list[torch.Tensor], absent: torch.Tensor) -> torch.Tensor:
    into, bias, out, out_bias = parameters
    hidden = torch.baddbmm(bias, rows.expand(len(into), -1, -1), into).relu_()
    logits = torch.baddbmm(out_bias, hidden, out) + absent
    return logits - logits.logsumexp(dim=2, keepdim=True)


def _softmax(logits: torch.Tensor) -> torch.Tensor:
    chances = logits.sub_(logits.amax(dim=2, keepdim=True)).exp_()
    return chances.div_(chances.sum(dim=2, keepdim=True))
