"""Gather what people said of images, refuse what can't be counted, judge the people, and decide about each image."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.annotation.campaign import campaign_secret
from d3s.annotation.deciding import RULES, decide
from d3s.annotation.reading import read_votes
from d3s.annotation.workers import judge_workers, measure_agreement
from d3s.shards import write_table
from d3s.spreadsheets import defuse

log = logging.getLogger(__name__)
MOST_TOLD = 20
"""Problems that are named in the log; the table has all."""


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--annotations", type=Path, nargs="+", required=True, help="files of votes (JSON or CSV)")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="tar shards, their manifests beside them")
    parser.add_argument("--campaign", required=True, help="whose votes they are")
    parser.add_argument("--seed", type=int, required=True, help="of the config; with it gold items are recognised")
    parser.add_argument("--rule", choices=RULES, required=True, help="how votes decide")
    parser.add_argument("--votes", type=int, required=True, help="votes that an image needs")
    parser.add_argument("--min-gold-accuracy", type=float, default=0.7, help="under which a person's votes don't count")
    parser.add_argument("--min-gold", type=int, default=4, help="gold items before a person is judged")
    parser.add_argument("--output", type=Path, required=True, help="table of decisions to write (Parquet)")
    parser.add_argument("--problems", type=Path, required=True, help="table of what could not be counted (CSV)")
    parser.add_argument("--workers", type=Path, required=True, help="table of the people, by hash (CSV)")
    parser.add_argument("--agreement", type=Path, required=True, help="table of Krippendorff's alpha (CSV)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Read, judge, decide, write."""
    columns = ["sample", "recipe", "status"]
    images = pd.concat([pd.read_parquet(tar.with_suffix(".parquet"), columns=columns) for tar in args.images])
    rows = images.itertuples(index=False)
    recipes = {row.sample: row.recipe if row.status == "ok" else None for row in rows}
    votes = read_votes(args.annotations, recipes, args.campaign, campaign_secret(args.seed, args.campaign))
    for problem in votes.problems.head(MOST_TOLD).itertuples():
        place = f"{problem.file}, row {problem.row}" if problem.row else problem.file
        log.warning("%s: not counted: %s", place, problem.reason)
    if len(votes.problems) > MOST_TOLD:
        log.warning("and %d more: see %s", len(votes.problems) - MOST_TOLD, args.problems)
    workers = judge_workers(votes, args.min_gold_accuracy, args.min_gold)
    excluded = set(workers.loc[workers["excluded"], "worker"])
    counted = votes.table[~votes.table["worker"].isin(excluded)]
    decisions = decide(counted, args.rule, args.votes)
    write_table(args.problems, defuse(votes.problems))
    write_table(args.workers, workers)
    write_table(args.agreement, measure_agreement(counted, args.seed))
    write_table(args.output, decisions)
    log.info(
        "%d votes of %d people for %d images; %d files or votes not counted, %d people excluded by gold; %s",
        len(counted),
        counted["worker"].nunique(),
        len(decisions),
        len(votes.problems),
        len(excluded),
        ", ".join(f"{n} {decision}" for decision, n in decisions["decision"].value_counts().items()) or "no decisions",
    )


if __name__ == "__main__":
    cli.run(parse, main)
