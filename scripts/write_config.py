"""Write the merged config, defaults filled in, beside the results that it made."""

import argparse
import json
import logging
from pathlib import Path

from d3s import cli
from d3s.shards import write_json

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", required=True, help="the checked config, as JSON")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    write_json(args.output, json.loads(args.config))
    log.info("written to %s", args.output)


if __name__ == "__main__":
    cli.run(parse, main)
