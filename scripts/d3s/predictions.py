"""Predictions of one classifier for one data set: log-probabilities per picture, without any label."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from d3s.errors import D3SError
from d3s.shards import whole_file

META = ("model", "family", "status", "reason", "weights_sha256", "label_space")


@dataclass(frozen=True)
class Predictions:
    """What a classifier gave.

    Attributes:
        rows: dataset, sample, digest, status, reason.
        logits: N x C float32, log-probabilities minus the largest of the row; NaN for a picture that can't be used.
        meta: model, family, status, reason, weights_sha256, label_space.
    """

    rows: pd.DataFrame
    logits: np.ndarray
    meta: dict[str, str]


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write a table of predictions whole."""
    table = pa.Table.from_pandas(predictions.rows, preserve_index=False)
    width = predictions.logits.shape[1]
    flat = pa.array(predictions.logits.astype(np.float16).ravel())
    table = table.append_column("logits", pa.FixedSizeListArray.from_arrays(flat, width))
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), "d3s": json.dumps(predictions.meta)})
    with whole_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_predictions(path: str | Path) -> Predictions:
    """Read a table of predictions.

    Raises:
        D3SError: it can't be read.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise D3SError(f"{path} can't be read ({error})", "delete it and run predict_classifier again") from None
    meta = json.loads((table.schema.metadata or {}).get(b"d3s", b"{}"))
    column = table.column("logits").combine_chunks()
    logits = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(table), -1)
    return Predictions(table.drop_columns("logits").to_pandas(), logits, meta)
