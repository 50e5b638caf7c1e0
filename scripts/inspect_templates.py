"""Inspect the templates of one background: which class of the data set each shows most likely, and how likely."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.classifier_arguments import add_arguments, load_needed
from d3s.classifiers import Load, ask
from d3s.imageio import decode_png
from d3s.inspection import best_targets
from d3s.predictions import probabilities
from d3s.shards import TarReader, write_table
from d3s.superclasses import read_super_classes

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--backgrounds", type=Path, required=True, help="tar of the background's templates")
    add_arguments(parser)
    parser.add_argument("--classes", type=Path, required=True, help="table of classes")
    parser.add_argument("--rows-digest", help="digest of what is used of it when the job was planned")
    parser.add_argument("--output", type=Path, required=True, help="table of findings to write (Parquet)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Read the templates, ask the classifier, write the table."""
    cli.set_threads(args.threads)
    classes = read_super_classes(args.classes, args.rows_digest)
    rows = pd.read_parquet(args.backgrounds.with_suffix(".parquet"))
    rows = rows[rows["status"] == "ok"].reset_index(drop=True)
    classifier, store = load_needed(args)
    with TarReader(args.backgrounds) as tar:

        def loads(places: Sequence[int]) -> Iterator[tuple[int, Load]]:
            return ((place, partial(decode_png, tar.read(rows.at[place, "member"]))) for place in places)

        answers = ask(classifier, store, rows["digest"].tolist(), loads, label="templates")
    shown = [None if answer is None else probabilities(answer) for answer in answers]
    table = best_targets(rows, shown, classes, args.classifier)
    write_table(args.output, table)
    log.info("%d templates inspected", len(table))


if __name__ == "__main__":
    cli.run(parse, main)
