"""What classifiers rely on when they were trained on images where class and background go together: one long table."""

import argparse
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.correlation.answers import read_answers
from d3s.correlation.groups import groups_of_index, groups_of_manifest
from d3s.correlation.measures import Answers, spurious_table
from d3s.correlation.splits import read_split
from d3s.errors import D3SError
from d3s.features import read_manifest
from d3s.shards import write_table


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    rows = parser.add_mutually_exclusive_group(required=True)
    rows.add_argument("--manifest", type=Path, help="the manifest of images (.parquet)")
    rows.add_argument("--index", type=Path, help="a benchmark's index (.parquet)")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="locked splits (.csv)")
    parser.add_argument(
        "--answers", type=Path, nargs="+", required=True, help="answers: OBJECTIVE/.../SEED/FILE.parquet"
    )
    parser.add_argument("--names", nargs="+", required=True, metavar="OBJECTIVE:SEED", help="whose answers each is")
    parser.add_argument("--resamples", type=int, default=500, help="bootstrap draws of exemplars and panoramas")
    parser.add_argument("--seed", type=int, default=0, help="of those draws")
    parser.add_argument("--output", type=Path, required=True, help="spurious.csv, written")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    if len(args.names) != len(args.answers):
        raise D3SError(
            f"{len(args.answers)} tables of answers have {len(args.names)} names",
            "give OBJECTIVE:SEED for each, in order",
        )
    try:
        named = [(objective, int(seed)) for objective, _, seed in (name.rpartition(":") for name in args.names)]
    except ValueError:
        raise D3SError(f"--names got {' '.join(args.names)}", "write each as OBJECTIVE:SEED, as erm:0") from None
    if args.index:
        groups = groups_of_index(pd.read_parquet(args.index), str(args.index))
    else:
        groups = groups_of_manifest(read_manifest(args.manifest))
    splits = [read_split(path) for path in args.splits]
    given = (
        Answers(objective, seed, read_answers(path))
        for (objective, seed), path in cli.progress(
            zip(named, args.answers, strict=True), len(named), "encoders", "answers"
        )
    )
    write_table(args.output, spurious_table(given, splits, groups, args.seed, args.resamples))


if __name__ == "__main__":
    cli.run(parse, main)
