"""Print one image's whole lineage: files, digests, prompt, seed, recipe, jobs and what validation said."""

import argparse
from pathlib import Path

from d3s import cli
from d3s.config import load_tables, read_config
from d3s.lineage import trace


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("sample", help="its name, such as val-background-grass-00003-00001")
    parser.add_argument("--configfile", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    config = read_config(args.configfile)
    tables = load_tables(config)
    lineage = trace(args.results, args.sample, vars(tables))
    print(lineage.text())


if __name__ == "__main__":
    cli.run(parse, main)
