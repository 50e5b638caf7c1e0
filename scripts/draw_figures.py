"""Draw the figures of the report, each from one table of results.

A file is named as its figure, with the ending .svg or .png. A table that is missing or empty gives a figure that says
so.
"""

import argparse
import logging
from pathlib import Path

from d3s import cli
from d3s.errors import D3SError
from d3s.figures import FIGURES, write_figure
from d3s.result_tables import load_table
from d3s.roles import parse_roles, with_roles

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("--tables", type=Path, nargs="*", default=[], help="tables (CSV), known by their names")
    parser.add_argument("--roles", nargs="*", default=[], metavar="NAME=ROLE", help="roles of classifiers, in order")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--figures", nargs="+", type=Path, help="figures to draw, such as results/figures/probes.svg")
    where.add_argument("--output-dir", type=Path, help="draw all figures, as SVG, into this folder")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Draw what was asked for.

    Raises:
        D3SError: an unknown figure, or a table without one of its columns.
    """
    roles = parse_roles(args.roles)
    tables = {path.stem: path for path in args.tables}
    for path in args.figures or [args.output_dir / f"{name}.svg" for name in FIGURES]:
        if path.stem not in FIGURES:
            raise D3SError(f"there is no figure {path.name!r}", f"ask for one of: {', '.join(FIGURES)}")
        source, columns, _ = FIGURES[path.stem]
        table = with_roles(load_table(tables.get(source), columns), roles)
        write_figure(path, table)
        log.info("%s drawn from %d rows", path, len(table))


if __name__ == "__main__":
    cli.run(parse, main)
