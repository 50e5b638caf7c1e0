"""Ask one classifier what it sees in the guides and images of the val split."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from PIL import Image

from d3s import cli
from d3s.array_store import ArrayStore, through_store
from d3s.classification_metrics import prediction_row
from d3s.classifiers import Classifier, probability_store
from d3s.devices import choose_device
from d3s.errors import BadInput
from d3s.imageio import decode_png
from d3s.shards import TarReader, write_table
from d3s.superclasses import SuperClasses, read_super_classes
from d3s.weights import load_classifier

log = logging.getLogger(__name__)
DIGESTS = {"guides": "guide_digest", "images": "image_digest"}
"""The column with the digest of a data set's pixels."""


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="tar shards, their manifests beside them")
    parser.add_argument("--guides", type=Path, nargs="+", required=True, help="tar shards of guides, likewise")
    parser.add_argument("--name", required=True, help="name of the classifier in the tables")
    parser.add_argument("--timm-name", required=True, help="timm's name of it")
    parser.add_argument("--weights", type=Path, required=True, help="its weights (safetensors)")
    parser.add_argument("--input-size", type=int, required=True, help="side of its inputs in pixels")
    parser.add_argument("--classes", type=Path, required=True, help="table of classes")
    parser.add_argument("--rows-digest", help="digest of what is used of it when the job was planned")
    parser.add_argument("--batch-size", type=int, default=16, help="pictures per call")
    parser.add_argument("--store", type=Path, help="folder of finished scores; without it, none are kept")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--output", type=Path, required=True, help="table of predictions to write (Parquet)")
    return parser.parse_args()


def read_shards(tars: list[Path], dataset: str) -> pd.DataFrame:
    """The rows of shards that have a picture: dataset, sample, image_digest, and tar and member."""
    tables = []
    for tar in tars:
        rows = pd.read_parquet(tar.with_suffix(".parquet"), columns=["sample", "member", "status", DIGESTS[dataset]])
        rows = rows[rows["status"] == "ok"].rename(columns={DIGESTS[dataset]: "image_digest"})
        tables.append(rows.drop(columns="status").assign(dataset=dataset, tar=str(tar)))
    return pd.concat(tables, ignore_index=True)


def readable(rows: pd.DataFrame, places: Sequence[int]) -> Iterator[tuple[int, Image.Image]]:
    """The pictures at some places of the rows that can be decoded; the others are left to ``screen_images``."""
    for tar, group in rows.iloc[list(places)].groupby("tar", sort=False):
        with TarReader(tar) as reader:
            for place, member in group["member"].items():
                try:
                    yield place, decode_png(reader.read(member))
                except BadInput as bad:
                    log.warning("%s in %s: %s", member, tar, bad.reason)


def predict(
    rows: pd.DataFrame, classifier: Classifier, classes: SuperClasses, name: str, store: ArrayStore | None
) -> pd.DataFrame:
    """One row per row given; what is not readable keeps empty probabilities."""
    answers = through_store(
        store,
        rows["image_digest"].tolist(),
        lambda places: cli.progress(readable(rows, places), len(places), "pictures", name),
        classifier.probabilities,
    )
    records = [{} if answer is None else prediction_row(answer, classes) for answer in answers]
    columns = [f"p_{class_id}" for class_id in classes.ids] + ["top1_index", "top1_probability"]
    found = pd.DataFrame(records, columns=columns, dtype="float64")
    table = pd.concat([rows[["dataset", "sample", "image_digest"]].assign(model=name), found], axis=1)
    return table.astype({"top1_index": "Int64"}).sort_values(["dataset", "sample"], ignore_index=True)


def main(args: argparse.Namespace) -> None:
    """Read the shards, ask the classifier, write the table."""
    cli.set_threads(args.threads)
    classes, device = read_super_classes(args.classes, args.rows_digest), choose_device(args.device)
    model = load_classifier(args.timm_name, args.weights).to(device)
    rows = pd.concat([read_shards(args.guides, "guides"), read_shards(args.images, "images")], ignore_index=True)
    store = args.store and probability_store(args.store, args.timm_name, args.weights, args.input_size)
    table = predict(rows, Classifier(model, args.input_size, args.batch_size, device), classes, args.name, store)
    write_table(args.output, table)
    log.info("%s looked at %d pictures", args.name, table["top1_index"].notna().sum())


if __name__ == "__main__":
    cli.run(parse, main)
