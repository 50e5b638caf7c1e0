"""Lock splits of the data set whose classes and backgrounds go together: several pairings, at each correlation rho."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.correlation.groups import groups_of_index, groups_of_manifest
from d3s.correlation.pairing import Pairing, find_pairing, pair_classes
from d3s.correlation.splits import SplitSettings, build_presets, build_splits, native_split, write_split
from d3s.errors import D3SError
from d3s.features import read_manifest

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    rows = parser.add_mutually_exclusive_group(required=True)
    rows.add_argument("--manifest", type=Path, help="the manifest of images (.parquet)")
    rows.add_argument("--index", type=Path, help="a benchmark's index (.parquet): its own split, and those over rho")
    default = SplitSettings()
    parser.add_argument("--rhos", type=float, nargs="+", default=[0.0, 1.0], help="correlations, in [0, 1]")
    parser.add_argument("--pairings", type=int, default=1, help="pairings, each with splits of its own")
    parser.add_argument("--backgrounds-per-class", type=int, nargs="+", default=[1], help="1: one to one")
    parser.add_argument(
        "--validation-fraction", type=float, default=default.validation_fraction, help="of split groups"
    )
    parser.add_argument("--min-images", type=int, default=default.min_images, help="classes with fewer are left out")
    parser.add_argument("--seed", type=int, default=default.seed, help="root of every choice")
    parser.add_argument("--output", type=Path, required=True, help="folder; NAME.csv and NAME.json of each split")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    settings = SplitSettings(args.seed, args.validation_fraction, args.min_images)
    if args.index:
        try:
            rows = groups_of_index(pd.read_parquet(args.index), str(args.index))
        except (OSError, ValueError) as error:
            raise D3SError(f"{args.index} can't be read ({error})", "make it again: snakemake subjects") from None
        native = native_split(rows, _pairing_of(rows, args.index.stem, args.seed), settings)
        for split in [native, *build_splits(rows, native.pairing, args.rhos, settings)]:
            write_split(args.output, split)
        return
    rows = groups_of_manifest(read_manifest(args.manifest))
    classes, backgrounds = rows["class"].unique().tolist(), rows["background"].unique().tolist()
    for each in args.backgrounds_per_class:
        for number in range(args.pairings):
            pairing = pair_classes(classes, backgrounds, each, number, args.seed)
            made = build_splits(rows, pairing, args.rhos, settings)
            if number == 0 and each == args.backgrounds_per_class[0]:
                made += build_presets(rows, pairing, settings)
            for split in made:
                write_split(args.output, split)


def _pairing_of(rows: pd.DataFrame, name: str, seed: int) -> Pairing:
    """The pairing that a benchmark has of itself; of one without, a hashed one to build correlations with."""
    try:
        return find_pairing(rows, name)
    except D3SError as error:
        log.warning("%s; classes are paired with backgrounds by hashes", error.problem)
        dealt = pair_classes(rows["class"].unique().tolist(), rows["background"].unique().tolist(), 1, 0, seed)
        return Pairing(name, dealt.backgrounds)


if __name__ == "__main__":
    cli.run(parse, main)
