"""List all templates with what is known of them, and draw those that somebody should look at."""

import argparse
import logging
from pathlib import Path
from typing import Any

import pandas as pd

from d3s import cli
from d3s.contact_sheet import data_uri
from d3s.flagging import TARGET_OBJECT
from d3s.imageio import decode_png
from d3s.inspection import list_templates
from d3s.licences import without_licence
from d3s.shards import TarReader, write_json, write_table
from d3s.tables import Row, check_slice, read_table

log = logging.getLogger("d3s")
COLUMNS = {
    "templates": ("template_source", "background", "source"),
    "exemplars": ("exemplar", "source"),
    "sources": ("source", "licence"),
}
"""The cells of the tables that a review depends on."""
MOST_SHOWN = 48
"""Flagged templates that are drawn; the likeliest first."""


def parse() -> argparse.Namespace:
    """The command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("--backgrounds", type=Path, nargs="+", required=True, help="tars of the backgrounds' templates")
    parser.add_argument("--inspections", type=Path, nargs="+", required=True, help="findings, in the same order")
    for kind in COLUMNS:
        parser.add_argument(f"--{kind}", type=Path, required=kind != "sources", help=f"table of {kind} (CSV)")
    parser.add_argument("--rows-digests", nargs=len(COLUMNS), help="of the tables that this run was planned with")
    parser.add_argument("--max-probability", type=float, required=True, help="of a target class; flagged above it")
    parser.add_argument("--on-target-object", choices=("flag", "refuse"), required=True)
    parser.add_argument("--thumbnail", type=int, default=128, help="pixels a side of a picture on the page")
    parser.add_argument("--output", type=Path, required=True, help="table of all templates (CSV)")
    parser.add_argument("--data", type=Path, required=True, help="what the report shows of them (JSON)")
    return parser.parse_args()


def draw_flagged(flagged: pd.DataFrame, manifests: dict[str, pd.DataFrame], tars: dict[str, Path], side: int) -> list:
    """The likeliest of the flagged templates, with their pictures."""
    drawn: list[dict[str, Any]] = []
    likeliest = flagged.sort_values(["probability", "template"], ascending=[False, True]).head(MOST_SHOWN)
    for row in likeliest.to_dict("records"):
        manifest = manifests[row["background"]]
        member = manifest.loc[manifest["template"] == row["template"], "member"].iloc[0]
        with TarReader(tars[row["background"]]) as tar:
            picture = data_uri(decode_png(tar.read(member)), side)
        names = ("template", "background", "split", "target_class", "probability")
        drawn.append({name: row[name] for name in names} | {"picture": picture})
    return drawn


def main(args: argparse.Namespace) -> None:
    """Write the table and the data of the report."""
    tables: dict[str, list[Row]] = {}
    for (kind, columns), expected in zip(COLUMNS.items(), args.rows_digests or [None] * len(COLUMNS), strict=True):
        path: Path | None = getattr(args, kind)
        tables[kind] = read_table(path, kind) if path else []
        check_slice(tables[kind], columns, expected, path or kind)
    tars = {tar.stem: tar for tar in args.backgrounds}
    manifests = {name: pd.read_parquet(tar.with_suffix(".parquet")) for name, tar in tars.items()}
    inspections = [pd.read_parquet(path) for path in args.inspections]
    refuse = args.on_target_object == "refuse"
    listed = list_templates(
        manifests.values(), inspections, tables["templates"], tables["sources"], args.max_probability, refuse
    )
    flagged = listed[listed["flagged"]]
    refused = listed[~listed["status"].isin(["ok", TARGET_OBJECT])]
    unlicensed = [
        {"what": what, "source": source, "rows": count}
        for what, kind in (("foregrounds", "exemplars"), ("backgrounds", "templates"))
        for source, count in without_licence(tables[kind], tables["sources"]).items()
    ]
    data = {
        "templates": len(listed),
        "flagged": draw_flagged(flagged, manifests, tars, args.thumbnail),
        "flagged_in_all": len(flagged),
        "left_out": refuse,
        "max_probability": args.max_probability,
        "refused": refused[["template", "background", "split", "status", "reason"]].to_dict("records"),
        "unlicensed": unlicensed,
    }
    write_table(args.output, listed)
    write_json(args.data, data)
    log.info(
        "%d templates: %d can't be used, %d seem to show an object of a class (%s)",
        len(listed),
        len(refused),
        len(flagged),
        "left out" if refuse else "kept",
    )


if __name__ == "__main__":
    cli.run(parse, main)
