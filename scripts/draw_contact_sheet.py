"""Draw the contact sheet of classes x backgrounds from generated val images, each beside its guide.

Of every class the first matched set by index is shown, complete sets before others; nothing is chosen by its looks.
Images that the screens rejected have an orange frame.
"""

import argparse
import logging
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.contact_sheet import as_data, choose_rows, draw_sheet, read_cells, write_sheet
from d3s.shards import write_json

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of all images (Parquet)")
    parser.add_argument("--images", nargs="+", type=Path, required=True, help="tars of generated images")
    parser.add_argument("--guides", nargs="+", type=Path, required=True, help="tars of guides")
    parser.add_argument("--split", default="val", help="split to show (default: val)")
    parser.add_argument("--max-classes", type=int, default=12, help="classes to show at most (default: 12)")
    parser.add_argument("--tile", type=int, default=104, help="pixels a side of a picture on the sheet (default: 104)")
    parser.add_argument(
        "--thumbnail", type=int, default=128, help="pixels a side of a picture on the page (default: 128)"
    )
    parser.add_argument("--output", type=Path, required=True, help="the sheet (.png or .jpg)")
    parser.add_argument("--data", type=Path, required=True, help="the sheet for the HTML page (.json)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Draw the sheet and write its data."""
    manifest = pd.read_parquet(args.manifest)
    rows = choose_rows(manifest, args.split, args.max_classes)
    cells = read_cells(rows, args.images, args.guides)
    in_all = int(manifest.loc[manifest["split"] == args.split, "class_id"].nunique())
    write_sheet(args.output, draw_sheet(cells, args.tile))
    write_json(args.data, as_data(cells, in_all, args.thumbnail))
    log.info("%s shows %d images of %d classes", args.output, len(cells), rows["class_id"].nunique())


if __name__ == "__main__":
    cli.run(parse, main)
