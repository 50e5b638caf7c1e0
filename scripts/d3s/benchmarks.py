"""What a run cost, rule by rule, from the benchmark files that Snakemake writes."""

import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

STAGES = (
    "fetch_demo_assets",
    "pin_model",
    "convert_weights",
    "prepare_foregrounds",
    "prepare_backgrounds",
    "compose_guides",
    "compose_cutouts",
    "generate_images",
    "screen_images",
    "build_annotation_batches",
    "aggregate_annotations",
    "build_manifest",
    "index_benchmark",
    "list_shards",
    "predict_classifier",
    "score_classifiers",
    "measure_diversity",
    "cache_activations",
    "train_encoder",
    "extract_features",
    "fit_probes",
    "spurious_correlation",
    "export_dataset",
    "draw_contact_sheet",
    "draw_fragile_sets",
    "draw_figures",
)
"""Rules in the order of the workflow; those it does not know come last, by name."""


def read_benchmarks(paths: Iterable[Path]) -> pd.DataFrame:
    """Snakemake's benchmark files, one row per job: rule, seconds, end (seconds since 1970) and memory (MB).

    Args:
        paths: files, and folders that are searched for ``*.tsv``. A rule's name is the part of a path after
            ``benchmarks``, or after the folder that was given.
    """
    files: list[tuple[Path, Path]] = []
    for path in paths:
        files += [(file, path) for file in sorted(path.rglob("*.tsv"))] if path.is_dir() else [(path, path.parent)]
    rows = []
    for file, root in files:
        try:
            table = pd.read_csv(file, sep="\t")
            seconds, end = pd.to_numeric(table["s"], errors="coerce").sum(), file.stat().st_mtime
        except (OSError, KeyError, ValueError):
            continue  # an unfinished or foreign file; it tells no time
        parts = file.with_suffix("").parts
        if "benchmarks" in parts:
            rule = parts[len(parts) - parts[::-1].index("benchmarks")]
        else:
            rule = file.with_suffix("").relative_to(root).parts[0]
        memory = pd.to_numeric(table["max_rss"], errors="coerce").max() if "max_rss" in table else math.nan
        rows.append({"rule": rule, "seconds": float(seconds), "end": end, "memory": float(memory)})
    return pd.DataFrame(rows, columns=["rule", "seconds", "end", "memory"])


def busy_seconds(jobs: pd.DataFrame) -> float:
    """How long at least one of the jobs ran, a job's end being the time of its benchmark file.

    It is their union in time, so that neither parallel jobs nor a night between two runs are counted wrongly.
    """
    total, until = 0.0, -math.inf
    spans = sorted((end - seconds, end) for seconds, end in zip(jobs["seconds"], jobs["end"], strict=True))
    for start, end in spans:
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def stages(jobs: pd.DataFrame) -> pd.DataFrame:
    """One row per rule, in the order of the workflow: rule, jobs, seconds (of all jobs), busy and memory (the most)."""
    rows = [
        {
            "rule": rule,
            "jobs": len(part),
            "seconds": part["seconds"].sum(),
            "busy": busy_seconds(part),
            "memory": part["memory"].max(),
        }
        for rule, part in jobs.groupby("rule")
    ]
    place = {rule: number for number, rule in enumerate(STAGES)}
    rows.sort(key=lambda row: (place.get(str(row["rule"]), len(place)), str(row["rule"])))
    return pd.DataFrame(rows, columns=["rule", "jobs", "seconds", "busy", "memory"])
