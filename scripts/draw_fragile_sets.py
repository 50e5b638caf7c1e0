"""Draw the matched sets of the most fragile classes, each image with what every judge said of it.

Of every class the set with the most flips is shown, as the table of fragile sets ranks them.
"""

import argparse
import logging
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.contact_sheet import write_sheet
from d3s.fragile_sheet import SET_COLUMNS, as_data, draw_fragile, read_parts
from d3s.result_tables import load_table
from d3s.shards import write_json

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("--sets", type=Path, required=True, help="table of fragile sets (CSV)")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of all images (Parquet)")
    parser.add_argument("--images", nargs="+", type=Path, required=True, help="tars of generated images")
    parser.add_argument("--max-classes", type=int, default=10, help="classes to show at most (default: 10)")
    parser.add_argument(
        "--thumbnail", type=int, default=128, help="pixels a side of a picture on the page (default: 128)"
    )
    parser.add_argument("--output", type=Path, required=True, help="the sheet (.png or .jpg)")
    parser.add_argument("--data", type=Path, required=True, help="the sheet for the HTML page (.json)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Draw the sheet and write its data.

    Raises:
        D3SError: the table of fragile sets lacks a column.
    """
    sets = load_table(args.sets, SET_COLUMNS)
    parts = read_parts(sets, pd.read_parquet(args.manifest), args.images, args.max_classes)
    write_sheet(args.output, draw_fragile(parts))
    write_json(args.data, as_data(parts, args.thumbnail))
    log.info("%s shows %d sets", args.output, sum(len(part.rows) for part in parts))


if __name__ == "__main__":
    cli.run(parse, main)
