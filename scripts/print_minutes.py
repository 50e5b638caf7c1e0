"""Print what each stage of a run cost, from the benchmark files beside the results."""

import argparse
from pathlib import Path

from d3s import cli
from d3s.benchmarks import busy_seconds, read_benchmarks, stages


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--benchmarks", type=Path, default=Path("benchmarks"))
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    jobs = read_benchmarks([args.benchmarks])
    print(f"{'stage':<24} {'jobs':>5} {'minutes':>8} {'of work':>8}")
    for row in stages(jobs).itertuples():
        print(f"{row.rule:<24} {row.jobs:>5} {row.busy / 60:>8.1f} {row.seconds / 60:>8.1f}")
    print(f"{'all':<24} {len(jobs):>5} {busy_seconds(jobs) / 60:>8.1f} {jobs['seconds'].sum() / 60:>8.1f}")


if __name__ == "__main__":
    cli.run(parse, main)
