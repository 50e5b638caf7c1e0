"""Build the manifest of the data set from the image shards and their screens, and count what became of the images."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.manifest import build_manifest, count_statuses, gather
from d3s.shards import write_table


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="tar shards, their manifests beside them")
    parser.add_argument("--screens", type=Path, nargs="+", required=True, help="the tables of screens of these shards")
    parser.add_argument("--decisions", type=Path, help="what people decided, if they were asked (Parquet)")
    parser.add_argument("--duplicate-distance", type=int, default=2, help="bits of 64 within which hashes are the same")
    parser.add_argument("--output", type=Path, required=True, help="manifest to write (Parquet)")
    parser.add_argument("--csv", type=Path, required=True, help="the same as CSV")
    parser.add_argument("--counts", type=Path, required=True, help="table of counts to write (CSV)")
    return parser.parse_args()


def read_rows(tar: Path) -> pd.DataFrame:
    """The manifest of an image shard, its shard named by its path."""
    return pd.read_parquet(tar.with_suffix(".parquet")).assign(shard=tar.as_posix())


def main(args: argparse.Namespace) -> None:
    """Read the tables, build, write."""
    images = gather([read_rows(tar) for tar in args.images])
    screens = gather([pd.read_parquet(path) for path in args.screens])
    decisions = pd.read_parquet(args.decisions) if args.decisions else None
    manifest = build_manifest(images, screens, args.duplicate_distance, decisions)
    write_table(args.counts, count_statuses(manifest))
    write_table(args.csv, manifest)
    write_table(args.output, manifest)
    logging.getLogger(__name__).info(
        "%d images, %d accepted, %d of them in complete matched sets",
        len(manifest),
        manifest["accepted"].sum(),
        manifest["set_complete"].sum(),
    )


if __name__ == "__main__":
    cli.run(parse, main)
