"""Train linear classifiers on images where class and background go together, and test them where they don't."""

import argparse
from pathlib import Path

from d3s import cli
from d3s.features import read_features, read_manifest
from d3s.probes import ProbeSettings
from d3s.shards import write_table
from d3s.spurious import spurious_rows, spurious_table


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    default = ProbeSettings()
    parser.add_argument("--features", type=Path, nargs="+", required=True, help="features of all encoders")
    parser.add_argument("--manifest", type=Path, required=True, help="the manifest of images (.parquet)")
    parser.add_argument("--regularisation", type=float, default=default.regularisation, help="C of the L2 penalty")
    parser.add_argument("--seed", type=int, default=default.seed, help="of the pairing of classes and backgrounds")
    parser.add_argument("--output", type=Path, required=True, help="spurious.csv, written")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    settings = ProbeSettings(regularisation=args.regularisation)
    manifest = read_manifest(args.manifest)
    rows: list[dict[str, object]] = []
    for path in cli.progress(args.features, len(args.features), "encoders"):
        rows += spurious_rows(read_features(path, manifest), settings, args.seed)
    write_table(args.output, spurious_table(rows))


if __name__ == "__main__":
    cli.run(parse, main)
