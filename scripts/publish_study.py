"""Put what a study of encoders found where it is kept: its tables without single seeds, figures, and its provenance.

A folder is written whole or not at all; what a run of the same code and config gives again has the same bytes, but for
the times in provenance.json.
"""

import argparse
import json
import logging
import os
import platform
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.benchmarks import read_benchmarks, stages
from d3s.figures import FIGURES, write_figure
from d3s.identity import file_sha256
from d3s.result_tables import load_table
from d3s.shards import whole_folder, write_json, write_table
from d3s.study_summary import summary

log = logging.getLogger("d3s")
KEPT: dict[str, dict[str, tuple[str, ...]]] = {
    "leakage": {},
    "usefulness": {},
    "probes": {"seed": ("mean",), "metric": ("top1", "v_information", "mdl", "selectivity")},
    "probes_paired": {"metric": ("top1",)},
    "spurious": {"seed": ("mean",), "pairing": ("mean",)},
}
"""Tables, and the rows of each that are kept: those of single seeds are in the run's own tables."""
DRAWN = ("probes", "tradeoff", "leakage", "rho", "spurious", "training", "feature_map")


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results of the study's run")
    parser.add_argument("--benchmarks", type=Path, required=True, help="benchmark files of the run, for its times")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Write the tables, the figures, ``verdicts.md`` and ``provenance.json``."""
    tables = args.results / "tables"
    with whole_folder(args.output) as folder:
        for name, wanted in KEPT.items():
            table = load_table(tables / f"{name}.csv", ("value", *wanted))
            for column, values in wanted.items():
                table = table[table[column].astype(str).isin(values)]
            write_table(folder / f"{name}.csv", table.reset_index(drop=True))
            log.info("%s: %d rows kept", name, len(table))
        for name in DRAWN:
            source, columns, _ = FIGURES[name]
            write_figure(folder / f"{name}.svg", load_table(tables / f"{source}.csv", columns))
        found = [load_table(tables / f"{name}.csv", ("value",)) for name in ("leakage", "usefulness", "probes")]
        (folder / "verdicts.md").write_text(summary(*found), encoding="utf-8")
        write_json(folder / "provenance.json", provenance(args.results, args.benchmarks))


def provenance(results: Path, benchmarks: Path) -> dict[str, object]:
    """What determines the tables: config, seeds, versions; and on which machine, and how long it took."""
    config = json.loads((results / "config.json").read_text(encoding="utf-8"))
    first = next(iter(sorted((results / "encoders").glob("*/*/encoder.json"))))
    versions = json.loads(first.read_text(encoding="utf-8"))["versions"]
    spent = stages(read_benchmarks([benchmarks]))
    return {
        "config": {name: config[name] for name in ("seed", "encoders", "probes", "correlation")},
        "config_sha256": file_sha256(results / "config.json"),
        "manifest_rows": len(pd.read_parquet(results / "validation/manifest.parquet", columns=["sample"])),
        "versions": versions | {"python": platform.python_version()},
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "minutes_of_work": {row.rule: round(row.seconds / 60, 1) for row in spent.itertuples()},
    }


if __name__ == "__main__":
    cli.run(parse, main)
