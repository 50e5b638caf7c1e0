"""Pooled features by a trained encoder: of the accepted train images, the val images and the val guides, or of the
pictures of a benchmark.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import timm
import torch

from d3s import cli
from d3s.array_store import ArrayStore
from d3s.correlation.pictures import IndexedPictures
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
    source.add_argument("--index", type=Path, help="a benchmark's index (.parquet); it needs no manifest")
    parser.add_argument("--guides", type=Path, nargs="+", default=[], help="guide shards of val (.tar)")
    parser.add_argument("--manifest", type=Path, help="the manifest of images (.parquet)")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--store", type=Path, help="folder of finished features; without it, none are kept")
    parser.add_argument("--output", type=Path, required=True, help="features (.safetensors); their index lies beside")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    cli.set_threads(args.threads)
    device = choose_device(args.device)
    encoder = load_encoder(args.encoder).to(device)
    libraries = (torch.__version__, timm.__version__)
    weights = file_sha256(args.encoder / "encoder.safetensors")
    store = ArrayStore(args.store, "features", weights, TRUNK_VERSION, libraries) if args.store else None
    tensors, samples = {}, {}
    if args.index:
        pictures = IndexedPictures(_read_index(args.index), encoder, str(args.index))
        name, samples = args.index.stem, {args.index.stem: pictures.samples}
        values, _ = in_kept_batches(
            store,
            pictures,  # type: ignore[arg-type]  # it has what the two that are named there have
            pictures.samples,
            pictures.digests(),
            encoder.features,
            args.batch_size,
            device,
            name,
        )
        save_tensors(args.output, {name: torch.from_numpy(values).float()})
        write_table(args.output.with_suffix(".parquet"), index_of(samples))
        return
    if not args.manifest:
        raise D3SError("--images and --activations need --manifest beside them", "give the manifest of images")
    manifest = read_manifest(args.manifest)
    if args.images and not args.guides:
        raise D3SError("--images needs --guides beside it", "give the guide shards of val")
    shards = {"images": args.images, "guides": args.guides}
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


def _read_index(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise D3SError(f"{path} can't be read ({error})", "make it again: snakemake subjects") from None


if __name__ == "__main__":
    cli.run(parse, main)
