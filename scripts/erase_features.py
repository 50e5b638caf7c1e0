"""Erase the background from an encoder's foreground part and the class from its background part, without training.

The maps (LEACE) are fitted to the features of the train images. They are written as an encoder of their own, which
erases in its forward pass, with its features beside it.
"""

import argparse
import logging
import shutil
from importlib import metadata
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.encoder import load_encoder, read_about, read_safetensors, save_encoder, save_tensors
from d3s.erasure import fit_eraser, with_erasers
from d3s.errors import D3SError
from d3s.features import TARGETS, read_manifest
from d3s.identity import file_sha256
from d3s.shards import whole_file

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--encoder", type=Path, required=True, help="folder of an encoder and of its features")
    parser.add_argument("--manifest", type=Path, required=True, help="the manifest of images (.parquet)")
    parser.add_argument("--output", type=Path, required=True, help="folder of the encoder that erases")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    cli.set_threads(args.threads)
    encoder, about = load_encoder(args.encoder), read_about(args.encoder)
    if any(encoder.settings.erased):
        raise D3SError(f"the encoder in {args.encoder} erases already", "give the one that it was made from")
    path = args.encoder / "features.safetensors"
    tensors = read_safetensors(path)
    index = pd.read_parquet(path.with_suffix(".parquet"))
    own = index[index["dataset"] == "images_train"].sort_values("row")
    manifest = read_manifest(args.manifest).set_index("sample")
    train = tensors["images_train"]
    if len(own) != len(train) or not own["sample"].isin(manifest.index).all():
        raise D3SError(f"{path} does not fit the manifest", "extract the features again")
    rows = manifest.loc[own["sample"]]
    foreground, background = train.split([encoder.foreground_features, encoder.background_features], dim=1)
    erased = with_erasers(
        encoder,
        fit_eraser(foreground, rows[TARGETS["background"]].tolist()),
        fit_eraser(background, rows[TARGETS["foreground"]].tolist()),
    )
    log.info("%d and %d directions are erased from the two parts", *erased.settings.erased)
    about |= {
        "objective": f"{about['objective']}+leace",
        "erased_from": file_sha256(args.encoder / "encoder.safetensors"),
        "fitted_on": len(train),
        "versions": about.get("versions", {}) | {"concept-erasure": metadata.version("concept-erasure")},
    }
    save_tensors(args.output / path.name, {name: erased.erase(values) for name, values in tensors.items()})
    with whole_file(args.output / "features.parquet") as temporary:
        shutil.copyfile(path.with_suffix(".parquet"), temporary)
    save_encoder(args.output, erased, about)


if __name__ == "__main__":
    cli.run(parse, main)
