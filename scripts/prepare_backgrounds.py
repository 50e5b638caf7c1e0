"""Prepare the templates of one background: photographs, frames of videos, views of panoramas, one row for each."""

import argparse
import logging
from pathlib import Path

from d3s import cli
from d3s.backgrounds import ViewSettings
from d3s.errors import D3SError
from d3s.licences import describe, without_licence
from d3s.shards import write_shard
from d3s.tables import check_slice, read_table
from d3s.template_source import TemplateSettings
from d3s.templates import COLUMNS, prepare_templates

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--templates", type=Path, required=True, help="table of templates")
    parser.add_argument("--background", required=True)
    parser.add_argument("--rows-digest", help="digest of the rows that this run was planned with")
    parser.add_argument("--train-views", type=int, required=True, help="views of all its panoramas for train")
    parser.add_argument("--val-views", type=int, required=True, help="views of all its panoramas for val")
    parser.add_argument("--field-of-view", type=float, required=True, help="degrees")
    parser.add_argument("--pitches", type=float, nargs="+", required=True, help="degrees above the horizon, in turn")
    parser.add_argument("--size", type=int, required=True, help="side in pixels")
    parser.add_argument("--train-frames", type=int, required=True, help="frames of a video for train")
    parser.add_argument("--val-frames", type=int, required=True, help="frames of a video for val")
    parser.add_argument("--val-fraction", type=float, required=True, help="share of pictures without a split")
    parser.add_argument("--most-per-source", type=int, required=True, help="templates of a split that a row gives")
    parser.add_argument(
        "--duplicate-distance", type=int, required=True, help="bits of 64 that near-duplicates differ in"
    )
    parser.add_argument("--seed", type=int, required=True, help="root seed")
    parser.add_argument("--sources", type=Path, help="registry of sources, to tell which pictures have no licence note")
    parser.add_argument("--on-bad-input", choices=("keep", "fail"), default="keep")
    parser.add_argument("--output", type=Path, required=True, help="the shard's tar")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    rows = [row for row in read_table(args.templates, "templates") if row["background"] == args.background]
    check_slice(rows, COLUMNS, args.rows_digest, args.templates)
    settings = TemplateSettings(
        ViewSettings(args.train_views, args.val_views, args.field_of_view, tuple(args.pitches), args.size),
        args.train_frames,
        args.val_frames,
        args.val_fraction,
        args.most_per_source,
        args.duplicate_distance,
        args.seed,
    )
    manifest, members = prepare_templates(rows, settings)
    unknown = without_licence(rows, read_table(args.sources, "sources") if args.sources else [])
    if unknown:
        log.warning("no licence is recorded for %s", describe(unknown))
    bad = manifest[manifest["status"] != "ok"]
    for _, row in bad.iterrows():
        log.warning("%s: %s: %s", row["template"], row["status"], row["reason"])
    if len(bad) and args.on_bad_input == "fail":
        raise D3SError(
            f"{len(bad)} templates of {args.background} can't be used", "mend them, or set on_bad_input: keep"
        )
    for split in ("train", "val"):
        if not ((manifest["split"] == split) & (manifest["status"] == "ok")).any():
            raise D3SError(
                f"the background {args.background!r} has no usable template for {split}",
                f"add pictures for it to {args.templates} (the log names what was refused and why)",
            )
    write_shard(args.output, manifest, members)
    log.info("%d templates, %d refused", len(manifest) - len(bad), len(bad))


if __name__ == "__main__":
    cli.run(parse, main)
