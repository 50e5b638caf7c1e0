"""List the shards of a data set, each with a digest of what is in it: one small input for all who look at it."""

import argparse
import logging
from pathlib import Path

from d3s import cli
from d3s.errors import D3SError
from d3s.identity import bytes_digest
from d3s.shards import write_json

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="tars, their digest files beside them")
    parser.add_argument("--output", type=Path, required=True, help="the list (JSON)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Write the list."""
    listed = {}
    for tar in args.shards:
        try:
            listed[str(tar)] = bytes_digest(tar.with_suffix(".digests.json").read_bytes())
        except OSError as error:
            raise D3SError(f"{error.filename}: {error.strerror}", "run the workflow again, which makes it") from None
    write_json(args.output, listed)
    log.info("%d shards", len(listed))


if __name__ == "__main__":
    cli.run(parse, main)
