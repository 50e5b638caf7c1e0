"""Keep what the frozen layers of an encoder make of each picture, so that training need not compute it again.

Writes float16 tensors images_train, images_val and guides_val, and beside them (.parquet) which row is which sample.
"""

import argparse
import logging
from pathlib import Path

import timm
import torch

from d3s import cli
from d3s.array_store import ArrayStore
from d3s.devices import choose_device
from d3s.encoder import save_tensors
from d3s.encoder_data import (
    TRUNK_VERSION,
    Pictures,
    datasets_of,
    digests_of,
    in_kept_batches,
    index_of,
    select_samples,
    trunk_encoder,
    trunk_of,
)
from d3s.errors import D3SError
from d3s.features import read_manifest
from d3s.shards import write_table

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="image shards of train and val (.tar)")
    parser.add_argument("--guides", type=Path, nargs="+", required=True, help="guide shards of val (.tar)")
    parser.add_argument("--manifest", type=Path, required=True, help="the manifest of images (.parquet)")
    parser.add_argument("--weights", type=Path, required=True, help="pretrained timm state dict (.safetensors)")
    parser.add_argument("--timm-name", required=True, help="the backbone")
    parser.add_argument("--frozen-stages", type=int, required=True, help="blocks that are frozen; at least 1")
    parser.add_argument("--input-size", type=int, required=True, help="side in pixels that pictures are resized to")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--store", type=Path, help="folder of finished activations; without it, none are kept")
    parser.add_argument("--output", type=Path, required=True, help="activations (.safetensors)")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    cli.set_threads(args.threads)
    if args.frozen_stages < 1:
        raise D3SError("with frozen_stages 0 there is nothing to keep", "train on --images instead of --activations")
    device = choose_device(args.device)
    encoder = trunk_encoder(args.timm_name, args.weights, args.input_size, args.frozen_stages).to(device)
    manifest = read_manifest(args.manifest)
    sources = {"images": Pictures(args.images, encoder), "guides": Pictures(args.guides, encoder)}
    libraries = (torch.__version__, timm.__version__)
    store = ArrayStore(args.store, "activations", trunk_of(encoder), TRUNK_VERSION, libraries) if args.store else None
    tensors, samples = {}, {}
    for dataset in datasets_of(manifest):
        source = sources[dataset.partition("_")[0]]
        samples[dataset] = select_samples(manifest, dataset, source)
        values, new = in_kept_batches(
            store,
            source,
            samples[dataset],
            digests_of(manifest, dataset, samples[dataset]),
            encoder.activations,
            args.batch_size,
            device,
            dataset,
        )
        tensors[dataset] = torch.from_numpy(values)
        log.info("%s: %d pictures, %d of them new", dataset, len(values), new)
    save_tensors(args.output, tensors, {"trunk": trunk_of(encoder)})
    write_table(args.output.with_suffix(".parquet"), index_of(samples))


if __name__ == "__main__":
    cli.run(parse, main)
