"""Build the report: one HTML page that needs no other file and no network, made from the tables of results.

Tables that don't exist, or have no rows, are allowed: their sections say so.
"""

import argparse
import logging
from pathlib import Path

from d3s import cli
from d3s.report import TEMPLATE, Sources, render
from d3s.roles import parse_roles
from d3s.shards import write_text

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("--manifest", type=Path, help="manifest of all images (Parquet)")
    parser.add_argument("--counts", type=Path, help="CSV of counts by status")
    parser.add_argument(
        "--evaluation", nargs="*", type=Path, default=[], help="tables of classifiers (CSV), known by their names"
    )
    parser.add_argument("--roles", nargs="*", default=[], metavar="NAME=ROLE", help="roles of classifiers, in order")
    parser.add_argument("--fragile-sets-data", type=Path, help="JSON that draw_fragile_sets.py wrote")
    parser.add_argument("--probes", type=Path, help="CSV of probe accuracy")
    parser.add_argument("--probes-paired", type=Path, help="CSV of paired differences to the erm objective")
    parser.add_argument("--spurious", type=Path, help="CSV of the spurious correlation study")
    parser.add_argument("--nearest", type=Path, help="CSV of nearest neighbours: measure, value, n")
    parser.add_argument(
        "--figures", nargs="*", type=Path, default=[], help="figures (.svg or .png), named by their stem"
    )
    parser.add_argument("--contact-sheet-data", type=Path, help="JSON that draw_contact_sheet.py wrote")
    parser.add_argument("--templates", type=Path, help="JSON that review_templates.py wrote")
    parser.add_argument("--calibration", type=Path, help="CSV of the screen's precision and recall")
    parser.add_argument("--annotators", type=Path, help="CSV of the people who voted, by hash")
    parser.add_argument("--agreement", type=Path, help="CSV of Krippendorff's alpha by question")
    parser.add_argument("--settings", type=Path, help="the merged config (JSON)")
    parser.add_argument("--sources", type=Path, help="registry of sources with their licences (CSV)")
    parser.add_argument("--benchmarks", nargs="*", type=Path, default=[], help="benchmark files, or folders of them")
    parser.add_argument("--template", type=Path, default=TEMPLATE, help="Jinja template of the page")
    parser.add_argument("--output", type=Path, required=True, help="the page (.html)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Write the page."""
    given = Sources(
        manifest=args.manifest,
        counts=args.counts,
        evaluation=args.evaluation,
        roles=parse_roles(args.roles),
        fragile=args.fragile_sets_data,
        probes=args.probes,
        probes_paired=args.probes_paired,
        spurious=args.spurious,
        nearest=args.nearest,
        figures=args.figures,
        contact_sheet=args.contact_sheet_data,
        templates=args.templates,
        calibration=args.calibration,
        annotators=args.annotators,
        agreement=args.agreement,
        settings=args.settings,
        sources=args.sources,
        benchmarks=args.benchmarks,
    )
    page = render(given, args.template)
    write_text(args.output, page)
    log.info("%s written (%.1f MB): open it in a browser", args.output, len(page.encode()) / 1e6)


if __name__ == "__main__":
    cli.run(parse, main)
