"""Fetch one source of the demo's photographs or networks from its package registry, without root.

The files that are used, and their SHA-256, are listed in config/assets.csv; a package of another version will do as
long as those files are the same.
"""

import argparse
import logging
import tempfile
from pathlib import Path

from d3s import cli
from d3s.assets import fetch_package, install_files
from d3s.tables import check_slice, read_table

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--source", required=True, help="name of a row of the sources table")
    parser.add_argument("--sources", type=Path, required=True, help="table of sources")
    parser.add_argument("--assets", type=Path, required=True, help="table of files")
    parser.add_argument("--rows-digest", help="digest of the rows that this run was planned with")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    source = next(row for row in read_table(args.sources, "sources") if row["source"] == args.source)
    files = [row for row in read_table(args.assets, "assets") if row["source"] == args.source]
    check_slice(files, ("member", "sha256", "file"), args.rows_digest, args.assets)
    with tempfile.TemporaryDirectory() as folder:
        log.info("fetching %s (%s, %s)", source["package"], source["kind"], source["licence"])
        where = (source["kind"], source["package"], source["version"], Path(folder), source["sha256"])
        unpacked = fetch_package(*where)
        install_files(unpacked, files, source["package"])
    log.info("%d files are in place, each with its SHA-256 checked", len(files))


if __name__ == "__main__":
    cli.run(parse, main)
