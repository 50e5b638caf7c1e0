"""Make one image again from its recipe, alone; with --check, compare it with the one in its shard."""

import argparse
import logging
from pathlib import Path

from d3s import cli
from d3s.config import read_config
from d3s.errors import D3SError
from d3s.lineage import find_sample, remake

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("sample", help="its name, such as val-background-grass-00003-00001")
    parser.add_argument("--configfile", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--check", action="store_true", help="fail unless the pixels are the recorded ones")
    parser.add_argument("--tolerance", type=int, default=0, help="largest difference of a sample (of 255) that passes")
    parser.add_argument("--output", type=Path, help="where to write the picture")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    config = read_config(args.configfile)
    cli.set_threads(config["generator"]["threads"])
    row = find_sample(args.results, args.sample)
    result, picture = remake(row, config)
    if args.output:
        picture.save(args.output)
        log.info("written to %s", args.output)
    if result.same:
        log.info("%s: the same pixels as in %s (%s)", args.sample, row["shard"], result.digest)
    else:
        log.info("%s: pixels differ by at most %d of 255", args.sample, result.largest_difference)
    if args.check and result.largest_difference > args.tolerance:
        raise D3SError(
            f"{args.sample} comes out differently than it was recorded",
            "another device, thread number or library version changes the last bits; --tolerance 2 allows for that",
        )


if __name__ == "__main__":
    cli.run(parse, main)
