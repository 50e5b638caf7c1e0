"""Score the classifiers' predictions: top-1 and top-5 over super-classes, by data set and background."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.classification_metrics import (
    accuracy_table,
    confusion_table,
    judged_rows,
    status_table,
    super_class_rows,
)
from d3s.predictions import read_predictions
from d3s.shards import write_table
from d3s.superclasses import read_super_classes


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--predictions", type=Path, nargs="+", required=True, help="tables of predictions (Parquet)")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of the data set (Parquet)")
    parser.add_argument("--classes", type=Path, required=True, help="table of classes")
    parser.add_argument("--rows-digest", help="digest of what is used of it when the job was planned")
    parser.add_argument("--seed", type=int, default=0, help="root of the bootstrap's draws")
    parser.add_argument("--bootstrap", type=int, default=2000, help="number of bootstrap samples of matched sets")
    parser.add_argument("--output", type=Path, required=True, help="table of accuracies to write (CSV)")
    parser.add_argument("--confusion", type=Path, help="table of confusions to write (CSV)")
    parser.add_argument("--status", type=Path, help="table of what became of each classifier to write (CSV)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Read the tables, score, write."""
    classes = read_super_classes(args.classes, args.rows_digest)
    predictions = [read_predictions(path) for path in args.predictions]
    probabilities = pd.concat([super_class_rows(each, classes) for each in predictions], ignore_index=True)
    judged = judged_rows(probabilities, pd.read_parquet(args.manifest), classes)
    table = accuracy_table(judged, args.seed, args.bootstrap)
    if args.confusion:
        write_table(args.confusion, confusion_table(judged))
    if args.status:
        write_table(args.status, status_table(predictions))
    write_table(args.output, table)
    for row in table[(table["background"] == "all") & (table["metric"] == "top1")].itertuples():
        logging.getLogger(__name__).info("%s on %s: top-1 %.3f (n = %d)", row.model, row.dataset, row.value, row.n)


if __name__ == "__main__":
    cli.run(parse, main)
