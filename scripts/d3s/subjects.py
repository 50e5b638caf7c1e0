"""What classifiers look at, whatever it comes from: one table of pictures, and a way to open them."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from PIL import Image

from d3s.benchmark_index import read_picture
from d3s.errors import BadInput
from d3s.imageio import decode_png
from d3s.shards import TarReader
from d3s.subject_names import CROSSED, CROSSED_GUIDES

DIGESTS = {
    "images": "image_digest",
    CROSSED: "image_digest",
    "guides": "guide_digest",
    CROSSED_GUIDES: "guide_digest",
    "cutouts": "guide_digest",
    "templates": "digest",
}
"""The column with the digest of a picture's pixels, in the shards of each data set of one's own."""
COLUMNS = ["sample", "digest", "status", "reason", "place", "member", "box"]


def read_shards(dataset: str, tars: Sequence[str | Path]) -> pd.DataFrame:
    """The pictures of a data set of one's own, also those that there are not.

    Guides of the crossed design are listed once, under noise 0, and templates where they are of val.

    Args:
        dataset: one of ``DIGESTS``.
        tars: of its shards, their manifests beside them.

    Returns:
        ``COLUMNS``: what a predictor needs; ``place`` is the tar.
    """
    tables = []
    for tar in map(Path, tars):
        rows = pd.read_parquet(tar.with_suffix(".parquet"))
        if dataset == CROSSED_GUIDES:
            rows = rows[rows["noise"] == 0]
        if dataset == "templates":
            rows = rows[rows["split"] == "val"].assign(sample=lambda own: own["background"] + "/" + own["template"])
        rows = rows.rename(columns={DIGESTS[dataset]: "digest"}).assign(place=str(tar), box="")
        tables.append(rows[COLUMNS])
    return pd.concat(tables, ignore_index=True)


def read_index(index: str | Path) -> pd.DataFrame:
    """The pictures of a benchmark, also those that can't be used: ``COLUMNS``, where ``place`` is the file."""
    rows = pd.read_parquet(index)
    return rows.rename(columns={"file": "place"}).assign(member="")[COLUMNS]


def open_pictures(rows: pd.DataFrame, places: Sequence[int]) -> Iterator[tuple[int, Image.Image | BadInput]]:
    """The pictures at some positions of a table, in the order of the files, or why one can't be read.

    Args:
        rows: from ``read_shards`` or ``read_index``.
        places: positions in it.
    """
    for place, group in rows.iloc[list(places)].assign(position=list(places)).groupby("place"):
        in_tar = group["member"] != ""
        for row in group[~in_tar].to_dict("records"):
            yield row["position"], _attempt(partial(read_picture, place, row["box"]))
        if in_tar.any():
            with TarReader(str(place)) as tar:
                for row in group[in_tar].to_dict("records"):
                    data = tar.read(row["member"])
                    yield row["position"], _attempt(partial(decode_png, data))


def _attempt(read: Callable[[], Image.Image]) -> Image.Image | BadInput:
    try:
        return read()
    except BadInput as bad:
        return bad
