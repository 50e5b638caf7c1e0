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
        spaces: Sequence[Space],
        labels: Sequence[torch.Tensor],
        classes: int,
        seeds: Sequence[list[int]],
        complexity: Sequence[torch.Tensor] | None = None,
    ) -> list[torch.Tensor]:
        """Fit T tasks in each of several spaces and tell the labels of all rows.

        Returns:
            Of each space T x (N + M) x K logarithms of probabilities. Without ``complexity`` (a place in the family's
            list for each task) those of all complexities, G x T x (N + M) x K, the simplest first.
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
        classes: K, the labels of all fitted rows of all spaces that are handled together.
    """

    fitted: np.ndarray
    others: np.ndarray
    groups: np.ndarray
    classes: int

    @property
    def bits(self) -> float:
        """What a label takes that nothing is known of: log2 of the number of labels that were fitted."""
        return float(np.log2(len(np.unique(self.fitted))))


def coded(fitted: np.ndarray, others: np.ndarray, groups: np.ndarray, names: np.ndarray | None = None) -> Labels:
    """Labels as numbers, in the order of their names: of all names, or of those that are fitted."""
    names = np.unique(fitted if names is None else names)
    numbers = np.searchsorted(names, fitted)
    place = np.searchsorted(names, others).clip(max=len(names) - 1)
    known = (names[place] == others) & np.isin(others, fitted) if len(others) else np.zeros(0, dtype=bool)
    return Labels(numbers, np.where(known, place, -1), groups, len(names))


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
    family: Family,
    spaces: Sequence[Space],
    labels: Sequence[Labels],
    choices: Sequence[Choice],
    permutations: int,
    seed: int,
    *identity: object,
) -> list[Told]:
    """Fit a probe in each space, its complexity chosen inside the fitted rows, and the same one to permuted labels.

    Args:
        family: kind of probe.
        spaces, labels: the rows.
        choices: pairs of fitted rows to choose the complexity by.
        permutations: how many.
        seed, identity: of permutations and initialisations.
    """
    if not spaces:
        return []
    tasks, seeds = [], []
    for cell, own in enumerate(labels):
        made = [own.fitted]
        for number in range(permutations):
            made.append(permuted(own.fitted, own.groups, seed, "probe.permutation", *identity, cell, number))
        tasks.append(np.stack(made))
        seeds.append([hashed_seed(seed, "probe.start", *identity, cell, number) for number in range(len(made))])
    classes = max(own.classes for own in labels)
    places = choose(
        family,
        spaces,
        [own[:1] for own in tasks],
        [choice.fit[None] for choice in choices],
        [choice.held[None] for choice in choices],
        classes,
        [own[:1] for own in seeds],
    )
    found = family.log_probabilities(
        spaces,
        [torch.from_numpy(own) for own in tasks],
        classes,
        seeds,
        [place.repeat(permutations + 1) for place in places],
    )
    made_of = zip(spaces, labels, found, strict=True)
    return [_told(own, told[:, space.fitted :].numpy(), permutations) for space, own, told in made_of]


def _told(labels: Labels, told: np.ndarray, permutations: int) -> Told:
    known = np.where(labels.others < 0, np.nan, 0.0)
    right = told.argmax(axis=2) == labels.others
    of_right = told[0][np.arange(len(known)), labels.others.clip(min=0)].astype(np.float64)
    gain = labels.bits + np.where(labels.others < 0, 0.0, of_right) / np.log(2)
    chance = right[1:].mean(axis=0) if permutations else np.full(len(known), np.nan)
    return Told(right[0] + known, gain + known, chance + known)


def choose(
    family: Family,
    spaces: Sequence[Space],
    labels: Sequence[np.ndarray],
    fit: Sequence[np.ndarray],
    held: Sequence[np.ndarray],
    classes: int,
    seeds: Sequence[list[int]],
) -> list[torch.Tensor]:
    """The complexity of each task with the least cross entropy on rows held out of its fit; of equals the simplest.

    Args:
        family, spaces, classes: as ``tell``.
        labels: of each space T x N.
        fit, held: of each space T x I x N; the loss is summed over the I pairs.
        seeds: of each space T.

    Returns:
        Of each space T places; the family's default where no held row has a label that was fitted on.
    """
    tasks, pairs = len(labels[0]), max(each.shape[1] for each in fit)
    if not pairs:
        return [torch.full((tasks,), family.DEFAULT) for _ in spaces]
    inner, starts, wholes, counted = [], [], [], []
    for own, own_fit, own_held, own_seeds in zip(labels, fit, held, seeds, strict=True):
        # Spaces with fewer pairs get empty ones, so that all have as many tasks.
        lacking = np.zeros((tasks, pairs - own_fit.shape[1], own.shape[1]), dtype=bool)
        chosen = np.concatenate([own_fit, lacking], axis=1).reshape(tasks * pairs, -1)
        tested = np.concatenate([own_held, lacking], axis=1).reshape(tasks * pairs, -1)
        whole = np.repeat(own, pairs, axis=0)
        fitted = np.stack([np.isin(row, row[rows]) for row, rows in zip(whole, chosen, strict=True)])
        inner.append(torch.from_numpy(np.where(chosen, whole, -1)))
        starts.append([hashed_seed(each, "probe.choice", pair) for each in own_seeds for pair in range(pairs)])
        wholes.append(torch.from_numpy(whole))
        counted.append(torch.from_numpy(tested & fitted))
    places = []
    found = family.log_probabilities(spaces, inner, classes, starts)
    for space, told, whole_labels, rows in zip(spaces, found, wholes, counted, strict=True):
        wanted = whole_labels[None, :, :, None].expand(len(told), -1, -1, 1)
        right = told[:, :, : space.fitted].gather(3, wanted)[..., 0]
        loss = -torch.where(rows, right, 0.0).double().sum(dim=2).view(-1, tasks, pairs).sum(dim=2)
        some = rows.view(tasks, -1).any(dim=1)
        places.append(torch.where(some, loss.argmin(dim=0), family.DEFAULT))
    return places


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
    pairs = (~tested & ~held)[:, None], (held & (number > 2))[:, None]
    places = choose(family, [space], [whole], [pairs[0]], [pairs[1]], labels.classes, [starts])
    fitted = torch.from_numpy(np.where(tested, -1, whole))
    (told,) = family.log_probabilities([space], [fitted], labels.classes, [starts], places)
    right = (told[:, : space.fitted].numpy().argmax(axis=2) == whole).astype(np.float64)
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
    (told,) = family.log_probabilities([space], [torch.from_numpy(tasks)], labels.classes, [starts])
    cost = -told[:, :, : space.fitted].numpy()[..., np.arange(len(blocks)), labels.fitted].astype(np.float64) / np.log(
        2
    )  # G x T x N
    spent = np.zeros(len(cost))
    for block in range(1, number):
        own = blocks == block
        place = int(spent.argmin()) if block > 1 else family.DEFAULT
        bits[own] = cost[place, block - 1, own]
        spent += cost[:, block - 1, own].sum(axis=1)
    return bits
