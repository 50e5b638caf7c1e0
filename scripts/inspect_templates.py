"""Inspect the templates of one background: which class of the data set each shows most likely, and how likely."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from PIL import Image

from d3s import cli
from d3s.array_store import through_store
from d3s.classifiers import Classifier, probability_store
from d3s.devices import choose_device
from d3s.imageio import decode_png
from d3s.inspection import best_targets
from d3s.shards import TarReader, write_table
from d3s.superclasses import read_super_classes
from d3s.weights import load_classifier

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--backgrounds", type=Path, required=True, help="tar of the background's templates")
    parser.add_argument("--classifier", required=True, help="name of the classifier that looks at them")
    parser.add_argument("--timm-name", required=True, help="timm's name of it")
    parser.add_argument("--weights", type=Path, required=True, help="its weights (safetensors)")
    parser.add_argument("--input-size", type=int, required=True, help="side of its inputs in pixels")
    parser.add_argument("--classes", type=Path, required=True, help="table of classes")
    parser.add_argument("--rows-digest", help="digest of what is used of it when the job was planned")
    parser.add_argument("--batch-size", type=int, default=16, help="pictures per call of the classifier")
    parser.add_argument("--store", type=Path, help="folder of finished scores; without it, none are kept")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--output", type=Path, required=True, help="table of findings to write (Parquet)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Read the templates, ask the classifier, write the table."""
    cli.set_threads(args.threads)
    classes, device = read_super_classes(args.classes, args.rows_digest), choose_device(args.device)
    rows = pd.read_parquet(args.backgrounds.with_suffix(".parquet"))
    rows = rows[rows["status"] == "ok"].reset_index(drop=True)
    model = load_classifier(args.timm_name, args.weights).to(device)
    classifier = Classifier(model, args.input_size, args.batch_size, device)
    store = args.store and probability_store(args.store, args.timm_name, args.weights, args.input_size)
    with TarReader(args.backgrounds) as tar:

        def pictures(places: Sequence[int]) -> Iterator[tuple[int, Image.Image]]:
            found = ((place, decode_png(tar.read(rows.at[place, "member"]))) for place in places)
            return cli.progress(found, len(places), "templates")

        answers = through_store(store, rows["digest"].tolist(), pictures, classifier.probabilities)
    table = best_targets(rows, answers, classes, args.classifier)
    write_table(args.output, table)
    log.info("%d templates inspected", len(table))


if __name__ == "__main__":
    cli.run(parse, main)
