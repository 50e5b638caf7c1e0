"""Fetch and check the published weights of one classifier, and convert them to safetensors for its network.

Weights that can't be had are a file without tensors that says why; so a network more or less stops no run, unless it is
one that the run can't do without.
"""

import argparse
import logging
from pathlib import Path

from d3s import cli
from d3s.classifier_library import IMAGENET_CLASSES
from d3s.classifier_table import WEIGHTS, read_entry
from d3s.errors import D3SError
from d3s.identity import file_sha256
from d3s.shards import write_json
from d3s.weights import convert

log = logging.getLogger(__name__)
NEEDED = ("backbone", "screen")
"""Roles of classifiers that nothing goes on without."""


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--table", type=Path, required=True, help="list of classifiers")
    parser.add_argument("--name", required=True, help="name of the classifier in it")
    parser.add_argument("--rows-digest", help="digest of the classifier's entry when the job was planned")
    parser.add_argument("--outputs", type=int, default=IMAGENET_CLASSES, help="classes that it tells apart")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--news", type=Path, help="small file (JSON) to write, with its digest and what it is")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Check, convert and write."""
    entry = read_entry(args.table, args.name, WEIGHTS, args.rows_digest)
    about = convert(entry, args.outputs, args.output)
    if about.status != "ok" and entry["role"] in NEEDED:
        args.output.unlink()
        raise D3SError(
            f"{args.table}: the weights of {args.name}, the {entry['role']}, can't be had: {about.reason} "
            f"({about.status})",
            "mend that, or give the role to another classifier, and run again",
        )
    if args.news:
        content = {"sha256": file_sha256(args.output), "published_sha256": about.sha256}
        write_json(args.news, content | {"status": about.status, "reason": about.reason})
    if about.status == "ok":
        log.info("the weights of %s (sha256 %s) are now %s", args.name, about.sha256, args.output)
    else:
        log.warning("%s will not be asked: %s (%s)", args.name, about.reason, about.status)


if __name__ == "__main__":
    cli.run(parse, main)
