"""Features of splits' rows: of the data set's own images and guides, or of a benchmark's pictures."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file

from d3s.correlation.answers import Source
from d3s.errors import D3SError
from d3s.features import PARTS, Features

Reader = Callable[[str, Sequence[str]], np.ndarray]


def manifest_source(features: Features) -> Source:
    """Of an encoder's features: trained and validated on images of train, tested on images and guides of val."""
    tests = {}
    for dataset in ("images", "guides"):
        name = f"{dataset}_val"
        if name in features.matrices:
            tests[dataset] = _reader(features, name), frozenset(features.rows[name]["sample"])
    return Source(PARTS, _reader(features, "images_train"), tests)


def _reader(features: Features, dataset: str) -> Reader:
    place = {sample: row for row, sample in enumerate(features.rows[dataset]["sample"])}

    def read(part: str, samples: Sequence[str]) -> np.ndarray:
        return features.part(dataset, part)[_rows(place, samples, features.objective)]

    return read


def benchmark_source(path: str | Path, encoder: str | Path, benchmark: str) -> Source:
    """Of a benchmark's features (``extract_features.py --index``).

    Args:
        path: of the features.
        encoder: folder of the encoder that made them.
        benchmark: its name.

    Raises:
        D3SError: a file is missing or broken.
    """
    path = Path(path)
    try:
        about = json.loads((Path(encoder) / "encoder.json").read_text(encoding="utf-8"))
        matrix = load_file(path)[benchmark].astype(np.float64)
        index = pd.read_parquet(path.with_suffix(".parquet"))
        samples = index.sort_values("row")["sample"].tolist()
        cut = int(about["foreground_features"])
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise D3SError(f"the features {path} can't be read ({error})", "make them again: snakemake probes") from None
    place = {sample: row for row, sample in enumerate(samples)}
    parts = {"foreground": matrix[:, :cut], "background": matrix[:, cut:], "all": matrix}

    def read(part: str, wanted: Sequence[str]) -> np.ndarray:
        return parts[part][_rows(place, wanted, str(path))]

    return Source(PARTS, read, {benchmark: (read, frozenset(samples))})


def _rows(place: dict[str, int], samples: Sequence[str], where: str) -> list[int]:
    missing = [sample for sample in samples if sample not in place]
    if missing:
        raise D3SError(f"the features of {where} lack the sample {missing[0]}", "extract them again: snakemake probes")
    return [place[sample] for sample in samples]
