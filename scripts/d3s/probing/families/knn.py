"""Nearest neighbours: the labels of the k most alike fitted rows, by cosine of standardised features.

Every neighbour's vote weighs inversely to how common its label is among the fitted rows, and every label has one vote
shared out beforehand (Laplace), so that probabilities are never 0.
"""

from collections.abc import Sequence

import torch

from d3s.probing.space import Space, label_weights

NEIGHBOURS = (64, 32, 16, 8, 4, 2, 1)
DEFAULT = 3
_BLOCK = 4096


def log_probabilities(
    spaces: Sequence[Space],
    labels: Sequence[torch.Tensor],
    classes: int,
    seeds: Sequence[list[int]],
    complexity: Sequence[torch.Tensor] | None = None,
) -> list[torch.Tensor]:
    """As ``d3s.probing.families.linear.log_probabilities``, with places in ``NEIGHBOURS``."""
    return [
        _of_space(space, labels[place], classes, seeds[place], None if complexity is None else complexity[place])
        for place, space in enumerate(spaces)
    ]


def _of_space(
    space: Space, labels: torch.Tensor, classes: int, seeds: list[int], complexity: torch.Tensor | None
) -> torch.Tensor:
    directions = space.rows / space.rows.square().sum(dim=1, keepdim=True).sqrt().clamp(min=1e-12)
    grid = range(len(NEIGHBOURS))
    weights, present = label_weights(labels, classes)
    weights = weights / weights.sum(dim=1, keepdim=True) * (labels >= 0).sum(dim=1, keepdim=True)
    made: dict[bytes, list[int]] = {}
    for task, known in enumerate((labels >= 0).numpy()):
        made.setdefault(known.tobytes(), []).append(task)
    shape = (len(labels), len(space.rows), classes)
    found = torch.empty(*((len(grid), *shape) if complexity is None else shape))
    for tasks in made.values():
        own = torch.nonzero(labels[tasks[0]] >= 0)[:, 0]
        if not len(own):  # a task without rows tells nothing
            found[..., tasks, :, :] = -torch.tensor(float(classes)).log()
            continue
        most = min(max(NEIGHBOURS), len(own))
        for start in range(0, len(directions), _BLOCK):
            rows = slice(start, start + _BLOCK)
            alike = directions[rows] @ directions[own].T
            near = own[alike.topk(most, dim=1).indices]
            for task in tasks:
                votes = torch.zeros(len(near), most, classes)
                votes.scatter_(2, labels[task][near][:, :, None], weights[task][near][:, :, None])
                counted = votes.cumsum(dim=1)
                chosen = grid if complexity is None else [int(complexity[task])]
                for place in chosen:
                    sums = counted[:, min(NEIGHBOURS[place], most) - 1] + present[task] / present[task].sum()
                    told = torch.where(present[task], (sums / sums.sum(dim=1, keepdim=True)).log(), -1e30)
                    found[(place, task, rows) if complexity is None else (task, rows)] = told
    return found
