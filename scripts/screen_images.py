"""Screen the images of one shard: a row for each, with a status, a reason and what was measured."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from d3s import cli
from d3s.classifier_arguments import add_arguments, load_needed
from d3s.classifiers import Load, ask
from d3s.errors import D3SError
from d3s.predictions import probabilities as to_probabilities
from d3s.screening import Judge, Pictures, ScreenSettings, screen
from d3s.shards import TarReader, write_table
from d3s.superclasses import read_super_classes


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--images", type=Path, required=True, help="tar shard of images, its manifest beside it")
    parser.add_argument("--guides", type=Path, required=True, help="tar shard of the guides they were made from")
    parser.add_argument("--output", type=Path, required=True, help="table of screens to write (Parquet)")
    parser.add_argument("--classes", type=Path, help="table of classes")
    parser.add_argument("--rows-digest", help="digest of what is used of it when the job was planned")
    parser.add_argument("--min-contrast", type=float, default=0.02, help="least contrast (white is 1)")
    parser.add_argument(
        "--min-probability", type=float, default=0.1, help="least probability of its class if not first"
    )
    add_arguments(parser, required=False)
    return parser.parse_args()


def load_judge(args: argparse.Namespace) -> Judge | None:
    """The classifier that the arguments name, if any."""
    if not args.classifier:
        return None
    if not (args.classifiers and args.weights and args.classes):
        raise D3SError(
            "--classifier stands without all of --classifiers, --weights and --classes",
            "give all four, or none of them to screen without a classifier",
        )
    classes = read_super_classes(args.classes, args.rows_digest)
    classifier, store = load_needed(args)

    def probabilities(digests: Sequence[str], pictures: Pictures) -> list[np.ndarray]:
        def loads(places: Sequence[int]) -> Iterator[tuple[int, Load]]:
            return ((place, partial(_given, picture)) for place, picture in pictures(places))

        answers = ask(classifier, store, digests, loads)
        return [classes.sums(to_probabilities(answer)) for answer in answers if answer is not None]

    return Judge(args.classifier, dict(zip(classes.ids, classes.names, strict=True)), probabilities)


def _given(picture: Image.Image) -> Image.Image:
    return picture


def main(args: argparse.Namespace) -> None:
    """Read the shard, screen it, write the table."""
    cli.set_threads(args.threads)
    rows = pd.read_parquet(args.images.with_suffix(".parquet"))
    members = pd.read_parquet(args.guides.with_suffix(".parquet"), columns=["sample", "member"])
    where = dict(zip(members["sample"], members["member"], strict=True))
    missing = sorted(set(rows["sample"]) - set(where))
    if missing:
        raise D3SError(
            f"{args.guides} has no guide for {len(missing)} of the samples of {args.images}, such as {missing[0]}",
            "give the guides that the images were made from, or make the images again",
        )
    with TarReader(args.images) as images, TarReader(args.guides) as guides:
        table = screen(
            rows,
            images.read,
            lambda sample: guides.read(where[sample]) if where[sample] else None,
            ScreenSettings(args.min_contrast, args.min_probability),
            load_judge(args),
        )
    write_table(args.output, table)
    counts = table["status"].value_counts().sort_index()
    summary = ", ".join(f"{status} {n}" for status, n in counts.items())
    logging.getLogger(__name__).info("%d rows: %s", len(table), summary or "none")


if __name__ == "__main__":
    cli.run(parse, main)
