"""What the answers say of a classifier's reliance on backgrounds: ``spurious.csv``.

Where the table says ``mean``, answers are pooled over seeds or pairings. Intervals are clustered by exemplar and
panorama, and take seeds and pairings as they are.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from d3s.correlation.splits import Split
from d3s.errors import D3SError
from d3s.metrics.resampling import divided
from d3s.metrics.two_way_bootstrap import TwoWayBootstrap

KEY = ("objective", "seed", "features", "pairing", "rho", "method", "target", "tested_on", "metric")
COLUMNS = (*KEY, "value", "ci_low", "ci_high", "n")
"""Of ``spurious.csv``.

``rho`` is ``own`` where a data set came with its correlation. ``tested_on`` is a data set and a side (``images_cor``,
``guides_anticorr``, ``images_all``), or a data set alone for what compares sides. The metrics:

- ``top1``: accuracy; ``worst_class`` and ``worst_group``: of the class, or the class on one background, that does
  worst. The least of many noisy shares is less than the least true one, and the more so the smaller the groups.
- ``wrong_as_shown``: of the wrong answers on the anticorrelated side, the share that are a class paired with the
  background shown; ``wrong_as_shown_by_chance``: the share if wrong answers fell on all other classes alike.
- ``drop``: accuracy on the correlated side minus that on the other; ``drop_over_unbiased``: that minus the drop of the
  same kind of classifier trained at rho = 0, which exchanges the pictures of one side for those of the other in nothing
  but training; ``drop_over_network``: minus the drop of the network trained end to end by ``erm`` at rho = 1.
- ``gain``: accuracy minus that of ``erm``'s classifier on all features at the same rho; ``gap``: by how much the latter
  is better when trained at rho = 0, on as many images; ``gap_closed``: the gain's share of the gap.
"""
MEAN = "mean"
NETWORK = "end_to_end"
"""The objective that networks trained end to end stand under."""
SIDES = ("cor", "anticorr", "all")
_SUMS = ("cor", "cor_right", "anticorr", "anticorr_right", "shown", "by_chance")


@dataclass(frozen=True)
class Answers:
    """Answers (``answers.COLUMNS``) of the classifiers on one encoder's features, or of one network."""

    objective: str
    seed: int
    table: pd.DataFrame


@dataclass(frozen=True, order=True)
class Config:
    """What tells classifiers apart, other than seed and pairing."""

    objective: str
    features: str
    rho: str
    method: str
    target: str


@dataclass
class _Cell:
    """Classifiers that are judged together.

    Attributes:
        sums: N x 6, for each test row the ``_SUMS`` over classifiers: how often it was asked about on a side, how often
            told right; wrong answers that are the class shown, and how many would be by chance.
        classifiers: seed and pairing of each.
    """

    sums: np.ndarray
    classifiers: set[tuple[int, str]] = field(default_factory=set)

    @property
    def pairings(self) -> set[str]:
        return {pairing for _, pairing in self.classifiers}


@dataclass(frozen=True)
class _Test:
    """The test rows of one data set, over all splits: sample, class and background; and their draws."""

    rows: pd.DataFrame
    index: pd.Index
    draws: TwoWayBootstrap


def spurious_table(
    answers: Iterable[Answers], splits: Sequence[Split], groups: pd.DataFrame, seed: int, resamples: int = 500
) -> pd.DataFrame:
    """``spurious.csv``: rows of each seed (over pairings), of each pairing (over seeds), and of all together.

    Args:
        answers: of all encoders and networks, on one data set.
        splits: that they were trained and tested on.
        groups: of the data set (``groups.COLUMNS``).
        seed: of the draws.
        resamples: number of draws, of each kind.

    Raises:
        D3SError: an answer is about a sample that is not in its split.
    """
    tests: dict[str, _Test] = {}
    facts: dict[tuple[str, str], _Facts] = {}
    cells: dict[tuple[str, str, str], dict[Config, _Cell]] = {}
    known = {split.name: split for split in splits}
    for given in answers:
        for (name, dataset), part in given.table.groupby(["split", "dataset"], sort=True):
            if name not in known:
                raise D3SError(f"there are answers for the split {name}, which is not given", "make them again")
            split = known[name]
            if dataset not in tests:
                tests[dataset] = _test_of(splits, groups, dataset, seed, resamples)
            if (name, dataset) not in facts:
                facts[name, dataset] = _Facts.of(split, tests[dataset])
            for (features, method, target), own in part.groupby(["features", "method", "target"], sort=True):
                config = Config(given.objective, features, _rho(split), method, target)
                sums = facts[name, dataset].judge(own, tests[dataset], target, name)
                for of_seed, of_pairing in ((str(given.seed), MEAN), (MEAN, split.pairing.name), (MEAN, MEAN)):
                    group = cells.setdefault((dataset, of_seed, of_pairing), {})
                    cell = group.setdefault(config, _Cell(np.zeros_like(sums)))
                    cell.sums += sums
                    cell.classifiers.add((given.seed, split.pairing.name))
    records: list[dict[str, object]] = []
    for (dataset, of_seed, of_pairing), group in sorted(cells.items()):
        for config, record in _records(dataset, group, tests[dataset], of_seed == of_pairing == MEAN):
            records.append(vars(config) | {"seed": of_seed, "pairing": of_pairing} | record)
    return pd.DataFrame(records, columns=list(COLUMNS)).sort_values(list(KEY), ignore_index=True)


def _rho(split: Split) -> str:
    return "own" if math.isnan(split.rho) else f"{split.rho:g}"


def _test_of(splits: Sequence[Split], groups: pd.DataFrame, dataset: str, seed: int, resamples: int) -> _Test:
    uses = ("test", "test_guide") if dataset == "guides" else ("test",)
    parts = [split.rows(*uses)[["sample", "class", "background"]] for split in splits]
    rows = pd.concat(parts).drop_duplicates("sample").sort_values("sample", ignore_index=True)
    own = groups.set_index("sample").reindex(rows["sample"])
    if own["split_group"].isna().any():
        raise D3SError(f"the test pictures of {dataset} are not in the table of groups", "make the splits again")
    draws = TwoWayBootstrap.of(own["split_group"].tolist(), own["template_group"].tolist(), seed, resamples)
    return _Test(rows, pd.Index(rows["sample"].to_numpy(dtype=object)), draws)


@dataclass(frozen=True)
class _Facts:
    """What a split says of the test rows of a data set, worked out once for all classifiers.

    Attributes:
        paired: of N rows.
        truth: N names, by target.
        backgrounds: N names.
        shown: for each background, the classes that are paired with it and can be answered.
        chance: of N rows, how likely another class than the true one is one of them.
    """

    paired: np.ndarray
    truth: Mapping[str, np.ndarray]
    backgrounds: np.ndarray
    shown: Mapping[str, set[str]]
    chance: np.ndarray

    @classmethod
    def of(cls, split: Split, test: _Test) -> "_Facts":
        labels = set(split.rows("train")["class"])
        names = test.rows["background"].to_numpy(dtype=object)
        shown = {place: set(split.pairing.classes_of(place)) & labels for place in set(names)}
        # where a picture is not paired, its class is none of those shown
        chance = np.array([len(shown[place]) / max(len(labels) - 1, 1) for place in names])
        truth = {"foreground": test.rows["class"].to_numpy(dtype=object), "background": names}
        return cls(split.pairing.paired(test.rows).to_numpy(dtype=bool), truth, names, shown, chance)

    def judge(self, answers: pd.DataFrame, test: _Test, target: str, where: str) -> np.ndarray:
        """The ``_SUMS`` of one classifier: N x 6 of zeros and ones, and of chances."""
        places = test.index.get_indexer(answers["sample"])
        if (places < 0).any():
            raise D3SError(f"answers for the split {where} are about other pictures than it tests", "make them again")
        said = answers["answer"].to_numpy(dtype=object)
        paired, right = self.paired[places], said == self.truth[target][places]
        made = np.zeros((len(test.rows), len(_SUMS)))
        for column, rows in enumerate((paired, paired & right, ~paired, ~paired & right)):
            made[places, column] = rows
        if target == "foreground":
            wrong = np.flatnonzero(~paired & ~right)
            own = self.backgrounds[places[wrong]]
            made[places[wrong], 4] = [answer in self.shown[name] for answer, name in zip(said[wrong], own, strict=True)]
            made[places[wrong], 5] = self.chance[places[wrong]]
        return made


def _accuracy(sums: np.ndarray, side: str) -> np.ndarray:
    """Accuracies of R sums (R x 6)."""
    if side == "all":
        return divided(sums[:, 1] + sums[:, 3], sums[:, 0] + sums[:, 2])
    start = 0 if side == "cor" else 2
    return divided(sums[:, start + 1], sums[:, start])


def _drop(sums: np.ndarray) -> np.ndarray:
    return _accuracy(sums, "cor") - _accuracy(sums, "anticorr")


def _records(
    dataset: str, group: Mapping[Config, _Cell], test: _Test, whole: bool
) -> Iterable[tuple[Config, dict[str, object]]]:
    """The metrics of all classifiers of one seed and pairing.

    Args:
        dataset: that they were tested on.
        group: the classifiers.
        test: its rows.
        whole: of all seeds and pairings, with all metrics; others have accuracies, drops and gaps.
    """
    weights = np.concatenate([np.ones((1, len(test.rows))), test.draws.weights])
    drawn = {config: weights @ cell.sums for config, cell in group.items()}

    def partner(config: Config, pairings: set[str], **changes: str) -> np.ndarray | None:
        """The sums of another classifier, if it was trained on the same pairings."""
        other = Config(**vars(config) | changes)
        return drawn[other] if other in group and group[other].pairings == pairings else None

    for config, cell in sorted(group.items()):
        sums = drawn[config]
        asked = {"cor": cell.sums[:, 0] > 0, "anticorr": cell.sums[:, 2] > 0}
        asked["all"] = asked["cor"] | asked["anticorr"]
        count = {side: int(rows.sum()) for side, rows in asked.items()}

        def record(
            metric: str, values: np.ndarray, side: str = "", count: Mapping[str, int] = count
        ) -> tuple[Config, dict[str, object]]:
            low, high = test.draws.interval(float(values[0]), values[1:])
            name, n = (f"{dataset}_{side}", count[side]) if side else (dataset, count["all"])
            made = {
                "tested_on": name,
                "metric": metric,
                "value": float(values[0]),
                "ci_low": low,
                "ci_high": high,
                "n": n,
            }
            return config, made  # noqa: B023  (called in this turn of the loop alone)

        for side in SIDES:
            if count[side]:
                yield record("top1", _accuracy(sums, side), side)
        if count["cor"] and count["anticorr"]:
            yield record("drop", _drop(sums))
            unbiased = partner(config, cell.pairings, rho="0")
            if unbiased is not None and config.rho != "0" and whole:
                yield record("drop_over_unbiased", _drop(sums) - _drop(unbiased))
            changes = {"objective": NETWORK, "features": "all", "rho": "1", "method": "erm"}
            network = partner(config, cell.pairings, **changes)
            if network is not None and network is not sums:
                yield record("drop_over_network", _drop(sums) - _drop(network))
        if config.target != "foreground":
            continue
        if count["anticorr"]:
            yield from _gaps(config, cell, sums, partner, record)
        if count["anticorr"] and whole:
            wrong = sums[:, 2] - sums[:, 3]
            yield record("wrong_as_shown", divided(sums[:, 4], wrong), "anticorr")
            yield record("wrong_as_shown_by_chance", divided(sums[:, 5], wrong), "anticorr")
        if whole:
            for side in SIDES:
                if count[side]:
                    labels = test.rows["class"].to_numpy(dtype=str)
                    yield record("worst_class", _worst(cell, side, labels, weights), side)
            cellwise = (test.rows["class"] + "|" + test.rows["background"]).to_numpy(dtype=str)
            yield record("worst_group", _worst(cell, "all", cellwise, weights), "all")


def _gaps(
    config: Config,
    cell: _Cell,
    sums: np.ndarray,
    partner: Callable[..., np.ndarray | None],
    record: Callable[..., tuple],
) -> Iterable[tuple[Config, dict[str, object]]]:
    """What a classifier gains over the plain one, and how much of the plain one's loss that is."""
    plain = {"objective": "erm", "features": "all", "method": "erm"}
    at, unbiased = partner(config, cell.pairings, **plain), partner(config, cell.pairings, **plain, rho="0")
    if at is None or config.objective == NETWORK:
        return
    accuracy, baseline = _accuracy(sums, "anticorr"), _accuracy(at, "anticorr")
    if at is not sums:
        yield record("gain", accuracy - baseline, "anticorr")
    if unbiased is None or config.rho == "0":
        return
    gap = _accuracy(unbiased, "anticorr") - baseline
    if at is sums:
        yield record("gap", gap, "anticorr")
    else:
        # where there is no gap, no share of it is closed: such draws are NaN, and more than a few leave no interval
        yield record("gap_closed", divided(accuracy - baseline, np.where(gap > 0, gap, 0.0)), "anticorr")


def _worst(cell: _Cell, side: str, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The least accuracy of any label's rows, for each row of weights."""
    start = {"cor": [0], "anticorr": [2], "all": [0, 2]}[side]
    asked = cell.sums[:, start].sum(axis=1)
    right = cell.sums[:, [column + 1 for column in start]].sum(axis=1)
    rows = np.flatnonzero(asked > 0)
    rows = rows[np.argsort(labels[rows], kind="stable")]
    starts = np.flatnonzero(np.append(True, labels[rows][1:] != labels[rows][:-1]))
    own = weights[:, rows]
    shares = divided(
        np.add.reduceat(own * right[rows], starts, axis=1), np.add.reduceat(own * asked[rows], starts, axis=1)
    )
    return np.nanmin(np.where(np.isnan(shares), np.inf, shares), axis=1)
