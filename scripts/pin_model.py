"""Write down the SHA-256 of every file of a diffusers model, so that the workflow uses exactly that model."""

import argparse
import logging
from pathlib import Path

from d3s import cli
from d3s.models import PINS, pin_model
from d3s.shards import write_json

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("model", type=Path, help="folder in diffusers layout")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    pins = pin_model(args.model)
    write_json(args.model / PINS, pins)
    log.info("%d files of %s are pinned in %s", len(pins), args.model, args.model / PINS)


if __name__ == "__main__":
    cli.run(parse, main)
