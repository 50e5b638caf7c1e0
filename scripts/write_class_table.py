"""Write the class table of ImageNet-1k, or of some of its classes, to begin a config with."""

import argparse
import csv
import io
import logging
from pathlib import Path

from d3s import cli
from d3s.errors import D3SError
from d3s.imagenet import COLUMNS, imagenet_rows
from d3s.shards import write_text

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--synsets", nargs="*", default=[], metavar="ID", help="take these classes alone (n01440764)")
    parser.add_argument("--output", type=Path, required=True, help="table to write (CSV); it must not exist")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Write the table.

    Raises:
        D3SError: the file exists, since it may have been edited by hand.
    """
    if args.output.exists():
        raise D3SError(f"{args.output} exists already", "name another file, or delete it")
    rows = imagenet_rows(args.synsets)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(args.output, text.getvalue())
    log.info("%d classes written to %s", len(rows), args.output)


if __name__ == "__main__":
    cli.run(parse, main)
