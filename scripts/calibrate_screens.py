"""Hold the automatic screen against what people decided: precision, recall, the threshold for a wanted precision."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.calibration import calibrate
from d3s.manifest import with_own_groups
from d3s.shards import write_table

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of the data set (Parquet)")
    parser.add_argument("--threshold", type=float, required=True, help="least probability of the own class in force")
    parser.add_argument("--precision", type=float, required=True, help="wanted share of kept images that people accept")
    parser.add_argument("--bootstrap", type=int, required=True, help="samples of the bootstrap")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True, help="table to write (CSV)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Measure and write."""
    manifest = with_own_groups(pd.read_parquet(args.manifest))
    table = calibrate(manifest, args.threshold, args.precision, args.seed, args.bootstrap)
    write_table(args.output, table)
    if len(table) and table["precision"].isna().all():
        waiting = int(table["undecided"].iloc[0])
        log.warning("%d images wait for votes, too many to measure anything yet; hand in more files of votes", waiting)
    for row in table[(table["scope"] == "all") & (table["kind"] != "curve")].itertuples():
        told = f"{row.threshold:.3g}" if row.threshold == row.threshold else "(none reaches it)"
        log.info(
            "%s: threshold %s keeps %d of %d images: precision %.3f, recall %.3f",
            row.kind.replace("_", " "),
            told,
            row.kept,
            row.n,
            row.precision,
            row.recall,
        )


if __name__ == "__main__":
    cli.run(parse, main)
