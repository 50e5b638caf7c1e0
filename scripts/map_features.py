"""Map the parts of each objective's features in two dimensions, for the eye; of each objective its first seed."""

import argparse
from pathlib import Path

from d3s import cli
from d3s.feature_map import feature_maps
from d3s.features import read_features, read_manifest
from d3s.shards import write_table


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--features", type=Path, nargs="+", required=True, help="features of encoders")
    parser.add_argument("--manifest", type=Path, required=True, help="the manifest of images (.parquet)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of pictures and of the map")
    parser.add_argument("--output", type=Path, required=True, help="feature_map.csv, written")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Write the table."""
    manifest = read_manifest(args.manifest)
    write_table(args.output, feature_maps([read_features(path, manifest) for path in args.features], args.seed))


if __name__ == "__main__":
    cli.run(parse, main)
