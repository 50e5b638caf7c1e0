"""Draw the figures of the report, each from one table of results.

Files are named classifiers, probes, leakage, spurious, counts or calibration, with the ending .svg or .png. A table
that is missing or empty gives a figure that says so.
"""

import argparse
import logging
from pathlib import Path

from d3s import cli
from d3s.errors import D3SError
from d3s.figures import FIGURES, load_table, write_figure

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("--classifiers", type=Path, help="CSV of classifier accuracy by background")
    parser.add_argument("--probes", type=Path, help="CSV of probe accuracy")
    parser.add_argument("--probes-paired", type=Path, help="CSV of paired differences to the erm objective")
    parser.add_argument("--spurious", type=Path, help="CSV of the spurious correlation study")
    parser.add_argument("--counts", type=Path, help="CSV of counts by status")
    parser.add_argument("--calibration", type=Path, help="CSV of the screen's precision and recall")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--figures", nargs="+", type=Path, help="figures to draw, such as results/figures/probes.svg")
    where.add_argument("--output-dir", type=Path, help="draw all figures, as SVG, into this folder")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Draw what was asked for.

    Raises:
        D3SError: an unknown figure, or a table without one of its columns.
    """
    for path in args.figures or [args.output_dir / f"{name}.svg" for name in FIGURES]:
        if path.stem not in FIGURES:
            raise D3SError(f"there is no figure {path.name!r}", f"ask for one of: {', '.join(FIGURES)}")
        source, columns, _ = FIGURES[path.stem]
        table = load_table(getattr(args, source), columns)
        write_figure(path, table)
        log.info("%s drawn from %d rows", path, len(table))


if __name__ == "__main__":
    cli.run(parse, main)
