"""What a probe of one part tells, picture by picture (docs/probes.md has the formulas and sources).

Everything is a number per picture, so that means over seeds, differences between objectives and intervals over
exemplars and panoramas are all made by the same few lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from d3s.errors import D3SError
from d3s.identity import seed as hashed_seed
from d3s.probing.families import knn, linear, mlp
from d3s.probing.folds import Choice
from d3s.probing.labels import permuted
from d3s.probing.space import Space


class Family(Protocol):
    """A kind of probe: a module of ``d3s.probing.families``.

    Attributes:
        DEFAULT: the complexity where there is nothing to choose it by.
    """

    DEFAULT: int

    def log_probabilities(
        self,
        space: Space,
        labels: torch.Tensor,
        classes: int,
        seeds: list[int],
        complexity: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Fit T tasks and tell the labels of all rows: T x (N + M) x K logarithms of probabilities.

        Without ``complexity`` (a place in the family's list for each task) those of all complexities, G x T x (N + M) x
        K, the simplest first.
        """


FAMILIES: dict[str, Family] = {"linear": linear, "mlp": mlp, "knn": knn}
"""Imported here rather than by name: a change of one changes the table of all."""


def load_family(name: str) -> Family:
    """A kind of probe by its name.

    Raises:
        D3SError: there is none of that name.
    """
    if name not in FAMILIES:
        raise D3SError(f"there is no probe {name!r}", f"put some of {', '.join(FAMILIES)} into probes: kinds")
    return FAMILIES[name]


@dataclass(frozen=True)
class Labels:
    """Of the rows of a space.

    Attributes:
        fitted: N whole numbers from 0.
        others: M likewise; -1 for a label that no fitted row has.
        groups: N groups in which the label is constant.
        classes: K.
    """

    fitted: np.ndarray
    others: np.ndarray
    groups: np.ndarray
    classes: int


def coded(fitted: np.ndarray, others: np.ndarray, groups: np.ndarray) -> Labels:
    """Labels as numbers, in the order of their names."""
    names, numbers = np.unique(fitted, return_inverse=True)
    place = np.searchsorted(names, others).clip(max=len(names) - 1)
    return Labels(numbers, np.where(names[place] == others, place, -1), groups, len(names))


@dataclass(frozen=True)
class Told:
    """What a probe told of the M rows that it was not fitted on; NaN where the label was in no fitted row.

    Attributes:
        right: 1 or 0.
        gain: bits that it saved of the right label's, against telling nothing (``log2 K + log2 p``).
        chance: as ``right``, mean over probes fitted to permuted labels.
    """

    right: np.ndarray
    gain: np.ndarray
    chance: np.ndarray


def tell(
    family: Family, space: Space, labels: Labels, choice: Choice, permutations: int, seed: int, *identity: object
) -> Told:
    """Fit a probe, its complexity chosen inside the fitted rows, and the same one to permuted labels.

    Args:
        family: kind of probe.
        space, labels: the rows.
        choice: pairs of fitted rows to choose the complexity by.
        permutations: how many.
        seed, identity: of permutations and initialisations.
    """
    if labels.classes < 2:
        known = np.where(labels.others < 0, np.nan, 0.0)
        return Told(known + 1, known, known + 1)
    tasks = [labels.fitted]
    for number in range(permutations):
        tasks.append(permuted(labels.fitted, labels.groups, seed, "probe.permutation", *identity, number))
    seeds = [hashed_seed(seed, "probe.start", *identity, number) for number in range(len(tasks))]
    place = choose(family, space, labels.fitted[None], choice.fit[None], choice.held[None], labels.classes, seeds[:1])
    told = family.log_probabilities(
        space, torch.from_numpy(np.stack(tasks)), labels.classes, seeds, place.repeat(len(tasks))
    )[:, space.fitted :].numpy()
    known = np.where(labels.others < 0, np.nan, 0.0)
    right = told.argmax(axis=2) == labels.others
    of_right = told[0][np.arange(len(known)), labels.others.clip(min=0)]
    gain = (np.log(labels.classes) + of_right.astype(np.float64)) / np.log(2)
    chance = right[1:].mean(axis=0) if permutations else np.full(len(known), np.nan)
    return Told(right[0] + known, gain + known, chance + known)


def choose(
    family: Family,
    space: Space,
    labels: np.ndarray,
    fit: np.ndarray,
    held: np.ndarray,
    classes: int,
    seeds: Sequence[int],
) -> torch.Tensor:
    """The complexity of each task with the least cross entropy on rows held out of its fit; of equals the simplest.

    Args:
        family, space, classes: as ``tell``.
        labels: T x N.
        fit, held: T x I x N; the loss is summed over the I pairs.
        seeds: T.

    Returns:
        T places; the family's default where no held row has a label that was fitted on.
    """
    tasks, pairs = fit.shape[:2]
    if not pairs:
        return torch.full((tasks,), family.DEFAULT)
    whole = np.broadcast_to(labels[:, None], fit.shape)
    inner = np.where(fit, whole, -1).reshape(tasks * pairs, -1)
    starts = [hashed_seed(seed, "probe.choice", pair) for seed in seeds for pair in range(pairs)]
    told = family.log_probabilities(space, torch.from_numpy(inner), classes, starts)[:, :, : space.fitted]
    right = told.gather(
        3, torch.from_numpy(whole.reshape(tasks * pairs, -1).copy())[None, :, :, None].expand(len(told), -1, -1, 1)
    )
    fitted = np.stack([np.isin(whole[t, i], whole[t, i][fit[t, i]]) for t in range(tasks) for i in range(pairs)])
    counted = torch.from_numpy(held.reshape(tasks * pairs, -1) & fitted)
    loss = -torch.where(counted, right[..., 0], 0.0).double().sum(dim=2).view(-1, tasks, pairs).sum(dim=2)
    rows = counted.view(tasks, -1).sum(dim=1)
    return torch.where(rows > 0, loss.argmin(dim=0), family.DEFAULT)


def control(
    family: Family, space: Space, labels: Labels, folds: np.ndarray, controls: int, seed: int, *identity: object
) -> np.ndarray:
    """Score on control tasks (Hewitt and Liang 2019): what a probe can learn by heart about groups.

    A control task gives every group a label at random (``labels.permuted``); it can be learnt only where a group is met
    again. So the tested rows show groups that were fitted on, but nothing else of them: ``folds`` parts the other kind
    of group (panoramas if labels belong to exemplars).

    Args:
        family, space, labels: as ``tell``; all rows are fitted rows of the space.
        folds: N folds, at least three for a choice of complexity.
        controls: how many tasks.
        seed, identity: of the tasks.

    Returns:
        N scores, means over control tasks; NaN where a group was not met again.
    """
    number = int(folds.max()) + 1
    if number < 2 or labels.classes < 2:
        return np.full(len(folds), np.nan)
    tasks, starts = [], []
    for task in range(controls):
        own = permuted(labels.fitted, labels.groups, seed, "probe.control", *identity, task)
        tasks += [own] * number
        starts += [hashed_seed(seed, "probe.start", *identity, "control", task, fold) for fold in range(number)]
    whole = np.stack(tasks)
    tested = np.stack([folds == fold for fold in range(number)] * controls)
    held = np.stack([folds == (fold + 1) % number for fold in range(number)] * controls)
    place = choose(
        family, space, whole, (~tested & ~held)[:, None], (held & (number > 2))[:, None], labels.classes, starts
    )
    fitted = torch.from_numpy(np.where(tested, -1, whole))
    told = family.log_probabilities(space, fitted, labels.classes, starts, place)[:, : space.fitted].numpy()
    right = (told.argmax(axis=2) == whole).astype(np.float64)
    met = np.stack([np.isin(labels.groups, labels.groups[~out]) for out in tested])
    right[~(tested & met)] = np.nan
    known = ~np.isnan(right)
    return np.where(known.any(axis=0), np.nansum(right, axis=0) / np.maximum(known.sum(axis=0), 1), np.nan)


def codelength(
    family: Family, space: Space, labels: Labels, blocks: np.ndarray, seed: int, *identity: object
) -> np.ndarray:
    """Bits per picture of the online code (Voita and Titov 2020): each block is coded by a probe of those before it.

    Block 0 is sent at log2 K bits a picture. The complexity with which a block is coded is the one that would have
    coded all earlier blocks the shortest, so that sender and receiver agree on it without a word.

    Args:
        family, space, labels: as ``control``.
        blocks: N blocks (``folds.online_blocks``).
        seed, identity: of initialisations.

    Returns:
        N bits.
    """
    bits = np.full(len(blocks), np.log2(max(labels.classes, 1)))
    number = int(blocks.max()) + 1
    if labels.classes < 2 or number < 2:
        return bits
    tasks = np.stack([np.where(blocks < block, labels.fitted, -1) for block in range(1, number)])
    starts = [hashed_seed(seed, "probe.start", *identity, "code", block) for block in range(1, number)]
    told = family.log_probabilities(space, torch.from_numpy(tasks), labels.classes, starts)[:, :, : space.fitted]
    cost = -told.numpy()[..., np.arange(len(blocks)), labels.fitted].astype(np.float64) / np.log(2)  # G x T x N
    spent = np.zeros(len(cost))
    for block in range(1, number):
        own = blocks == block
        place = int(spent.argmin()) if block > 1 else family.DEFAULT
        bits[own] = cost[place, block - 1, own]
        spent += cost[:, block - 1, own].sum(axis=1)
    return bits
