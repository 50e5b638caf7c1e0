"""Predictions of one classifier on one data set: a row per picture, with all that it said, and no labels.

A new table of classes, label map or metric needs no network: all of them follow from these logits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from d3s.errors import D3SError
from d3s.shards import whole_file

COLUMNS = ("dataset", "sample", "digest", "status", "reason")
"""What a row has beside its logits; ``status`` is ``ok`` or why there are none."""
METADATA = ("model", "family", "status", "reason", "weights_sha256", "label_space", "dataset")
"""What the table says of itself; a ``status`` other than ``ok`` is why it has no rows."""


@dataclass(frozen=True)
class Predictions:
    """A table of predictions.

    Attributes:
        frame: N rows with ``COLUMNS``.
        logits: N x C float32, log-probabilities less the largest of each row; NaN where a row's status is not ``ok``.
        metadata: the values of ``METADATA``.
    """

    frame: pd.DataFrame
    logits: np.ndarray
    metadata: dict[str, str]


def probabilities(logs: np.ndarray) -> np.ndarray:
    """Probabilities (float64) from logarithms of them that lack a summand, over the last axis."""
    weights = np.exp(logs.astype(np.float64))
    normalised: np.ndarray = weights / weights.sum(axis=-1, keepdims=True)
    return normalised


def write_predictions(
    path: str | Path,
    frame: pd.DataFrame,
    logits: Sequence[np.ndarray | None],
    outputs: int,
    metadata: Mapping[str, str],
) -> None:
    """Write a table of predictions whole; equal values give equal bytes.

    Args:
        path: Parquet file.
        frame: rows with ``COLUMNS``.
        logits: of each row, C numbers, or nothing; kept in half precision.
        outputs: C.
        metadata: the values of ``METADATA``.
    """
    values = np.full((len(frame), outputs), np.nan, np.float16)
    for place, row in enumerate(logits):
        if row is not None:
            values[place] = row
    columns: dict[str, pa.Array] = {name: pa.array(frame[name].astype(str).tolist(), pa.string()) for name in COLUMNS}
    columns["logits"] = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1), pa.float16()), outputs)
    table = pa.table(columns).replace_schema_metadata({name: metadata[name] for name in METADATA})
    with whole_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_predictions(path: str | Path) -> Predictions:
    """Read a table of predictions.

    Raises:
        D3SError: it is missing, damaged, or another table.
    """
    try:
        table = pq.read_table(path)
        metadata = {name: (table.schema.metadata or {})[name.encode()].decode() for name in METADATA}
        column = table["logits"].combine_chunks()
        frame = table.select(list(COLUMNS)).to_pandas()
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise D3SError(
            f"{path} can't be read as a table of predictions ({error})",
            "delete it and run the workflow again; pictures that were looked at are not looked at again",
        ) from None
    width = column.type.list_size
    values = column.flatten().to_numpy(zero_copy_only=False).reshape(len(frame), width).astype(np.float32)
    return Predictions(frame, values, metadata)
