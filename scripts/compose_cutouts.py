"""Compose the cut-outs of one shard: the exemplars of the matched sets, as they are placed there, on plain grey."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.composition import PlacementRanges
from d3s.cutouts import paste_cutouts, plan_cutouts
from d3s.errors import D3SError
from d3s.guides import ShardPlan
from d3s.shards import TarReader, write_shard
from d3s.tables import check_slice, read_table

log = logging.getLogger("d3s")
CLASS_COLUMNS = ("class_id", "name")
"""The cells of the table of classes that a shard depends on."""


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--foregrounds", type=Path, required=True, help="tar of the chunk's exemplars")
    parser.add_argument("--classes-table", type=Path, required=True)
    parser.add_argument("--classes", type=int, nargs="+", required=True, help="class ids of the chunk")
    parser.add_argument("--rows-digest", help="digest of the class rows that this run was planned with")
    parser.add_argument("--split", choices=("train", "val"), required=True)
    parser.add_argument("--shift", required=True)
    parser.add_argument("--revisions", type=int, nargs="+", required=True, help="of the shift's backgrounds")
    parser.add_argument("--count", type=int, required=True, help="matched sets per class")
    parser.add_argument("--seed", type=int, required=True, help="root seed")
    parser.add_argument("--size", type=int, required=True, help="side in pixels")
    parser.add_argument("--scale", type=float, nargs=2, required=True, help="range of the exemplar's longer side")
    parser.add_argument("--flip", choices=("yes", "no"), required=True)
    parser.add_argument("--x", type=float, nargs=2, required=True, help="range of places in the free width")
    parser.add_argument("--y", type=float, nargs=2, required=True, help="range of places in the free height")
    parser.add_argument("--on-bad-input", choices=("keep", "fail"), default="keep")
    parser.add_argument("--output", type=Path, required=True, help="the shard's tar")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Plan, paste, write the shard."""
    classes = [row for row in read_table(args.classes_table, "classes") if int(row["class_id"]) in args.classes]
    check_slice(classes, CLASS_COLUMNS, args.rows_digest, args.classes_table)
    plan = ShardPlan(args.split, args.shift, "", "", "", 0, args.count, args.seed)
    ranges = PlacementRanges(tuple(args.scale), args.flip == "yes", tuple(args.x), tuple(args.y))
    exemplars = pd.read_parquet(args.foregrounds.with_suffix(".parquet"))
    with TarReader(args.foregrounds) as tar:
        planned = plan_cutouts(plan, args.revisions, classes, exemplars, ranges)
        manifest, members = paste_cutouts(planned, exemplars, tar, args.size)
    bad = manifest[manifest["status"] != "ok"]
    for reason, rows in bad.groupby("reason"):
        log.warning("%d cut-outs can't be made: %s", len(rows), reason)
    if len(bad) and (args.on_bad_input == "fail" or not members):
        raise D3SError(
            f"{len(bad)} of {len(manifest)} cut-outs can't be made",
            "mend what the log names, or set on_bad_input: keep",
        )
    write_shard(args.output, manifest.assign(shard=str(args.output)), members)
    log.info("%d cut-outs, %d refused", len(members), len(bad))


if __name__ == "__main__":
    cli.run(parse, main)
