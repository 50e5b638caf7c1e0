"""Index one benchmark: a row for each of its pictures, with the digest of its bytes and its class."""

import argparse
import json
import logging
from pathlib import Path

from d3s import cli
from d3s.benchmark_index import build_index, report_index
from d3s.benchmark_kind import build_benchmark
from d3s.errors import D3SError
from d3s.imagenet import built_in_map
from d3s.kept_digests import kept_digests
from d3s.label_maps import read_label_map
from d3s.shards import write_table, write_text

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--benchmark", type=json.loads, required=True, help="the entry of benchmarks:, as JSON")
    parser.add_argument("--seed", type=int, default=0, help="root seed, for limit_per_class")
    parser.add_argument("--store", type=Path, help="folder of what is known of files; without it all are read")
    parser.add_argument("--on-bad-input", choices=("keep", "fail"), default="keep")
    parser.add_argument("--output", type=Path, required=True, help="index to write (Parquet)")
    parser.add_argument("--labels", type=Path, required=True, help="label map to write, complete (CSV)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Read the label map, look at the pictures, write both tables.

    Raises:
        D3SError: nothing can be used, or something can't and is not to be kept.
    """
    benchmark = build_benchmark(args.benchmark)
    named = args.benchmark["labels"]
    labels = read_label_map(named) if named else built_in_map(benchmark.built_in)
    benchmark.check(labels if named else None)
    # each benchmark remembers its files for itself: several may choose from one folder
    with kept_digests(args.store, benchmark.folder / f"benchmark {args.benchmark['name']}") as sha256:
        table = build_index(benchmark, labels, sha256, args.seed)
    bad = report_index(table, labels, benchmark.where)
    if len(bad) and args.on_bad_input == "fail":
        raise D3SError(
            f"{len(bad)} pictures of {args.benchmark['name']} can't be used",
            "mend what the log names, or set on_bad_input: keep",
        )
    write_text(args.labels, labels.text())
    write_table(args.output, table)


if __name__ == "__main__":
    cli.run(parse, main)
