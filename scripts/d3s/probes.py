"""What a linear classifier can read from features (paper, section 4): fitted on one set of rows, tried on another.

Inside val the probe is cross-fitted: no exemplar's split group and no block of a panorama stands on both sides, so what
it reads is the class or the background and not a cut-out or a view that it has met before.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from d3s.errors import D3SError
from d3s.features import PARTS, TARGETS, Features
from d3s.identity import digest
from d3s.identity import seed as hashed_seed
from d3s.stats import clustered_mean_interval, paired_clustered_difference

log = logging.getLogger(__name__)
KEY = ["objective", "seed", "features", "target", "probe", "fitted_on", "evaluated_on", "metric"]
COLUMNS = [*KEY, "value", "ci_low", "ci_high", "chance", "n"]
PAIRED_KEY = ["objective", "features", "target", "fitted_on", "evaluated_on"]
PAIRED_COLUMNS = [*PAIRED_KEY, "difference", "ci_low", "ci_high", "n", "seeds"]
BASELINE = "erm"


@dataclass(frozen=True)
class ProbeSettings:
    """How probes are fitted.

    Attributes:
        regularisation: scikit-learn's ``C`` of the L2 penalty, on features that are standardised and divided by the
            square root of their number, so that one value serves parts of any size. It is fixed, not chosen: a weak
            penalty reads whatever is there.
        folds: at most so many folds of split groups.
        template_folds: at most so many folds of template groups; every pair of the two is one fit.
        permutations: refits per fold with shuffled labels, whose mean score is the chance level.
        seed: root of folds, shuffles and bootstrap draws.
        resamples: of the bootstrap over exemplars.
    """

    regularisation: float = 10.0
    folds: int = 5
    template_folds: int = 3
    permutations: int = 1
    seed: int = 0
    resamples: int = 2000


class Probe:
    """Multinomial logistic regression on standardised features, every label weighing the same in its loss.

    Without those weights a cross-fitted probe falls below chance where there is nothing to read: the label of the
    exemplars that are held out is the rarest among those that are left.

    The L2 penalty does not change under rotation, so with fewer rows than features the fit is done in the rows' own
    span: the same probe, many times faster.

    Args:
        features: N x D rows to fit on; their mean and spread also standardise the rows of ``predict``.
    """

    def __init__(self, features: np.ndarray, settings: ProbeSettings) -> None:
        self.settings = settings
        self.mean = features.mean(axis=0)
        spread = features.std(axis=0)
        self.scale = np.where(spread > 1e-8 * max(1.0, float(np.abs(self.mean).max())), spread, np.inf)
        self.scale *= np.sqrt(features.shape[1])
        standard = (features - self.mean) / self.scale
        self.basis: np.ndarray | None = None
        if standard.shape[0] < standard.shape[1]:
            values, vectors = np.linalg.eigh(standard @ standard.T)
            keep = values > 1e-10 * max(values[-1], 1e-300)
            self.basis = standard.T @ (vectors[:, keep] / np.sqrt(values[keep]))
            standard = standard @ self.basis
        self.fitted_on = standard

    def place(self, features: np.ndarray) -> np.ndarray:
        """Rows as the classifier sees them."""
        standard = (features - self.mean) / self.scale
        return standard if self.basis is None else standard @ self.basis

    def predictions(self, labels: np.ndarray, placed: np.ndarray) -> np.ndarray:
        """Fit to the labels of the fitting rows and tell the labels of rows that ``place`` gave."""
        if len(np.unique(labels)) < 2:
            return np.full(len(placed), labels[0])
        model = LogisticRegression(C=self.settings.regularisation, class_weight="balanced", max_iter=500, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(self.fitted_on, labels).predict(placed)


def assign_folds(groups: Sequence[str], labels: Sequence[str], folds: int, seed: int, purpose: str) -> np.ndarray:
    """Deal the groups of each label out to folds, the largest first, each to the fold with the fewest rows so far.

    A label with two groups or more is never wholly in one fold, so it can always be fitted on.

    Returns:
        N fold numbers; rows of one group have the same one.
    """
    table = pd.DataFrame({"group": list(groups), "label": list(labels)})
    sizes = table.groupby("group").size()
    owner = table.groupby("group")["label"].first()
    number = min(folds, int(owner.value_counts().max()))
    fold_of: dict[str, int] = {}
    loads = np.zeros(number)
    for label in sorted(owner.unique()):
        own = sorted(owner.index[owner == label], key=lambda g: (-sizes[g], digest(seed, purpose, g)))
        taken = np.zeros(number)
        for group in own:
            # First by the label's own rows, then by all rows, so that small labels don't all end in fold 0.
            fold = min(range(number), key=lambda f: (taken[f], loads[f], f))
            fold_of[group] = fold
            taken[fold] += sizes[group]
            loads[fold] += sizes[group]
    return table["group"].map(fold_of).to_numpy()


def crossfit_splits(
    rows: pd.DataFrame, folds: int, template_folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of (rows to fit on, rows to test on), which share no split group and no template group.

    Folds of split groups are crossed with folds of template groups. Each row is tested once, in the cell of its two
    folds, by a probe fitted on the rows that are in neither.

    Args:
        rows: with the columns split_group, class_id, template_group and background.

    Yields:
        Two arrays of row numbers.
    """
    exemplars = assign_folds(rows["split_group"], rows["class_id"].astype(str), folds, seed, "fold.split_group")
    templates = assign_folds(rows["template_group"], rows["background"], template_folds, seed, "fold.template_group")
    for exemplar_fold in np.unique(exemplars):
        for template_fold in np.unique(templates):
            test = np.flatnonzero((exemplars == exemplar_fold) & (templates == template_fold))
            fit = np.flatnonzero((exemplars != exemplar_fold) & (templates != template_fold))
            if len(test) and len(fit):
                yield fit, test


@dataclass(frozen=True)
class Outcome:
    """How a probe did on N rows.

    Attributes:
        correct: 1, 0, or NaN for a row whose label no fitting row had (it could not have been told).
        chance: mean score of probes fitted to shuffled labels.
    """

    correct: np.ndarray
    chance: float


def crossfit(features: np.ndarray, labels: np.ndarray, rows: pd.DataFrame, settings: ProbeSettings) -> Outcome:
    """Cross-fit a probe inside one data set.

    Raises:
        D3SError: no row can be tested.
    """
    splits = crossfit_splits(rows, settings.folds, settings.template_folds, settings.seed)
    parts = ((features[fit], labels[fit], features[test], labels[test], test) for fit, test in splits)
    return _try_out(parts, len(rows), settings)


def transfer(
    features: np.ndarray, labels: np.ndarray, other: np.ndarray, other_labels: np.ndarray, settings: ProbeSettings
) -> Outcome:
    """Fit a probe on one data set and try it on another."""
    rows = np.arange(len(other))
    return _try_out(iter([(features, labels, other, other_labels, rows)]), len(other), settings)


# One thread: the matrices are small, and the last bits then don't depend on the machine's cores.
@threadpool_limits.wrap(limits=1)
def _try_out(splits: Iterator[tuple[np.ndarray, ...]], total: int, settings: ProbeSettings) -> Outcome:
    correct = np.full(total, np.nan)
    chance = []
    for number, (fit_x, fit_y, test_x, test_y, where) in enumerate(splits):
        testable = np.isin(test_y, fit_y)
        if not testable.any():
            continue
        probe = Probe(fit_x, settings)
        placed, truth = probe.place(test_x[testable]), test_y[testable]
        correct[where[testable]] = probe.predictions(fit_y, placed) == truth
        for repeat in range(settings.permutations):
            rng = np.random.default_rng(hashed_seed(settings.seed, "probe.permutation", number, repeat))
            chance.append((np.mean(probe.predictions(rng.permutation(fit_y), placed) == truth), len(truth)))
    if np.isnan(correct).all():
        raise D3SError(
            "no picture can be tested: every class or background has a single group in val",
            "give each class exemplars of at least two split groups, and each background two template groups, in val",
        )
    level = np.average([c for c, _ in chance], weights=[n for _, n in chance]) if chance else float("nan")
    return Outcome(correct, float(level))


def probe_encoder(features: Features, settings: ProbeSettings) -> dict[tuple[str, str, str, str], Outcome]:
    """All probes of one encoder.

    Returns:
        Outcomes by (features, target, fitted_on, evaluated_on); their rows are those of the val images or guides.
    """
    found = {}
    for part in PARTS:
        for target in TARGETS:
            for evaluated in ("images", "guides"):
                dataset = f"{evaluated}_val"
                if dataset not in features.matrices:  # imported images may come without guides
                    continue
                x, y = features.part(dataset, part), features.labels(dataset, target)
                own = crossfit(x, y, features.rows[dataset], settings)
                missed = int(np.isnan(own.correct).sum())
                if missed and part == "all":
                    log.warning(
                        "%d of %d %s are left out of the cross-fitted probes of %s: too few groups in val",
                        *(missed, len(y), evaluated, TARGETS[target]),
                    )
                found[part, target, "val_crossfit", evaluated] = own
                train_x, train_y = features.part("images_train", part), features.labels("images_train", target)
                found[part, target, "train", evaluated] = transfer(train_x, train_y, x, y, settings)
    return found


Outcomes = dict[tuple[str, int], dict[tuple[str, str, str, str], Outcome]]
"""Outcomes of every encoder, by (objective, seed)."""


def score_table(outcomes: Outcomes, exemplars: dict[str, np.ndarray], settings: ProbeSettings) -> pd.DataFrame:
    """``probes.csv``: a row per encoder and probe, and a row ``mean`` per objective over its seeds.

    Args:
        outcomes: of every encoder.
        exemplars: by ``images`` and ``guides``, the exemplar of each row; intervals resample whole exemplars.
        settings: of the probes.
    """
    rows = []
    for (objective, seed), found in outcomes.items():
        for key, outcome in found.items():
            rows.append(_score(objective, str(seed), key, outcome.correct, outcome.chance, exemplars, settings))
    for objective in sorted({objective for objective, _ in outcomes}):
        runs = [found for (name, _), found in sorted(outcomes.items()) if name == objective]
        for key in runs[0]:
            correct = np.mean([run[key].correct for run in runs], axis=0)
            chance = float(np.mean([run[key].chance for run in runs]))
            rows.append(_score(objective, "mean", key, correct, chance, exemplars, settings))
    return pd.DataFrame(rows, columns=COLUMNS).sort_values(KEY, ignore_index=True)


def _score(
    objective: str,
    seed: str,
    key: tuple[str, str, str, str],
    correct: np.ndarray,
    chance: float,
    exemplars: dict[str, np.ndarray],
    settings: ProbeSettings,
) -> dict[str, object]:
    part, target, fitted_on, evaluated_on = key
    told = ~np.isnan(correct)
    mean, low, high = clustered_mean_interval(
        correct[told], list(exemplars[evaluated_on][told]), settings.seed, settings.resamples
    )
    return {
        "objective": objective,
        "seed": seed,
        "features": part,
        "target": target,
        "probe": "linear",
        "fitted_on": fitted_on,
        "evaluated_on": evaluated_on,
        "metric": "top1",
        "value": mean,
        "ci_low": low,
        "ci_high": high,
        "chance": chance,
        "n": int(told.sum()),
    }


def paired_table(outcomes: Outcomes, exemplars: dict[str, np.ndarray], settings: ProbeSettings) -> pd.DataFrame:
    """``probes_paired.csv``: each objective against plain training, picture by picture, over the seeds both have.

    Correctness is averaged over seeds before exemplars are resampled, so the interval speaks of new exemplars.
    """
    rows = []
    for objective in sorted({name for name, _ in outcomes} - {BASELINE}):
        seeds = sorted(seed for name, seed in outcomes if name == objective and (BASELINE, seed) in outcomes)
        if not seeds:
            log.warning("no seed of %s has a run of %s to be compared with", objective, BASELINE)
            continue
        for key in outcomes[objective, seeds[0]]:
            part, target, fitted_on, evaluated_on = key
            own, base = (
                np.mean([outcomes[name, seed][key].correct for seed in seeds], axis=0) for name in (objective, BASELINE)
            )
            told = ~(np.isnan(own) | np.isnan(base))
            mean, low, high = paired_clustered_difference(
                own[told], base[told], list(exemplars[evaluated_on][told]), settings.seed, settings.resamples
            )
            rows.append(
                {"objective": objective, "features": part, "target": target}
                | {"fitted_on": fitted_on, "evaluated_on": evaluated_on}
                | {"difference": mean, "ci_low": low, "ci_high": high, "n": int(told.sum()), "seeds": len(seeds)}
            )
    return pd.DataFrame(rows, columns=PAIRED_COLUMNS).sort_values(PAIRED_KEY, ignore_index=True)


def nearest_table(features: Features) -> pd.DataFrame:
    """``nearest.csv``: does a val image lie nearer to what the generator was trained on than to its own guide?

    Distances are cosines of all pooled features, each data set centred on its own mean: what all generated images have
    in common, such as blur, must not count as a likeness. Three shares of the val images that have a guide:

    - ``nearer_to_a_train_image``: some accepted train image is nearer than the image's own guide. Train images come
      from the same generator and the guide does not, so some likeness of style still counts.
    - ``nearer_to_a_train_exemplar``: the mean of the train images of some exemplar is nearer than the own guide.
    - ``nearer_to_another_guide``: the guide of another val exemplar is nearer; the same without any train picture, to
      read the other two against.

    The table is empty where there are no guides.
    """
    if "guides_val" not in features.rows:
        return pd.DataFrame(columns=["measure", "value", "n"])
    guides, images = features.rows["guides_val"], features.rows["images_val"]
    place = {sample: row for row, sample in enumerate(guides["sample"])}
    have = np.flatnonzero(images["sample"].isin(place).to_numpy())
    own = np.array([place[sample] for sample in images["sample"].to_numpy()[have]], dtype=int)
    centred = {name: matrix - matrix.mean(axis=0) for name, matrix in features.matrices.items()}

    def directions(matrix: np.ndarray) -> np.ndarray:
        return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)

    image, guide, train = (
        directions(centred["images_val"][have]),
        directions(centred["guides_val"]),
        centred["images_train"],
    )
    names = features.rows["images_train"]["exemplar"].to_numpy()
    means = np.stack([train[names == name].mean(axis=0) for name in sorted(set(names))])
    to_own = (image * guide[own]).sum(axis=1)
    others = np.where(
        images["exemplar"].to_numpy()[have][:, None] != guides["exemplar"].to_numpy()[None, :], image @ guide.T, -np.inf
    )
    found = {
        "nearer_to_a_train_image": (image @ directions(train).T).max(axis=1) > to_own,
        "nearer_to_a_train_exemplar": (image @ directions(means).T).max(axis=1) > to_own,
        "nearer_to_another_guide": others.max(axis=1) > to_own,
    }
    return pd.DataFrame([{"measure": k, "value": float(v.mean()), "n": len(v)} for k, v in sorted(found.items())])
