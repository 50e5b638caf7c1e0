"""Gather what people said of images, refuse what can't be counted, and decide about each image that was voted for."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.annotations import RULES, decide, read_votes
from d3s.shards import write_table

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--annotations", type=Path, nargs="+", required=True, help="files of votes (JSON)")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="tar shards, their manifests beside them")
    parser.add_argument("--rule", choices=RULES, required=True, help="how votes decide")
    parser.add_argument("--votes", type=int, required=True, help="votes that an image needs")
    parser.add_argument("--output", type=Path, required=True, help="table of decisions to write (Parquet)")
    parser.add_argument("--problems", type=Path, required=True, help="table of what could not be counted (CSV)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Read, decide, write."""
    columns = ["sample", "recipe", "status"]
    images = pd.concat([pd.read_parquet(tar.with_suffix(".parquet"), columns=columns) for tar in args.images])
    rows = images.itertuples(index=False)
    recipes = {row.sample: row.recipe if row.status == "ok" else None for row in rows}
    votes = read_votes(args.annotations, recipes)
    for problem in votes.problems.itertuples():
        place = f"{problem.file}, vote {problem.row}" if problem.row else problem.file
        log.warning("%s: not counted: %s", place, problem.reason)
    decisions = decide(votes.table, args.rule, args.votes)
    write_table(args.problems, votes.problems)
    write_table(args.output, decisions)
    log.info(
        "%d votes of %d people for %d images; %d files or votes not counted; %s",
        len(votes.table),
        votes.table["worker"].nunique(),
        len(decisions),
        len(votes.problems),
        ", ".join(f"{n} {decision}" for decision, n in decisions["decision"].value_counts().items()) or "no decisions",
    )


if __name__ == "__main__":
    cli.run(parse, main)
