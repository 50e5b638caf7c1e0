"""Cut out the exemplars of one chunk of classes: trimmed RGBA pictures in a shard, one row for each exemplar."""

import argparse
import logging
from pathlib import Path

from d3s import cli
from d3s.errors import D3SError
from d3s.exemplars import COLUMNS, prepare_exemplars
from d3s.shards import write_shard
from d3s.tables import check_slice, read_table

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--exemplars", type=Path, required=True, help="table of exemplars")
    parser.add_argument("--classes", type=int, nargs="+", required=True, help="class ids of the chunk")
    parser.add_argument("--rows-digest", help="digest of the rows that this run was planned with")
    parser.add_argument("--max-side", type=int, required=True, help="pixels that the longer side is reduced to")
    parser.add_argument("--min-side", type=int, required=True, help="pixels that the longer side must have")
    parser.add_argument(
        "--duplicate-distance", type=int, required=True, help="bits of 64 that near-duplicates differ in"
    )
    parser.add_argument("--val-fraction", type=float, required=True, help="share of split groups without a split")
    parser.add_argument("--seed", type=int, required=True, help="root seed")
    parser.add_argument("--on-bad-input", choices=("keep", "fail"), default="keep")
    parser.add_argument("--output", type=Path, required=True, help="the shard's tar")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    rows = [row for row in read_table(args.exemplars, "exemplars") if int(row["class_id"]) in args.classes]
    check_slice(rows, COLUMNS, args.rows_digest, args.exemplars)
    manifest, members = prepare_exemplars(
        rows, args.max_side, args.min_side, args.duplicate_distance, args.val_fraction, args.seed
    )
    bad = manifest[manifest["status"] != "ok"]
    for _, row in bad.iterrows():
        log.warning("%s: %s: %s", row["exemplar"], row["status"], row["reason"])
    if len(bad) and args.on_bad_input == "fail":
        raise D3SError(
            f"{len(bad)} of {len(manifest)} exemplars can't be used",
            "mend them, or set on_bad_input: keep in the config",
        )
    if len(bad) == len(manifest):
        raise D3SError(f"none of {len(manifest)} exemplars can be used", "the log names each with its reason")
    write_shard(args.output, manifest, members)
    log.info("%d exemplars, %d refused", len(manifest) - len(bad), len(bad))


if __name__ == "__main__":
    cli.run(parse, main)
