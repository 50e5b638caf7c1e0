"""Measure what the project promises of its speed, and print each figure beside its target.

    python bench/bench.py --output results/bench.csv

Each figure is a ratio to a floor that is measured in the same run, or a time on this machine, which the table names.
"""

import argparse
import os
import tempfile
from pathlib import Path

import pandas as pd

from annotation import aggregation, annotation_page
from generation import generation
from measuring import ROOT, Figure, processor
from plans import dry_runs, no_op
from prediction import prediction
from probing import probing
from shards import composition, exporting, packing
from training import training

BENCHMARKS = (
    *(dry_runs, no_op, composition, packing, generation, prediction),
    *(exporting, aggregation, annotation_page, training, probing),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "bench.csv")
    parser.add_argument("--only", nargs="*", choices=[b.__name__ for b in BENCHMARKS], help="some of the benchmarks")
    given = parser.parse_args()
    rows: list[Figure] = []
    for benchmark in BENCHMARKS:
        if given.only and benchmark.__name__ not in given.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for row in benchmark(Path(folder)):
                rows.append(row)
                target = f"  target {row['comparison']} {row['target']}: {row['met']}" if row["comparison"] else ""
                against = f" of {row['floor']}" if row["floor"] else ""
                print(f"{row['name']:<48} {row['value']:>12} {row['unit']}{against}{target}", flush=True)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
    given.output.write_text(f"# {os.cpu_count()} cores, {processor()}\n{table}", encoding="utf-8")


if __name__ == "__main__":
    main()
