"""Score classifiers' predictions: accuracies, effects of backgrounds, flips, tests, variance shares, agreement."""

import argparse
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.errors import D3SError
from d3s.judging import label_map_classes, read_subjects, subjects_from_manifest
from d3s.metrics.estimates import Bootstrap
from d3s.scoring import Subjects, score
from d3s.shards import write_table
from d3s.superclasses import read_super_classes
from d3s.tables import read_table

OF_MANIFEST = ("guides", "images")
"""Data sets whose pictures the manifest knows."""
ONCE = "crossed_guides"
"""The guides of the crossed design are the same under every noise, and looked at once."""


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--predictions", type=Path, nargs="+", required=True, help="tables named DATASET/CLASSIFIER.parquet"
    )
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of the data set (Parquet)")
    parser.add_argument("--classes", type=Path, required=True, help="table of classes")
    parser.add_argument("--rows-digest", help="digest of what is used of it when the job was planned")
    parser.add_argument(
        "--subjects",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "PARQUET"),
        help="another data set of the same classes, and the manifests of its shards",
    )
    parser.add_argument(
        "--benchmark",
        nargs=3,
        action="append",
        default=[],
        metavar=("NAME", "INDEX", "LABELS"),
        help="a benchmark, its index and its label map",
    )
    parser.add_argument(
        "--references", nargs="*", default=["guides", "cutouts"], help="data sets that others are compared with"
    )
    parser.add_argument("--judges", nargs="*", default=[], help="classifiers that say which classes are fragile")
    parser.add_argument("--seed", type=int, default=0, help="root of the bootstrap's draws")
    parser.add_argument("--bootstrap", type=int, default=2000, help="number of bootstrap samples")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables to write (CSV)")
    return parser.parse_args()


def gather_subjects(args: argparse.Namespace) -> dict[str, Subjects]:
    """The data sets by name.

    Raises:
        D3SError: a table can't be read, or a data set is named twice.
    """
    classes = read_super_classes(args.classes, args.rows_digest)
    rows = read_table(args.classes, "classes")
    usual = {int(row["class_id"]): row.get("usual_backgrounds", "").split() for row in rows}
    pictures = subjects_from_manifest(pd.read_parquet(args.manifest))
    found = {name: Subjects(pictures, classes, usual) for name in OF_MANIFEST}
    others = []
    for name, *paths in args.subjects:
        pictures = read_subjects([Path(path) for path in paths])
        if name == ONCE:
            pictures = pictures[pictures["noise"] == "0"]
        others.append((name, Subjects(pictures, classes, usual)))
    for name, index, labels in args.benchmark:
        others.append((name, Subjects(read_subjects([Path(index)]), label_map_classes(labels))))
    for name, own in others:
        if name in found:
            raise D3SError(f"two data sets are called {name!r}", "give each benchmark of the config a name of its own")
        found[name] = own
    return found


def main(args: argparse.Namespace) -> None:
    """Read, score, write every table."""
    bootstrap = Bootstrap(args.seed, args.bootstrap)
    tables = score(args.predictions, gather_subjects(args), args.references, args.judges, bootstrap)
    for name, table in tables.items():
        write_table(args.tables / f"{name}.csv", table)


if __name__ == "__main__":
    cli.run(parse, main)
