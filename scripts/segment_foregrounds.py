"""Segment the pictures of one chunk of classes that have no masks: soft masks in a shard, for prepare_foregrounds.

The same candidates are chosen here as there, in the same order, so that those that are tried have masks and no others.
"""

import argparse
import logging
from pathlib import Path

from PIL import Image

from d3s import cli
from d3s.exemplar_arguments import add_arguments, read_classes, settings_of
from d3s.exemplars import prepare_exemplars
from d3s.foregrounds import attach_mask
from d3s.imageio import encode_png
from d3s.masking import mask_member
from d3s.segmenter import Segmenter
from d3s.shards import write_shard
from d3s.source import Candidate

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    add_arguments(parser)
    parser.add_argument("--model", required=True, help="what rembg calls the model")
    parser.add_argument("--file", default="", help="the model's file; without it, the one that rembg fetched earlier")
    parser.add_argument("--sha256", required=True, help="of the model's file")
    parser.add_argument("--output", type=Path, required=True, help="the shard's tar")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    source, classes = read_classes(args)
    segmenter = Segmenter(args.model, args.file, args.sha256)
    masks: dict[str, bytes] = {}

    def segment(candidate: Candidate, image: Image.Image) -> Image.Image:
        mask = segmenter.mask(image)
        masks[mask_member(candidate)] = encode_png(mask)
        return attach_mask(image, candidate.image, mask, "its mask")

    manifest, _ = prepare_exemplars(source, classes, settings_of(args), segment)
    tried = manifest[[f"{name}.png" in masks for name in manifest["exemplar"]]].copy()
    tried["member"] = tried["exemplar"] + ".png"
    write_shard(args.output, tried, masks.items())
    log.info("%d pictures segmented", len(masks))


if __name__ == "__main__":
    cli.run(parse, main)
