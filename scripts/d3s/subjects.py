"""What classifiers look at, whatever it comes from: one table of pictures, and a way to open them."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from PIL import Image

from d3s.benchmark_index import read_picture
from d3s.errors import BadInput, D3SError
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
Load = Callable[[], Image.Image]
"""Decodes a picture; raises ``BadInput`` for one that can't be read."""
COLUMNS = ["sample", "digest", "status", "reason", "place", "member", "box"]


def read_shards(dataset: str, tars: Sequence[str | Path]) -> pd.DataFrame:
    """The pictures of a data set of one's own, also those that there are not.

    Guides of the crossed design are listed once, under noise 0, and templates where they are of val.

    Args:
        dataset: one of ``DIGESTS``.
        tars: of its shards, their manifests beside them.

    Returns:
        ``COLUMNS``: what a predictor needs; ``place`` is the tar. Sorted by sample.

    Raises:
        D3SError: a manifest is missing, or is another stage's.
    """
    tables = []
    for tar in map(Path, tars):
        rows = _read(tar.with_suffix(".parquet"), "delete the shard and run the workflow again")
        if dataset == CROSSED_GUIDES:
            rows = rows[rows["noise"] == 0]
        if dataset == "templates":
            rows = rows[rows["split"] == "val"].assign(sample=lambda own: own["background"] + "/" + own["template"])
        if DIGESTS[dataset] not in rows:
            raise D3SError(
                f"the manifest of {tar} has no column {DIGESTS[dataset]}",
                f"name shards of {dataset}, not of another stage",
            )
        rows = rows.rename(columns={DIGESTS[dataset]: "digest"}).assign(place=str(tar), box="")
        tables.append(rows[COLUMNS])
    return pd.concat(tables).fillna("").sort_values("sample", ignore_index=True)


def read_index(index: str | Path) -> pd.DataFrame:
    """The pictures of a benchmark, also those that can't be used: ``COLUMNS``, where ``place`` is the file.

    Raises:
        D3SError: it can't be read, lacks a column, or has a sample twice.
    """
    remedy = "delete it and run the workflow again"
    rows = _read(Path(index), remedy)
    lacking = [name for name in ("sample", "file", "box", "digest", "status", "reason") if name not in rows]
    if lacking:
        raise D3SError(f"{index} lacks the column {lacking[0]!r}", remedy)
    rows = rows.rename(columns={"file": "place"}).assign(member="")
    twice = rows["sample"][rows["sample"].duplicated()]
    if len(twice):
        raise D3SError(f"{index} has the sample {twice.iloc[0]!r} twice", "give each picture a name of its own")
    return rows[COLUMNS].fillna("").sort_values("sample", ignore_index=True)


def _read(table: Path, remedy: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(table)
    except (OSError, ValueError) as error:
        raise D3SError(f"{table} can't be read ({error})", remedy) from None


def loads_of(rows: pd.DataFrame, places: Sequence[int]) -> Iterator[tuple[int, Load]]:
    """What decodes the pictures at some positions of a table, in the order of the files.

    Bytes of a tar are read here, one after the other; decoding is left to whoever calls what this gives.

    Args:
        rows: from ``read_shards`` or ``read_index``.
        places: positions in it.
    """
    chosen = rows.iloc[list(places)].assign(position=list(places))
    for place, group in chosen.groupby("place", sort=False):
        in_tar = group["member"] != ""
        for row in group[~in_tar].to_dict("records"):
            yield row["position"], partial(read_picture, place, row["box"])
        if in_tar.any():
            with TarReader(str(place)) as tar:
                for row in group[in_tar].to_dict("records"):
                    if row["member"] in tar:
                        yield row["position"], partial(decode_png, tar.read(row["member"]))
                    else:
                        missing = BadInput("missing", f"{place} has no member {row['member']!r}")
                        yield row["position"], partial(_refuse, missing)


def _refuse(bad: BadInput) -> Image.Image:
    raise bad
