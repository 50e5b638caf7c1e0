"""Features of an encoder on disk: one tensor per data set, a table of rows, and the split into the two parts.

No torch here: what reads features needs none.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file

from d3s.errors import D3SError
from d3s.manifest import with_own_groups

PARTS = ("foreground", "background", "all")
TARGETS = {"foreground": "class_id", "background": "background"}
"""What a probe tells apart, and the manifest's column that holds it."""


def read_manifest(path: str | Path) -> pd.DataFrame:
    """The manifest of images, sorted by sample; what has no known exemplar or template stands for itself.

    Raises:
        D3SError: it can't be read or lacks a column.
    """
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise D3SError(f"{path} can't be read ({error})", "make it: snakemake validation") from None
    needed = {"sample", "split", "class_id", "background", "exemplar", "split_group", "template_group", "accepted"}
    if needed - set(table.columns):
        raise D3SError(
            f"{path} lacks the columns {sorted(needed - set(table.columns))}", "make it again: snakemake validation"
        )
    return with_own_groups(table).sort_values("sample", ignore_index=True)


@dataclass(frozen=True)
class Features:
    """Features of one trained encoder.

    Attributes:
        objective, seed: what trained it.
        foreground_features: the first so many columns are the foreground part.
        matrices: N x D float64 by data set (images_train, images_val, guides_val).
        rows: by data set, the manifest's rows in the order of the matrix's rows.
    """

    objective: str
    seed: int
    foreground_features: int
    matrices: dict[str, np.ndarray]
    rows: dict[str, pd.DataFrame]

    def part(self, dataset: str, part: str) -> np.ndarray:
        """The columns of one of ``PARTS``."""
        matrix, cut = self.matrices[dataset], self.foreground_features
        return {"foreground": matrix[:, :cut], "background": matrix[:, cut:], "all": matrix}[part]

    def labels(self, dataset: str, target: str) -> np.ndarray:
        """What a probe is to tell: class ids or background names, as text."""
        return self.rows[dataset][TARGETS[target]].astype(str).to_numpy()


def read_about(folder: str | Path) -> dict[str, Any]:
    """What ``encoder.json`` in an encoder's folder says: its objective, seed, settings.

    Raises:
        D3SError: it is missing or no JSON.
    """
    path = Path(folder) / "encoder.json"
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise D3SError(f"{path} can't be read ({error})", "train the encoder again: snakemake encoders") from None
    return about


def read_features(path: str | Path, manifest: pd.DataFrame) -> Features:
    """Read ``features.safetensors``, with ``features.parquet`` and ``encoder.json`` beside it.

    Pictures that the manifest does not accept are dropped from the images; guides stay, since nothing judged them.

    Raises:
        D3SError: a file is missing or does not fit the manifest.
    """
    path = Path(path)
    about = read_about(path.parent)
    try:
        tensors = load_file(path)
        index = pd.read_parquet(path.with_suffix(".parquet"))
    except (OSError, ValueError, SafetensorError) as error:
        raise D3SError(f"the features {path} can't be read ({error})", "make them again: snakemake probes") from None
    known = manifest.set_index("sample", drop=False)
    matrices, rows = {}, {}
    for dataset, tensor in sorted(tensors.items()):
        own = index[index["dataset"] == dataset].sort_values("row")
        if len(own) != len(tensor) or not own["sample"].isin(known.index).all():
            raise D3SError(
                f"{path} does not fit the manifest ({dataset})", "extract the features again: snakemake probes"
            )
        table = known.loc[own["sample"]].reset_index(drop=True)
        judged = dataset.startswith("images")
        keep = table["accepted"].to_numpy(dtype=bool) if judged else np.ones(len(table), dtype=bool)
        matrices[dataset] = tensor.astype(np.float64)[keep]
        rows[dataset] = table[keep].reset_index(drop=True)
    return Features(about["objective"], int(about["seed"]), int(about["foreground_features"]), matrices, rows)
