"""Import one shard of the data set that the authors of D3S released: its pictures as guides and images."""

import argparse
import logging
from collections import Counter
from pathlib import Path

from d3s import cli
from d3s.errors import D3SError
from d3s.guides import ShardPlan
from d3s.released import METADATA, Records, labels_of, read_records
from d3s.released_shard import MOST_PICTURES, NO_RECORD, choose_records, import_shard
from d3s.shards import write_shard
from d3s.tables import check_slice, parse_indices, read_table

log = logging.getLogger("d3s")
CLASS_COLUMNS = ("class_id", "name", "imagenet_indices")
"""The cells of the table of classes that a shard depends on."""
MOST_NAMED = 12
"""Labels that the log names."""


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--metadata", type=Path, required=True, help=f"{METADATA} of the split; pictures lie below it")
    parser.add_argument("--classes-table", type=Path, required=True)
    parser.add_argument("--classes", type=int, nargs="+", required=True, help="class ids of the chunk")
    parser.add_argument("--rows-digest", help="digest of the class rows that this run was planned with")
    parser.add_argument("--backgrounds-table", type=Path, required=True)
    parser.add_argument("--split", choices=("train", "val"), required=True)
    parser.add_argument("--shift", required=True)
    parser.add_argument("--background", required=True)
    parser.add_argument("--phrase", required=True, help="the background's words in prompts, by which records know it")
    parser.add_argument("--revision", type=int, required=True, help="the background's revision")
    parser.add_argument("--size", type=int, required=True, help="side of guides and images in pixels")
    parser.add_argument("--on-bad-input", choices=("keep", "fail"), default="keep")
    parser.add_argument("--guides", type=Path, required=True, help="the tar of guides, written")
    parser.add_argument("--images", type=Path, required=True, help="the tar of images, written")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Read the records, choose, read the pictures, write both shards."""
    every_class = read_table(args.classes_table, "classes")
    classes = [row for row in every_class if int(row["class_id"]) in args.classes]
    check_slice(classes, CLASS_COLUMNS, args.rows_digest, args.classes_table)
    records = read_records(args.metadata)
    labels = labels_of({"background": args.background, "phrase": args.phrase})
    own = [record for record in records.placed if record.shift == args.shift and record.label in labels]
    if not own:
        there = Counter(record.label for record in records.placed if record.shift == args.shift)
        raise D3SError(
            f"{args.metadata} has no record of the background {args.background} ({args.phrase})",
            f"remove its row, or correct its phrase; of the shift {args.shift} there are: {_listed(there) or 'none'}",
        )
    _tell(args, records, {index for row in every_class for index in parse_indices(row["imagenet_indices"])})
    chosen = choose_records(own, classes)
    count = sum(map(len, chosen.values()))
    if count > MOST_PICTURES:
        raise D3SError(
            f"{args.images} would hold {count} images, and {MOST_PICTURES} are the most",
            "lower classes_per_chunk in the config",
        )
    plan = ShardPlan(args.split, args.shift, args.background, args.phrase, "", args.revision, count=0, seed=0)
    shard = import_shard(plan, classes, chosen, args.metadata.parent, args.size)
    bad = shard.images[~shard.images["status"].isin(["ok", NO_RECORD])]
    for row in bad.to_dict("records"):
        log.warning("%s: %s: %s", row["sample"], row["status"], row["reason"])
    if len(bad) and (args.on_bad_input == "fail" or len(bad) == count):
        raise D3SError(
            f"{len(bad)} of {count} pictures can't be used", "mend what the log names, or set on_bad_input: keep"
        )
    write_shard(args.guides, shard.guides.assign(shard=str(args.guides)), shard.guide_members)
    images = shard.images.assign(guide_shard=str(args.guides), shard=str(args.images))
    write_shard(args.images, images, shard.image_members)
    log.info("%d images, %d with a guide, %d refused", len(shard.image_members), len(shard.guide_members), len(bad))


def _tell(args: argparse.Namespace, records: Records, indices: set[int]) -> None:
    """Say which records of the split the tables leave out, and which can't be placed."""
    called: set[str] = set().union(*(labels_of(row) for row in read_table(args.backgrounds_table, "backgrounds")))
    unnamed = Counter(record.label for record in records.placed if record.label not in called)
    strange = [record.index for record in records.placed if record.index not in indices]
    log.info("%s: %d records of pictures", args.metadata, len(records.placed))
    if unnamed:
        log.info("%d left out, since no background is called so: %s", unnamed.total(), _listed(unnamed))
    if strange:
        log.info("%d left out, of %d classes that the table does not have", len(strange), len(set(strange)))
    for reason, number in records.refused.most_common():
        log.warning("%d records left out: %s", number, reason)


def _listed(counts: Counter[str]) -> str:
    named = ", ".join(f"{label[:40]} {number}" for label, number in counts.most_common(MOST_NAMED))
    return named if len(counts) <= MOST_NAMED else f"{named} and {len(counts) - MOST_NAMED} more"


if __name__ == "__main__":
    cli.run(parse, main)
