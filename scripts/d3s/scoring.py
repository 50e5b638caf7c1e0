"""All tables of the evaluation from all predictions; one classifier's predictions are held at a time."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from d3s.errors import BadInput, D3SError
from d3s.judging import accepted_part, judge
from d3s.metrics.accuracy import ACCURACY_COLUMNS, CELL_COLUMNS, accuracy_table, class_table, confusion_table
from d3s.metrics.agreement import AGREEMENT_COLUMNS, ANSWER_COLUMNS, PICTURE_COLUMNS, agreement_table
from d3s.metrics.background_effects import EFFECT_COLUMNS, drop_rows, spread_rows
from d3s.metrics.blocks import Block, matched_blocks
from d3s.metrics.calibration_error import RELIABILITY_COLUMNS, calibration_table, reliability_table
from d3s.metrics.estimates import Bootstrap
from d3s.metrics.flips import flip_rows
from d3s.metrics.fragility import CLASS_COLUMNS, SET_COLUMNS, fragile_tables
from d3s.metrics.paired_backgrounds import PAIRED_COLUMNS, paired_table
from d3s.metrics.usual_background import usual_gap_rows, variant_gap_rows
from d3s.metrics.variance import VARIANCE_COLUMNS, variance_table
from d3s.predictions import read_predictions
from d3s.superclasses import SuperClasses

log = logging.getLogger(__name__)

TABLES: dict[str, tuple[str, ...]] = {
    "classifiers": ACCURACY_COLUMNS,
    "confusion": ("model", "dataset", "class_id", "predicted", "n"),
    "class_by_background": CELL_COLUMNS,
    "background_effects": EFFECT_COLUMNS,
    "paired_backgrounds": PAIRED_COLUMNS,
    "variance_shares": VARIANCE_COLUMNS,
    "reliability": RELIABILITY_COLUMNS,
    "classifier_agreement": AGREEMENT_COLUMNS,
    "fragile_classes": CLASS_COLUMNS,
    "fragile_sets": SET_COLUMNS,
    "classifiers_status": (
        *("model", "family", "dataset", "status", "reason"),
        *("predicted", "judged", "unread", "unknown_class", "missing"),
    ),
}
"""The tables and their columns; each becomes ``NAME.csv``."""


@dataclass(frozen=True)
class Subjects:
    """A data set of the evaluation.

    Attributes:
        pictures: as ``d3s.judging.complete_subjects`` gives them.
        classes: the super-classes that they are judged by.
        usual: usual backgrounds by class id.
    """

    pictures: pd.DataFrame
    classes: SuperClasses
    usual: Mapping[int, Sequence[str]] = field(default_factory=dict)


def score(
    predictions: Sequence[Path],
    subjects: Mapping[str, Subjects],
    references: Sequence[str],
    judges: Sequence[str],
    bootstrap: Bootstrap,
) -> dict[str, pd.DataFrame]:
    """The tables ``TABLES``, by name.

    Args:
        predictions: files named DATASET/CLASSIFIER.parquet.
        subjects: data sets by name.
        references: names of data sets that others are compared with, as far as they were predicted.
        judges: classifiers that say which classes are fragile; with none, all do.
        bootstrap: how intervals are drawn.

    Raises:
        D3SError: predictions can't be read, or are of a data set or of pictures that the subjects lack.
    """
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    pictures: dict[str, pd.DataFrame] = {}
    answers: dict[str, dict[str, pd.DataFrame]] = {}
    blocks: dict[tuple[str, str], list[tuple[str, Block]]] = {}
    by_model: dict[str, list[Path]] = {}
    for path in predictions:
        by_model.setdefault(path.stem, []).append(path)
    for model, paths in sorted(by_model.items()):
        judged: dict[str, pd.DataFrame] = {}
        for path in sorted(paths):
            found, status = _judge(path, subjects)
            parts["classifiers_status"].append(status)
            judged |= {str(frame["dataset"].iloc[0]): frame for frame in found}
        for dataset, frame in sorted(judged.items()):
            log.info("%s on %s: top-1 %.3f (n = %d)", model, dataset, frame["top1"].mean(), len(frame))
            own = subjects["images" if dataset == "images_accepted" else dataset]
            others = [judged[name] for name in references if name in judged and name != dataset]
            for name, table in _tables(frame, own, others, bootstrap).items():
                parts[name].append(table)
            pictures[dataset] = pd.concat(
                [pictures.get(dataset, frame.iloc[:0][list(PICTURE_COLUMNS)]), frame[list(PICTURE_COLUMNS)]]
            ).drop_duplicates("sample", ignore_index=True)
            answers.setdefault(dataset, {})[model] = frame[list(ANSWER_COLUMNS)].copy()
            if not judges or model in judges:
                for block in matched_blocks(frame):
                    blocks.setdefault((dataset, block.shift), []).append((model, block))
    for dataset, own_answers in sorted(answers.items()):
        parts["classifier_agreement"].append(agreement_table(own_answers, pictures[dataset], dataset, bootstrap))
    for (dataset, _), own_blocks in sorted(blocks.items()):
        classes, sets = fragile_tables(own_blocks, dataset, bootstrap)
        parts["fragile_classes"].append(classes)
        parts["fragile_sets"].append(sets)
    return {name: _together(parts[name], columns) for name, columns in TABLES.items()}


def _judge(path: Path, subjects: Mapping[str, Subjects]) -> tuple[list[pd.DataFrame], pd.DataFrame]:
    """The judged rows of a file (and of its screened part), and its row of ``classifiers_status.csv``."""
    dataset = path.parent.name
    if dataset not in subjects:
        raise D3SError(
            f"{path} holds predictions for {dataset!r}, of whose pictures nothing is known",
            f"name files DATASET/CLASSIFIER.parquet, with one of the data sets {', '.join(sorted(subjects))}",
        )
    own = subjects[dataset]
    given = read_predictions(path)
    status: dict[str, object] = {
        "model": given.metadata["model"],
        "family": given.metadata["family"],
        "dataset": dataset,
        "status": "ok",
        "reason": "",
        "predicted": int((given.frame["status"] == "ok").sum()),
        "judged": 0,
    }
    try:
        found = judge(given, own.pictures, own.classes, dataset)
    except BadInput as error:
        status |= {"status": error.status, "reason": error.reason}
        log.warning("%s on %s is left out: %s", status["model"], dataset, error.reason)
        return [], pd.DataFrame([status])
    status |= {"judged": len(found.rows), "unread": found.unread, "unknown_class": found.unknown}
    status |= {"missing": found.missing}
    frames = [found.rows, accepted_part(found.rows)] if dataset == "images" else [found.rows]
    return [frame for frame in frames if len(frame)], pd.DataFrame([status])


def _tables(
    judged: pd.DataFrame, subjects: Subjects, references: Sequence[pd.DataFrame], bootstrap: Bootstrap
) -> dict[str, pd.DataFrame]:
    """The tables that need one classifier's rows alone."""
    names = dict(zip(subjects.classes.ids, subjects.classes.names, strict=True))
    effects = [
        *(drop_rows(judged, reference, bootstrap) for reference in references),
        spread_rows(judged, bootstrap),
        flip_rows(judged, bootstrap),
        usual_gap_rows(judged, subjects.usual, bootstrap),
        variant_gap_rows(judged, bootstrap),
    ]
    accuracies = [accuracy_table(judged, bootstrap), calibration_table(judged, bootstrap)]
    return {
        "classifiers": _together(accuracies, ACCURACY_COLUMNS),
        "confusion": confusion_table(judged),
        "class_by_background": class_table(judged, names),
        "background_effects": _together(effects, EFFECT_COLUMNS),
        "paired_backgrounds": paired_table(judged, bootstrap),
        "variance_shares": variance_table(judged, bootstrap),
        "reliability": reliability_table(judged, bootstrap),
    }


def _together(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """One table of many; those without rows have no say in its types."""
    filled = [table for table in tables if len(table)]
    if not filled:
        return pd.DataFrame(columns=list(columns))
    return pd.concat(filled, ignore_index=True).reindex(columns=list(columns))
