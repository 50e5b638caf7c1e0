"""Pooled features of the accepted train images, the val images and the val guides, by a trained encoder."""

import argparse
from collections.abc import Callable
from pathlib import Path

import timm
import torch

from d3s import cli
from d3s.array_store import ArrayStore
from d3s.devices import choose_device
from d3s.encoder import load_encoder, save_tensors
from d3s.encoder_data import (
    TRUNK_VERSION,
    Activations,
    Pictures,
    datasets_of,
    digests_of,
    in_kept_batches,
    index_of,
    select_samples,
)
from d3s.errors import D3SError
from d3s.features import read_manifest
from d3s.identity import file_sha256
from d3s.shards import write_table


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--encoder", type=Path, required=True, help="folder of encoder.safetensors and encoder.json")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, nargs="+", help="image shards of train and val (.tar), with --guides")
    source.add_argument("--activations", type=Path, help="what cache_activations wrote (.safetensors)")
    parser.add_argument("--guides", type=Path, nargs="+", default=[], help="guide shards of val (.tar)")
    parser.add_argument("--manifest", type=Path, required=True, help="the manifest of images (.parquet)")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--store", type=Path, help="folder of finished features; without it, none are kept")
    parser.add_argument("--output", type=Path, required=True, help="features (.safetensors); their index lies beside")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    cli.set_threads(args.threads)
    device = choose_device(args.device)
    encoder = load_encoder(args.encoder).to(device)
    manifest = read_manifest(args.manifest)
    if args.images and not args.guides:
        raise D3SError("--images needs --guides beside it", "give the guide shards of val")
    shards = {"images": args.images, "guides": args.guides}
    libraries = (torch.__version__, timm.__version__)
    weights = file_sha256(args.encoder / "encoder.safetensors")
    store = ArrayStore(args.store, "features", weights, TRUNK_VERSION, libraries) if args.store else None
    tensors, samples = {}, {}
    for dataset in datasets_of(manifest):
        source: Activations | Pictures
        compute: Callable[[torch.Tensor], torch.Tensor]
        if args.activations:
            source, compute = Activations(args.activations, dataset, encoder), encoder.pooled
        else:
            source, compute = Pictures(shards[dataset.partition("_")[0]], encoder), encoder.features
        samples[dataset] = select_samples(manifest, dataset, source)
        digests = digests_of(manifest, dataset, samples[dataset])
        values, _ = in_kept_batches(store, source, samples[dataset], digests, compute, args.batch_size, device, dataset)
        tensors[dataset] = torch.from_numpy(values).float()
    save_tensors(args.output, tensors)
    write_table(args.output.with_suffix(".parquet"), index_of(samples))


if __name__ == "__main__":
    cli.run(parse, main)
