"""Measure how different pictures of one class on one background are, by the activations of the backbone."""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from d3s import cli
from d3s.classifier_arguments import add_arguments, load_needed
from d3s.classifiers import Classifier, batches
from d3s.errors import BadInput, D3SError
from d3s.imageio import decode_png
from d3s.metrics.diversity import Activations, diversity_table
from d3s.metrics.estimates import Bootstrap
from d3s.shards import TarReader, write_table

log = logging.getLogger(__name__)
COLUMNS = ["sample", "member", "status", "shift", "class_id", "class_name", "background"]


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="tar shards, their manifests beside them")
    parser.add_argument("--guides", type=Path, nargs="*", default=[], help="tar shards of guides, likewise")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of the data set: what is accepted")
    add_arguments(parser)  # of the backbone
    parser.add_argument("--pairs", type=int, default=28, help="pairs of pictures per class and background")
    parser.add_argument("--seed", type=int, default=0, help="root of the choice of pairs and of the bootstrap's draws")
    parser.add_argument("--bootstrap", type=int, default=2000, help="number of bootstrap samples of pictures")
    parser.add_argument("--output", type=Path, required=True, help="table to write (CSV)")
    return parser.parse_args()


class Layers:
    """Activations of a timm model's stages, of pictures in shards.

    Args:
        backbone: a network of timm, with stages that can be told apart.
        where: for each sample, its tar and member.

    Raises:
        D3SError: the model's stages can't be told apart.
    """

    def __init__(self, backbone: Classifier, where: Mapping[str, tuple[Path, str]]) -> None:
        if not hasattr(backbone.network, "forward_intermediates"):
            name = type(backbone.network).__name__
            raise D3SError(f"timm does not give the stages of {name}", "take another backbone")
        self.network: Any = backbone.network
        self.backbone, self.where = backbone, where

    def __call__(self, samples: Sequence[str]) -> dict[str, Activations]:
        """Activations by sample; pictures that can't be read are told of and left out."""
        found: dict[str, Activations] = {}
        readable = []
        for tar in sorted({self.where[sample][0] for sample in samples}):
            with TarReader(tar) as reader:
                for sample in samples:
                    if self.where[sample][0] != tar:
                        continue
                    try:
                        readable.append((sample, decode_png(reader.read(self.where[sample][1]))))
                    except BadInput as error:
                        log.warning("%s is left out: %s", sample, error.reason)
        size, transform = self.backbone.batch_size, self.backbone.transform
        for batch in batches(readable, size):
            # Batches are filled up: a picture's numbers must not depend on how many others stand beside it.
            inputs = torch.zeros(size, 3, transform.size, transform.size)
            for place, (_, image) in enumerate(batch):
                inputs[place] = torch.from_numpy(transform.array(image))
            with torch.inference_mode():
                stages = self.network.forward_intermediates(inputs.to(self.backbone.device), intermediates_only=True)
            arrays = [stage.float().cpu().numpy() for stage in stages]
            for place, (sample, _) in enumerate(batch):
                found[sample] = [array[place] for array in arrays]
        return found


def read_rows(tars: Sequence[Path]) -> pd.DataFrame:
    """The rows of shards that have a picture, with their tar."""
    tables = [pd.read_parquet(tar.with_suffix(".parquet"), columns=COLUMNS).assign(tar=str(tar)) for tar in tars]
    rows = pd.concat(tables, ignore_index=True)
    return rows[rows["status"] == "ok"]


def main(args: argparse.Namespace) -> None:
    """Read the shards, measure each data set, write the table."""
    cli.set_threads(args.threads)
    manifest = pd.read_parquet(args.manifest, columns=["sample", "accepted"])
    accepted = set(manifest.loc[manifest["accepted"], "sample"])
    backbone, _ = load_needed(args)
    bootstrap = Bootstrap(args.seed, args.bootstrap)
    tables = []
    for dataset, tars in (("images_accepted", args.images), ("guides", args.guides)):
        if not tars:
            continue
        rows = read_rows(tars)
        if dataset == "images_accepted":
            rows = rows[rows["sample"].isin(accepted)]
        where = {row.sample: (Path(row.tar), row.member) for row in rows.itertuples()}
        layers = Layers(backbone, where)
        # Shard by shard, or at least class by class: the samples of a cell lie in one shard.
        tables.append(diversity_table(rows, layers, dataset, args.pairs, bootstrap))
        log.info("%s: %d cells, mean distance %.4f", dataset, len(tables[-1]), float(np.nanmean(tables[-1]["value"])))
    write_table(args.output, pd.concat(tables, ignore_index=True))


if __name__ == "__main__":
    cli.run(parse, main)
