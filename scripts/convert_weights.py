"""Convert the published weights of one classifier, found in an installed package, to safetensors for timm."""

import argparse
import logging
from pathlib import Path

from d3s import cli
from d3s.errors import D3SError
from d3s.tables import check_slice, read_table
from d3s.weights import convert_published

COLUMNS = ("timm_name", "source", "file", "sha256")
"""The columns of the table of classifiers that the weights depend on."""


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--table", type=Path, required=True, help="table of classifiers")
    parser.add_argument("--name", required=True, help="name of the classifier in it")
    parser.add_argument("--rows-digest", help="digest of the classifier's row when the job was planned")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Check, convert and write."""
    rows = [row for row in read_table(args.table, "classifiers") if row["name"] == args.name]
    if not rows:
        raise D3SError(f"{args.table} has no classifier {args.name!r}", "correct the name, or add a row for it")
    check_slice(rows, COLUMNS, args.rows_digest, args.table)
    row = rows[0]
    convert_published(row["source"], row["file"], row["sha256"], row["timm_name"], args.output)
    logging.getLogger(__name__).info("%s of %s is now %s", row["file"], row["source"], args.output)


if __name__ == "__main__":
    cli.run(parse, main)
