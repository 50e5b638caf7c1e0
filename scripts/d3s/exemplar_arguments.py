"""The arguments that the scripts have in common which choose exemplars: they must choose the same ones."""

import argparse
import json
from pathlib import Path

from d3s.exemplars import ExemplarSettings
from d3s.source import Source, build_source
from d3s.tables import Row, check_digest, read_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a source and of the choice among its candidates."""
    parser.add_argument("--source", type=json.loads, required=True, help="where exemplars come from, as JSON")
    parser.add_argument("--classes-table", type=Path, required=True, help="table of classes")
    parser.add_argument("--exemplars", type=Path, help="table of exemplars, for the source of that kind")
    parser.add_argument("--classes", type=int, nargs="+", required=True, help="class ids of the chunk")
    parser.add_argument("--rows-digest", help="digest of the rows that this run was planned with")
    parser.add_argument("--per-class", type=int, nargs=2, required=True, help="exemplars of a class: of train, of val")
    parser.add_argument("--max-side", type=int, required=True, help="pixels that the longer side is reduced to")
    parser.add_argument("--min-side", type=int, required=True, help="pixels that the longer side must have")
    parser.add_argument(
        "--duplicate-distance", type=int, required=True, help="bits of 64 that near-duplicates differ in"
    )
    parser.add_argument("--val-fraction", type=float, required=True, help="share of split groups without a split")
    parser.add_argument("--seed", type=int, required=True, help="root seed")


def read_classes(args: argparse.Namespace) -> tuple[Source, list[Row]]:
    """The source, and the rows of the chunk's classes.

    Raises:
        D3SError: a table can't be read, or was edited after the run was planned.
    """
    table = read_table(args.exemplars, "exemplars") if args.exemplars else []
    source = build_source(args.source, table)
    classes = [row for row in read_table(args.classes_table, "classes") if int(row["class_id"]) in args.classes]
    if args.rows_digest is not None:
        check_digest(source.slice(classes), args.rows_digest, args.exemplars or args.classes_table)
    return source, classes


def settings_of(args: argparse.Namespace) -> ExemplarSettings:
    """How the exemplars are made."""
    return ExemplarSettings(
        args.max_side,
        args.min_side,
        args.duplicate_distance,
        args.val_fraction,
        args.seed,
        dict(zip(("train", "val"), args.per_class, strict=True)),
    )
