"""Ask one classifier what it sees in one data set: a row per picture with all its log-probabilities, and no labels.

The pictures are those of shards, or of the files that an index lists. What it saw before is not looked at again.
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from d3s import cli
from d3s.array_store import ArrayStore
from d3s.classifier_arguments import add_arguments, entry_of, load_asked
from d3s.classifier_library import IMAGENET_CLASSES
from d3s.classifiers import Classifier, ask
from d3s.errors import BadInput
from d3s.predictions import write_predictions
from d3s.subjects import Load, loads_of, read_index, read_shards
from d3s.weights import read_about

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--dataset", required=True, help="name of the data set")
    pictures = parser.add_mutually_exclusive_group(required=True)
    pictures.add_argument("--shards", type=Path, nargs="+", help="its tars, their manifests beside them")
    pictures.add_argument("--index", type=Path, help="table of its files (Parquet)")
    add_arguments(parser)
    parser.add_argument("--outputs", type=int, default=IMAGENET_CLASSES, help="classes that the classifier tells apart")
    parser.add_argument("--output", type=Path, required=True, help="table of predictions to write (Parquet)")
    return parser.parse_args()


def predict(
    rows: pd.DataFrame, classifier: Classifier, store: ArrayStore | None, label: str
) -> tuple[pd.DataFrame, list[np.ndarray | None]]:
    """The rows with their statuses, and the answer to each that is ``ok``.

    Raises:
        BadInput: the classifier can't be asked at all.
    """
    places = rows.index[rows["status"] == "ok"].tolist()
    position = {place: number for number, place in enumerate(places)}
    refused: dict[int, BadInput] = {}

    def loads(wanted: Sequence[int]) -> Iterator[tuple[int, Load]]:
        return ((position[place], load) for place, load in loads_of(rows, [places[number] for number in wanted]))

    answers = ask(classifier, store, rows.loc[places, "digest"].tolist(), loads, refused, label)
    kept: list[np.ndarray | None] = [None] * len(rows)
    rows = rows.copy()
    for number, (place, answer) in enumerate(zip(places, answers, strict=True)):
        if answer is None:
            rows.loc[place, ["status", "reason"]] = [refused[number].status, refused[number].reason]
        elif not np.isfinite(answer).all():
            rows.loc[place, ["status", "reason"]] = ["not_finite", "what the network gives is no number"]
        else:
            kept[place] = answer
    return rows, kept


def main(args: argparse.Namespace) -> None:
    """Read the rows, ask the classifier, write the table."""
    cli.set_threads(args.threads)
    rows = read_index(args.index) if args.index else read_shards(args.dataset, args.shards)
    entry = entry_of(args, "family")
    outcome, answers = BadInput("ok", ""), list[np.ndarray | None]()
    try:
        rows, answers = predict(rows, *load_asked(args, entry, args.outputs), f"{args.classifier} {args.dataset}")
    except BadInput as bad:
        rows, outcome = rows.iloc[:0], bad
    metadata = {
        "model": entry["name"],
        "family": entry["family"],
        "status": outcome.status,
        "reason": outcome.reason,
        "weights_sha256": read_about(args.weights).sha256,
        "label_space": entry["label_space"],
        "dataset": args.dataset,
    }
    write_predictions(args.output, rows.assign(dataset=args.dataset), answers, args.outputs, metadata)
    if outcome.status != "ok":
        log.warning("%s was not asked: %s (%s)", args.classifier, outcome.reason, outcome.status)
        return
    counts = rows["status"].value_counts().sort_index()
    summary = ", ".join(f"{status} {number}" for status, number in counts.items())
    log.info("%s, %s: %d pictures: %s", args.classifier, args.dataset, len(rows), summary or "none")


if __name__ == "__main__":
    cli.run(parse, main)
