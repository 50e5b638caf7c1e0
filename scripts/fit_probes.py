"""Fit probes to the features of every encoder, and compare the objectives with plain training and the paper's penalty.

Writes long tables: every probe (probes.csv), paired differences (probes_paired.csv), which goals hold (leakage.csv and
usefulness.csv), and how near val images lie to train images (nearest.csv).
"""

import argparse
import logging
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.errors import D3SError
from d3s.features import Features, read_features, read_manifest
from d3s.probing.encoder_probes import Key, Outcome, probe_encoder, rows_of
from d3s.probing.goals import BASELINE, leakage_table, usefulness_table
from d3s.probing.nearest import nearest_table
from d3s.probing.settings import ProbeSettings
from d3s.probing.tables import Outcomes, paired_table, score_table
from d3s.shards import write_table


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    default = ProbeSettings()
    parser.add_argument("--features", type=Path, nargs="+", required=True, help="features of all encoders")
    parser.add_argument("--manifest", type=Path, required=True, help="the manifest of images (.parquet)")
    parser.add_argument("--kinds", nargs="+", default=default.probes, help="of probes: linear, mlp, knn")
    parser.add_argument("--folds", type=int, default=default.folds, help="at most so many folds of split groups")
    parser.add_argument("--template-folds", type=int, default=default.template_folds, help="and of template groups")
    parser.add_argument("--repeats", type=int, default=default.repeats, help="of everything, with other folds")
    parser.add_argument("--permutations", type=int, default=default.permutations, help="refits for the chance level")
    parser.add_argument("--controls", type=int, default=default.controls, help="control tasks per repeat")
    parser.add_argument("--seed", type=int, default=default.seed, help="of folds, permutations and starts")
    for name in ("probes", "paired", "leakage", "usefulness", "nearest"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="a table, written (.csv)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    settings = ProbeSettings(
        probes=tuple(args.kinds),
        folds=args.folds,
        template_folds=args.template_folds,
        repeats=args.repeats,
        permutations=args.permutations,
        controls=args.controls,
        seed=args.seed,
    )
    manifest = read_manifest(args.manifest)
    encoders = sorted(
        (read_features(path, manifest) for path in args.features), key=lambda found: (found.objective, found.seed)
    )
    names = [(found.objective, found.seed) for found in encoders]
    if len(set(names)) != len(names):
        raise D3SError("two feature files have one objective and seed", "give each encoder's features once")
    rows = _same_rows(encoders)
    outcomes: Outcomes = {}
    # One process per encoder, each on one thread: the result does not depend on how many run at once.
    context = get_context("spawn")
    with ProcessPoolExecutor(min(args.threads, len(encoders)), mp_context=context) as pool:
        found = pool.map(_probe, encoders, [settings] * len(encoders))
        for name, result in zip(names, cli.progress(found, len(names), "encoders"), strict=True):
            logging.getLogger(__name__).info("%s, seed %d: done", *name)
            outcomes[name] = result
    write_table(args.probes, score_table(outcomes, rows))
    write_table(args.paired, paired_table(outcomes, rows))
    write_table(args.leakage, leakage_table(outcomes, rows))
    write_table(args.usefulness, usefulness_table(outcomes, rows))
    baseline = [features for features in encoders if features.objective == BASELINE] or encoders
    write_table(args.nearest, nearest_table(baseline[0]))


def _same_rows(encoders: list[Features]) -> dict[str, pd.DataFrame]:
    """The rows that all encoders are tried on; pairing needs them to be the same."""
    for dataset in ("images_val", "guides_val"):
        first = encoders[0].rows.get(dataset, pd.DataFrame({"sample": []}))["sample"].tolist()
        for other in encoders[1:]:
            if other.rows.get(dataset, pd.DataFrame({"sample": []}))["sample"].tolist() != first:
                raise D3SError(
                    f"{dataset} of {other.objective}, seed {other.seed}, holds other samples than that of "
                    f"{encoders[0].objective}, seed {encoders[0].seed}",
                    "extract the features of all encoders again from one manifest: snakemake probes",
                )
    return rows_of(encoders[0])


def _probe(features: Features, settings: ProbeSettings) -> dict[Key, Outcome]:
    return probe_encoder(features, settings)


if __name__ == "__main__":
    cli.run(parse, main)
