"""Ask one classifier what it sees in one data set: a row per picture with all its log-probabilities, and no labels.

The pictures are those of shards, or of the files that an index lists. What it saw before is not looked at again.
"""

import argparse
import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from d3s import cli
from d3s.array_store import ArrayStore
from d3s.classifier_arguments import add_arguments, entry_of, load_asked
from d3s.classifier_library import IMAGENET_CLASSES
from d3s.classifiers import Classifier, Load, ask
from d3s.errors import BadInput, D3SError
from d3s.imageio import decode_png, read_image
from d3s.predictions import write_predictions
from d3s.shards import TarReader
from d3s.weights import read_about

log = logging.getLogger(__name__)
DIGESTS = ("image_digest", "guide_digest", "digest")
"""The columns that may hold the digests of a shard's pictures; the first that there is counts."""
INDEX = ("sample", "file", "digest", "status", "reason")
"""What is read of an index."""


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--dataset", required=True, help="name of the data set")
    pictures = parser.add_mutually_exclusive_group(required=True)
    pictures.add_argument("--shards", type=Path, nargs="+", help="its tars, their manifests beside them")
    pictures.add_argument("--index", type=Path, help="table of its files (Parquet)")
    add_arguments(parser)
    parser.add_argument("--outputs", type=int, default=IMAGENET_CLASSES, help="classes that the classifier tells apart")
    parser.add_argument("--output", type=Path, required=True, help="table of predictions to write (Parquet)")
    return parser.parse_args()


def read_shards(tars: Iterable[Path]) -> pd.DataFrame:
    """The rows of shards: sample, digest, status, reason, and where the picture is (tar, member).

    Raises:
        D3SError: a manifest is missing or has no digests.
    """
    tables = []
    for tar in tars:
        try:
            rows = pd.read_parquet(tar.with_suffix(".parquet"))
        except (OSError, ValueError) as error:
            raise D3SError(
                f"the manifest of {tar} can't be read ({error})", "delete the shard and run the workflow again"
            ) from None
        column = next((name for name in DIGESTS if name in rows), None)
        if column is None:
            raise D3SError(f"the manifest of {tar} has no column of digests", f"it needs one of {', '.join(DIGESTS)}")
        reason = rows.get("reason", "")
        chosen = rows[["sample", "member", "status"]].assign(digest=rows[column], reason=reason, tar=str(tar))
        tables.append(chosen)
    return pd.concat(tables, ignore_index=True).fillna("")


def read_index(path: Path) -> pd.DataFrame:
    """The rows of an index: sample, digest, status, reason and file.

    Raises:
        D3SError: it can't be read, lacks a column, or has a sample twice.
    """
    try:
        rows = pd.read_parquet(path, columns=list(INDEX))
    except (OSError, ValueError, KeyError) as error:
        raise D3SError(
            f"the index {path} can't be read ({error})", f"delete it and run again; its columns are {', '.join(INDEX)}"
        ) from None
    twice = rows["sample"][rows["sample"].duplicated()]
    if len(twice):
        raise D3SError(f"{path} has the sample {twice.iloc[0]!r} twice", "give each picture a name of its own")
    return rows.reset_index(drop=True).fillna("")


def loads_of(rows: pd.DataFrame, places: Sequence[int]) -> Iterator[tuple[int, Load]]:
    """What decodes the pictures at some places: of a tar its bytes are read here, in order, and decoded elsewhere."""
    if "file" in rows:
        for place in places:
            yield place, partial(_read_file, rows.at[place, "file"])
        return
    for tar, group in rows.iloc[list(places)].groupby("tar", sort=False):
        with TarReader(tar) as reader:
            for place, member in group["member"].items():
                if member in reader:
                    yield place, partial(decode_png, reader.read(member))
                else:
                    yield place, partial(_refuse, BadInput("missing", f"{tar} has no member {member!r}"))


def _read_file(path: str) -> Image.Image:
    return read_image(Path(path), upright=False)  # as the benchmarks' own readers do: EXIF tags turn nothing


def _refuse(bad: BadInput) -> Image.Image:
    raise bad


def predict(
    rows: pd.DataFrame, classifier: Classifier, store: ArrayStore | None, label: str
) -> tuple[pd.DataFrame, list[np.ndarray | None]]:
    """The rows with their statuses, and the answer to each that is ``ok``.

    Raises:
        BadInput: the classifier can't be asked at all.
    """
    places = rows.index[rows["status"] == "ok"].tolist()
    position = {place: number for number, place in enumerate(places)}
    refused: dict[int, BadInput] = {}

    def loads(wanted: Sequence[int]) -> Iterator[tuple[int, Load]]:
        return ((position[place], load) for place, load in loads_of(rows, [places[number] for number in wanted]))

    answers = ask(classifier, store, rows.loc[places, "digest"].tolist(), loads, refused, label)
    kept: list[np.ndarray | None] = [None] * len(rows)
    rows = rows.copy()
    for number, (place, answer) in enumerate(zip(places, answers, strict=True)):
        if answer is None:
            rows.loc[place, ["status", "reason"]] = [refused[number].status, refused[number].reason]
        elif not np.isfinite(answer).all():
            rows.loc[place, ["status", "reason"]] = ["not_finite", "what the network gives is no number"]
        else:
            kept[place] = answer
    return rows, kept


def main(args: argparse.Namespace) -> None:
    """Read the rows, ask the classifier, write the table."""
    cli.set_threads(args.threads)
    rows = read_index(args.index) if args.index else read_shards(args.shards)
    rows = rows.sort_values("sample", ignore_index=True)
    entry = entry_of(args, "family")
    outcome, answers = BadInput("ok", ""), list[np.ndarray | None]()
    try:
        rows, answers = predict(rows, *load_asked(args, entry, args.outputs), f"{args.classifier} {args.dataset}")
    except BadInput as bad:
        rows, outcome = rows.iloc[:0], bad
    metadata = {
        "model": entry["name"],
        "family": entry["family"],
        "status": outcome.status,
        "reason": outcome.reason,
        "weights_sha256": read_about(args.weights).sha256,
        "label_space": entry["label_space"],
        "dataset": args.dataset,
    }
    write_predictions(args.output, rows.assign(dataset=args.dataset), answers, args.outputs, metadata)
    if outcome.status != "ok":
        log.warning("%s was not asked: %s (%s)", args.classifier, outcome.reason, outcome.status)
        return
    counts = rows["status"].value_counts().sort_index()
    summary = ", ".join(f"{status} {number}" for status, number in counts.items())
    log.info("%s, %s: %d pictures: %s", args.classifier, args.dataset, len(rows), summary or "none")


if __name__ == "__main__":
    cli.run(parse, main)
