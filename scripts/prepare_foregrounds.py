"""Cut out the exemplars of one chunk of classes: trimmed RGBA pictures in a shard, one row for each exemplar."""

import argparse
import logging
from contextlib import ExitStack
from pathlib import Path

from d3s import cli
from d3s.errors import D3SError
from d3s.exemplar_arguments import add_arguments, read_classes, settings_of
from d3s.exemplars import prepare_exemplars
from d3s.masking import choose_masking
from d3s.shards import TarReader, write_shard, write_table

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    add_arguments(parser)
    parser.add_argument("--masks", type=Path, help="tar of masks that segment_foregrounds made, for pictures without")
    parser.add_argument("--on-bad-input", choices=("keep", "fail"), default="keep")
    parser.add_argument("--output", type=Path, required=True, help="the shard's tar")
    parser.add_argument("--list", type=Path, help="also write the rows as a table for people (CSV)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    source, classes = read_classes(args)
    with ExitStack() as stack:
        masks = stack.enter_context(TarReader(args.masks)) if args.masks else None
        masking = choose_masking(source.without_mask, masks)
        manifest, members = prepare_exemplars(source, classes, settings_of(args), masking)
    bad = manifest[manifest["status"] != "ok"]
    for _, row in bad.iterrows():
        log.warning("%s: %s: %s", row["exemplar"], row["status"], row["reason"])
    if len(bad) and args.on_bad_input == "fail":
        raise D3SError(
            f"{len(bad)} of {len(manifest)} exemplars can't be used",
            "mend them, or set on_bad_input: keep in the config",
        )
    if len(bad) == len(manifest):
        raise D3SError(f"none of {len(manifest)} exemplars can be used", "the log names each with its reason")
    if args.list:
        write_table(args.list, manifest)
    write_shard(args.output, manifest, members)
    log.info("%d exemplars, %d refused", len(manifest) - len(bad), len(bad))


if __name__ == "__main__":
    cli.run(parse, main)
