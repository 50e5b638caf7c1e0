"""Fit linear classifiers on an encoder's features of every locked split, and ask them about the test pictures."""

import argparse
from pathlib import Path

from d3s import cli
from d3s.correlation.answers import answer, write_answers
from d3s.correlation.methods import METHODS
from d3s.correlation.sources import benchmark_source, manifest_source
from d3s.correlation.splits import read_split
from d3s.features import read_features, read_manifest
from d3s.shards import write_table


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--features", type=Path, required=True, help="features of an encoder (.safetensors)")
    rows = parser.add_mutually_exclusive_group(required=True)
    rows.add_argument("--manifest", type=Path, help="the manifest of images (.parquet)")
    rows.add_argument("--benchmark", help="name of the benchmark whose features they are")
    parser.add_argument("--encoder", type=Path, help="folder of the encoder, for --benchmark")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="locked splits (.csv)")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--draws", type=int, default=10, help="balanced draws that dfr averages")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--answers", type=Path, required=True, help="single answers (.parquet), written")
    parser.add_argument("--choices", type=Path, required=True, help="the penalties that were chosen (.csv), written")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    if args.benchmark:
        source = benchmark_source(args.features, args.encoder, args.benchmark)
    else:
        source = manifest_source(read_features(args.features, read_manifest(args.manifest)))
    splits = [read_split(path) for path in args.splits]
    answers, choices = answer(source, splits, args.methods, args.seed, args.draws)
    write_table(args.choices, choices)
    write_answers(args.answers, answers)


if __name__ == "__main__":
    cli.run(parse, main)
