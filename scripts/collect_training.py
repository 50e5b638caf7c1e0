"""Collect what all trainings noted on their way into one table: a row for each encoder, step and term."""

import argparse
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.features import read_about
from d3s.result_tables import load_table
from d3s.shards import write_table

COLUMNS = ("objective", "seed", "step", "term", "value")


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--histories", type=Path, nargs="+", required=True, help="history.csv beside an encoder.json")
    parser.add_argument("--output", type=Path, required=True, help="training.csv, written")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Write the table, sorted by objective, seed, step and term."""
    tables = []
    for path in args.histories:
        about = read_about(path.parent)
        tables.append(load_table(path, COLUMNS[2:]).assign(objective=about["objective"], seed=about["seed"]))
    table = pd.concat(tables, ignore_index=True)[list(COLUMNS)]
    write_table(args.output, table.sort_values(list(COLUMNS[:4]), ignore_index=True))


if __name__ == "__main__":
    cli.run(parse, main)
