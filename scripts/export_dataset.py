"""Export the data set: Parquet for Hugging Face's library, WebDataset tars, folders of images, a card and Croissant."""

import argparse
import json
import logging
from pathlib import Path

import yaml

from d3s import cli
from d3s.export.dataset import export
from d3s.export.facts import About
from d3s.export.folder import export_folder
from d3s.export.records import Labels, read_manifest
from d3s.tables import Row, check_slice, read_table

log = logging.getLogger("d3s")

COLUMNS = {
    "classes": ("class_id", "name", "label", "definition"),
    "backgrounds": ("background", "phrase"),
    "exemplars": ("exemplar", "source"),
    "templates": ("template_source", "kind", "source"),
    "sources": ("source", "package", "version", "licence", "attribution"),
}
"""The cells of the tables that an export depends on."""
OPTIONAL = frozenset({"exemplars", "sources", "templates"})
"""Tables that a config may have none of: exemplars may be chosen, sources unknown; released data have no templates."""


def parse() -> argparse.Namespace:
    """The command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of all images (Parquet)")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="tars of generated images")
    for kind in COLUMNS:
        parser.add_argument(f"--{kind}", type=Path, required=kind not in OPTIONAL, help=f"table of {kind} (CSV)")
    parser.add_argument("--rows-digests", nargs=len(COLUMNS), help="of the tables that this run was planned with")
    parser.add_argument("--model-card", type=Path, help="README.md of the generator, whose head may state a licence")
    parser.add_argument("--settings", type=json.loads, required=True, help="slice of the config, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="folder to write; an export in it is replaced")
    return parser.parse_args()


def read_tables(args: argparse.Namespace) -> dict[str, list[Row]]:
    """The tables by kind; some may be missing.

    Raises:
        D3SError: a table is not as it was when the run was planned.
    """
    tables: dict[str, list[Row]] = {}
    expected = dict(zip(COLUMNS, args.rows_digests or [None] * len(COLUMNS), strict=True))
    for kind, columns in COLUMNS.items():
        path: Path | None = getattr(args, kind)
        tables[kind] = read_table(path, kind) if path else []
        check_slice(tables[kind], columns, expected[kind], path or kind)
    return tables


def read_licence(card: Path | None) -> str:
    """The licence that a model's card states in its head; nothing if it states none: what it may be is not guessed."""
    if card is None or not card.is_file():
        return ""
    before, _, rest = card.read_text(encoding="utf-8", errors="replace").partition("---\n")
    try:
        head = yaml.safe_load(rest.partition("\n---")[0]) if not before.strip() and rest else None
    except yaml.YAMLError:
        return ""
    return str(head.get("license") or "") if isinstance(head, dict) else ""


def main(args: argparse.Namespace) -> None:
    """Read the tables, write the export."""
    tables = read_tables(args)
    about = About(
        Labels.of(tables["classes"], tables["backgrounds"]),
        tables["exemplars"],
        tables["templates"],
        tables["sources"],
        args.settings,
        read_licence(args.model_card),
    )
    manifest = read_manifest(args.manifest)
    with export_folder(args.output) as folder:
        rows = export(folder, manifest, args.images, about)
    log.info("%d of %d images exported to %s; begin with its README.md", len(rows), len(manifest), args.output)


if __name__ == "__main__":
    cli.run(parse, main)
