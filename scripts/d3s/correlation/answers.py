"""What classifiers on an encoder's features answer, for every split and method: a long table of single answers."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from d3s.correlation.methods import METHODS, Fit, Rows, fit_all, fit_dfr
from d3s.correlation.splits import Split
from d3s.errors import D3SError
from d3s.identity import seed as hashed_seed
from d3s.shards import whole_file

log = logging.getLogger(__name__)
COLUMNS = ("split", "features", "method", "target", "dataset", "sample", "answer")
"""Of a table of answers; ``dataset`` is what was tested on: images, guides, or a benchmark."""
CHOICE_COLUMNS = ("split", "features", "method", "target", "penalty", "worst_group", "mean_group", "n")
"""Of a table of what was chosen, with the accuracies on the validation part that it was chosen by."""
TARGETS = {"foreground": "class", "background": "background"}
"""What is told, and the column of a split that holds it. Backgrounds are told by ``erm`` alone: the other methods are
about classes."""


@dataclass(frozen=True)
class Source:
    """Features of the rows of splits.

    Attributes:
        parts: names of the parts, such as foreground, background and all.
        train: gives part and samples as a matrix, for training and validation.
        tests: by data set, the same for its test rows; and the samples that it has.
    """

    parts: Sequence[str]
    train: Callable[[str, Sequence[str]], np.ndarray]
    tests: Mapping[str, tuple[Callable[[str, Sequence[str]], np.ndarray], frozenset[str]]]


@threadpool_limits.wrap(limits=1)  # the matrices are small, and the last bits then don't depend on the machine's cores
def answer(
    source: Source, splits: Sequence[Split], methods: Sequence[str], seed: int, draws: int = 10
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit every method on every split and part, and ask it about the test rows.

    Args:
        source: of features.
        splits: of one data set.
        methods: of ``methods.METHODS``.
        seed: of draws.
        draws: of ``dfr``.

    Returns:
        The answers, and what was chosen.

    Raises:
        D3SError: a method has no such name, or no split has rows to train on.
    """
    unknown = sorted(set(methods) - set(METHODS))
    if unknown:
        raise D3SError(f"there is no method {unknown[0]!r}", f"choose of {', '.join(METHODS)}")
    answers, choices = [], []
    kept: dict[tuple[str, str], Fit] = {}
    for split in splits:
        for target, column in TARGETS.items():
            shown = split.rows("train")[column].unique()
            if len(shown) < 2:
                log.warning("%s: %s is not told, since training shows %s alone", split.name, column, ", ".join(shown))
                continue
            wanted = tuple(name for name in methods if target == "foreground" or name == "erm")
            for part in source.parts:
                train, validation, names = _fitting_rows(source, split, part, column, seed)
                fits = fit_all(tuple(name for name in wanted if name != "dfr"), train, validation, len(names))
                if "dfr" in wanted and len(validation.labels):
                    # it sees nothing of training, so equal validation parts give equal classifiers
                    key = part, ",".join((*names, *split.rows("validation")["sample"]))
                    if key not in kept:
                        kept[key] = fit_dfr(validation, len(names), seed, draws)
                    fits["dfr"] = kept[key]
                answers += _ask(source, split, part, target, fits, names)
                choices += [
                    {"split": split.name, "features": part, "method": name, "target": target, "penalty": fit.penalty}
                    | {"worst_group": fit.worst_group, "mean_group": fit.mean_group, "n": len(validation.labels)}
                    for name, fit in fits.items()
                ]
    if not answers:
        raise D3SError("no split shows two classes to train on", "make more images, or loosen the screen")
    return pd.concat(answers, ignore_index=True), pd.DataFrame(choices, columns=list(CHOICE_COLUMNS))


def _fitting_rows(source: Source, split: Split, part: str, column: str, seed: int) -> tuple[Rows, Rows, list[str]]:
    """Training rows, validation rows, and the names of the labels."""
    train, validation = split.rows("train"), split.rows("validation")
    names = sorted(train[column].unique())
    validation = validation[validation[column].isin(names)]
    folds = np.array([hashed_seed(seed, "dfr.fold", sample) % 2 for sample in validation["sample"]], dtype=int)
    made = []
    for rows in (train, validation):
        labels = np.searchsorted(names, rows[column].to_numpy(dtype=str))
        groups = np.unique(rows["group"].to_numpy(dtype=str), return_inverse=True)[1]
        made.append((source.train(part, rows["sample"].tolist()), labels, groups))
    return Rows(*made[0]), Rows(*made[1], folds), names


def _ask(
    source: Source, split: Split, part: str, target: str, fits: Mapping[str, Fit], names: list[str]
) -> list[pd.DataFrame]:
    made = []
    labels = np.array(names)
    for dataset, (features, there) in source.tests.items():
        rows = split.rows("test") if dataset != "guides" else split.rows("test", "test_guide")
        samples = [sample for sample in rows["sample"] if sample in there]
        if not samples:
            continue
        matrix = features(part, samples)
        for name, fit in fits.items():
            table = pd.DataFrame({"sample": samples, "answer": labels[fit.predict(matrix)]})
            about = {"split": split.name, "features": part, "method": name, "target": target, "dataset": dataset}
            made.append(table.assign(**about)[list(COLUMNS)])
    if not made:
        raise D3SError(f"the split {split.name} has no test pictures with features", "make the features again")
    return made


def write_answers(path: str | Path, answers: pd.DataFrame) -> None:
    """Write a table of answers as Parquet, its words as dictionaries."""
    with whole_file(path) as temporary:
        answers.astype(dict.fromkeys(COLUMNS, "category")).to_parquet(temporary, index=False, compression="zstd")


def read_answers(path: str | Path) -> pd.DataFrame:
    """Read a table of answers.

    Raises:
        D3SError: it can't be read.
    """
    try:
        return pd.read_parquet(path)[list(COLUMNS)].astype(str)
    except (OSError, ValueError, KeyError) as error:
        raise D3SError(f"the answers {path} can't be read ({error})", "make them again: snakemake probes") from None
