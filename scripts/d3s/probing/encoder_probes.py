"""All probes of one encoder: every kind, of class and background, from every part, on images and on guides."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from d3s.errors import D3SError
from d3s.features import PARTS, TARGETS, Features
from d3s.identity import seed as hashed_seed
from d3s.probing.folds import Choice, both_folds, choice_of, crossfit_splits, online_blocks
from d3s.probing.labels import GROUPS
from d3s.probing.measures import Family, Told, coded, codelength, control, load_family, tell
from d3s.probing.settings import ProbeSettings
from d3s.probing.space import one_thread, space_of

log = logging.getLogger(__name__)
CONTROL_FOLDS = 3
"""Folds of the groups that a control task's labels do not belong to."""
TRAIN = "images_train"


class Key(NamedTuple):
    """Which probe: what it tells, from which part, and where it was fitted and tried."""

    features: str
    target: str
    probe: str
    fitted_on: str
    evaluated_on: str


@dataclass(frozen=True)
class Outcome:
    """How a probe did on each picture of a data set.

    Attributes:
        metrics: by metric, N numbers; NaN for a picture that could not be tried, since no fitted row had its label.
        labels: how many labels there are.
    """

    metrics: dict[str, np.ndarray]
    labels: int


@dataclass(frozen=True)
class Plan:
    """Which rows of a data set of val are fitted on, chosen with and tried on; the same for all parts and probes."""

    splits: list[tuple[np.ndarray, np.ndarray]]
    choices: list[Choice]

    @classmethod
    def of(cls, rows: pd.DataFrame, settings: ProbeSettings, seed: int) -> "Plan":
        """Plan the cross-fitting of a data set."""
        splits = list(crossfit_splits(rows, settings.folds, settings.template_folds, seed))
        return cls(splits, [choice_of(rows.iloc[fit], seed) for fit, _ in splits])


def probe_encoder(features: Features, settings: ProbeSettings) -> dict[Key, Outcome]:
    """All probes of one encoder.

    Folds, permutations and initialisations depend on the encoder's seed and not on its objective, so that objectives
    are compared on the same ones while means over seeds are means over many.

    Returns:
        Outcomes whose rows are those of the val images, or of the guides.

    Raises:
        D3SError: a feature is not a number, or a data set has too few groups to try anything.
    """
    _check(features)
    datasets: list[str] = [name for name in ("images_val", "guides_val") if name in features.matrices]
    kept: dict[Key, dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    families = {name: load_family(name) for name in settings.probes}
    with one_thread():
        for repeat in range(settings.repeats):
            seed = hashed_seed(settings.seed, "probes", features.seed, repeat)
            plans = {name: Plan.of(features.rows[name], settings, seed) for name in datasets}
            for part in PARTS:
                found = [_transfer(features, datasets, part, families, settings, seed)]
                found += [_crossfit(features, name, part, plans[name], families, settings, seed) for name in datasets]
                found += [_groups_by_heart(features, name, part, families, settings, seed) for name in datasets]
                for key, metrics in (pair for each in found for pair in each.items()):
                    for metric, values in metrics.items():
                        kept[key][metric].append(values)
    return {key: _outcome(features, key, metrics) for key, metrics in kept.items()}


def _check(features: Features) -> None:
    for dataset, matrix in features.matrices.items():
        bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        if len(bad):
            raise D3SError(
                f"the features of {features.objective}, seed {features.seed}, are not finite for {len(bad)} of "
                f"{dataset}, such as {features.rows[dataset]['sample'].iloc[bad[0]]}",
                "train that encoder again with a lower rate, and extract its features: snakemake probes",
            )
    for dataset in (TRAIN, "images_val"):
        if dataset not in features.matrices or not len(features.matrices[dataset]):
            raise D3SError(
                f"there are no features of accepted {dataset.replace('_', ' of ')}",
                "make more images, or loosen the screen, and extract the features again: snakemake probes",
            )


def _outcome(features: Features, key: Key, metrics: dict[str, list[np.ndarray]]) -> Outcome:
    """Means over repeats, and selectivity from them."""
    means = {metric: np.mean(values, axis=0) for metric, values in metrics.items()}
    told = means["top1"]
    if np.isnan(told).all():
        raise D3SError(
            f"no picture can be tested in {key.evaluated_on} of val ({TARGETS[key.target]}): every label has a single "
            "group there",
            "give each class exemplars of at least two split groups, and each background two template groups, in val",
        )
    missed = int(np.isnan(told).sum())
    if missed and key.features == "all" and key.probe == "linear":
        log.warning(
            "%d of %d %s of val are left out of the probes of %s fitted on %s: too few groups with their label",
            *(missed, len(told), key.evaluated_on, TARGETS[key.target], key.fitted_on),
        )
    if "control" in means:
        means["selectivity"] = told - means["control"]
    labels = len(np.unique(features.labels(f"{key.evaluated_on}_val", key.target)))
    return Outcome(means, labels)


Found = dict[Key, dict[str, np.ndarray]]


def _transfer(
    features: Features,
    datasets: list[str],
    part: str,
    families: dict[str, Family],
    settings: ProbeSettings,
    seed: int,
) -> Found:
    """Fitted on train images, tried on all of val: no exemplar and no panorama's sector is in both splits."""
    rows = features.rows[TRAIN]
    new = np.concatenate([features.part(name, part) for name in datasets])
    space = space_of(features.part(TRAIN, part), new)
    choice = choice_of(rows, seed)
    ends = np.cumsum([len(features.rows[name]) for name in datasets])[:-1]
    found: Found = {}
    for target in TARGETS:
        others = np.concatenate([features.labels(name, target) for name in datasets])
        labels = coded(features.labels(TRAIN, target), others, rows[GROUPS[target]].to_numpy())
        for name, family in families.items():
            (told,) = tell(family, [space], [labels], [choice], settings.permutations, seed, target, "train")
            for dataset, *values in zip(datasets, *(np.split(v, ends) for v in _arrays(told)), strict=True):
                key = Key(part, target, name, "train", dataset.removesuffix("_val"))
                found[key] = _metrics(*values)
    return found


def _crossfit(
    features: Features,
    dataset: str,
    part: str,
    plan: Plan,
    families: dict[str, Family],
    settings: ProbeSettings,
    seed: int,
) -> Found:
    """Fitted and tried inside one data set of val, on other exemplars and other panoramas."""
    rows, matrix = features.rows[dataset], features.part(dataset, part)
    evaluated = dataset.removesuffix("_val")
    shape = (3, len(rows))
    arrays = {(target, name): np.full(shape, np.nan) for target in TARGETS for name in families}
    # Folds of one size are fitted together, in one batch.
    spaces = [space_of(matrix[fit], matrix[test]) for fit, test in plan.splits]
    for target in TARGETS:
        names, groups = features.labels(dataset, target), rows[GROUPS[target]].to_numpy()
        labels = [coded(names[fit], names[test], groups[fit], names) for fit, test in plan.splits]
        for name, family in families.items():
            found = tell(family, spaces, labels, plan.choices, settings.permutations, seed, target, evaluated)
            for (_, test), told in zip(plan.splits, found, strict=True):
                arrays[target, name][:, test] = _arrays(told)
    return {
        Key(part, target, name, "val_crossfit", evaluated): _metrics(*values)
        for (target, name), values in arrays.items()
    }


def _groups_by_heart(
    features: Features, dataset: str, part: str, families: dict[str, Family], settings: ProbeSettings, seed: int
) -> Found:
    """Control tasks and codelengths inside one data set of val.

    Both may standardise by all rows: a code's receiver has the features of all pictures, and only labels are sent.
    """
    rows, matrix = features.rows[dataset], features.part(dataset, part)
    evaluated = dataset.removesuffix("_val")
    space = space_of(matrix, matrix[:0])
    exemplars, templates = both_folds(rows, CONTROL_FOLDS, CONTROL_FOLDS, seed)
    found: Found = {}
    for target, folds in (("foreground", templates), ("background", exemplars)):
        groups = rows[GROUPS[target]].to_numpy()
        labels = coded(features.labels(dataset, target), np.array([], dtype=str), groups)
        blocks = online_blocks(groups, labels.fitted, seed)
        for name, family in families.items():
            own = (target, evaluated)
            found[Key(part, target, name, "val_crossfit", evaluated)] = {
                "control": control(family, space, labels, folds, settings.controls, seed, *own),
                "mdl": codelength(family, space, labels, blocks, seed, *own),
            }
    return found


def _arrays(told: Told) -> Iterable[np.ndarray]:
    return np.stack([told.right, told.gain, told.chance])


def _metrics(right: np.ndarray, gain: np.ndarray, chance: np.ndarray) -> dict[str, np.ndarray]:
    return {"top1": right, "v_information": gain, "chance": chance}


def rows_of(features: Features) -> dict[str, pd.DataFrame]:
    """By ``images`` and ``guides``, the rows that the outcomes of an encoder stand for."""
    return {
        name.removesuffix("_val"): features.rows[name] for name in ("images_val", "guides_val") if name in features.rows
    }
