"""Fetch a diffusion model from its hub, one commit of it, safetensors only, and pin it."""

import argparse
import logging
from pathlib import Path

from d3s import cli
from d3s.hub import fetch_model

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("name", help="such as stabilityai/sdxl-turbo")
    parser.add_argument("--revision", required=True, help="commit, 40 digits")
    parser.add_argument("--variant", default="", help="of the weights, such as fp16")
    parser.add_argument("--output", type=Path, required=True, help="folder to make, for generator: model:")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Fetch and tell."""
    count = fetch_model(args.name, args.revision, args.output, args.variant)
    log.info("%d files of %s are in %s, pinned: name it under generator: model:", count, args.name, args.output)


if __name__ == "__main__":
    cli.run(parse, main)
