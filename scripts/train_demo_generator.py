"""Train the demo's generator on composites of the train split and write it in diffusers layout.

Resumable: started again with the same work folder, it goes on where it was. Not a part of the demo run; the weights
that it made are in models/demo-generator.
"""

import argparse
import json
import logging
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.codedigest import code_digest
from d3s.errors import D3SError
from d3s.generator_data import CompositeSource
from d3s.identity import digest, file_sha256
from d3s.imageio import decode_png, image_digest
from d3s.models import PINS, model_digest, pin_model
from d3s.shards import TarReader, write_json
from d3s.tables import read_table

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--foregrounds", type=Path, nargs="+", required=True, help="tars of all chunks")
    parser.add_argument("--backgrounds", type=Path, nargs="+", required=True, help="tars of all backgrounds")
    parser.add_argument("--classes-table", type=Path, required=True)
    parser.add_argument("--backgrounds-table", type=Path, required=True)
    parser.add_argument("--perceptual", type=Path, required=True, help="EfficientNet-Lite0 weights, safetensors")
    parser.add_argument("--work", type=Path, required=True, help="folder of training states")
    parser.add_argument("--output", type=Path, required=True, help="folder of the finished model")
    parser.add_argument("--start-from", type=Path, help="a finished model, to train further")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings other than the defaults")
    return parser.parse_args()


def gather(args: argparse.Namespace) -> CompositeSource:
    """Everything of the train split, and nothing of val."""
    classes = read_table(args.classes_table, "classes")
    backgrounds = read_table(args.backgrounds_table, "backgrounds")
    ids = [int(row["class_id"]) for row in classes]
    names = [row["background"] for row in backgrounds]
    exemplars: list[list] = [[] for _ in classes]
    templates: list[list] = [[] for _ in backgrounds]
    for tars, column, order, found in (
        (args.foregrounds, "class_id", ids, exemplars),
        (args.backgrounds, "background", names, templates),
    ):
        for path in tars:
            table = pd.read_parquet(path.with_suffix(".parquet"))
            with TarReader(path) as tar:
                for row in table[(table["status"] == "ok") & (table["split"] == "train")].to_dict("records"):
                    found[order.index(row[column])].append(decode_png(tar.read(row["member"])))
    log.info("%d train exemplars, %d train templates", sum(map(len, exemplars)), sum(map(len, templates)))
    return CompositeSource(
        exemplars,
        templates,
        [row["label"] for row in classes],
        [row["definition"] for row in classes],
        [row["phrase"] for row in backgrounds],
    )


def claim(work: Path, described: dict[str, object]) -> None:
    """Make sure that the states in a work folder are of this very run, or that there are none.

    Raises:
        D3SError: they are of another: resumed, they would give weights that no settings describe.
    """
    file = work / "run.json"
    if file.exists() or any(work.glob("*.safetensors")):
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        other = sorted(key for key in {*known, *described} if known.get(key) != described.get(key))
        if other:
            raise D3SError(
                f"{work} holds the states of another training (other: {', '.join(other)})",
                "delete or move that folder, or name another with --work; to go on from it with other settings all "
                f"the same, write them into {file} and say so in the model's card",
            )
    write_json(file, described)


def source_digest(source: CompositeSource) -> str:
    """The digest of all that composites and their prompts are made of."""
    groups = [*source.exemplars, *source.templates]
    pictures = [[image_digest(picture) for picture in group] for group in groups]
    return digest(pictures, source.labels, source.definitions, source.phrases)


def main(args: argparse.Namespace) -> None:
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline

    from d3s.generator_training import (
        PerceptualLoss,
        TrainingSettings,
        build_scheduler,
        draw_pool,
        encode_pool,
        train_denoiser,
        train_jointly,
        train_vae,
    )

    cli.set_threads(args.threads)
    defaults = asdict(TrainingSettings())
    given = dict(pair.split("=", 1) for pair in args.set)
    settings = TrainingSettings(**{name: type(defaults[name])(value) for name, value in given.items()})
    source = gather(args)
    described = asdict(settings) | {
        "start_from": model_digest(args.start_from) if args.start_from else "",
        "source": source_digest(source),
        "perceptual": file_sha256(args.perceptual),
        "code": code_digest(Path(__file__)),
    }
    claim(args.work, described)
    pictures, shown = draw_pool(source, settings, args.work, log.info)
    perceptual = PerceptualLoss(args.perceptual)
    vae = train_vae(pictures, settings, perceptual, args.work, log.info, args.start_from)
    encoded = cache(partial(encode_pool, pictures, vae, log.info))
    unet, text_encoder, tokenizer = train_denoiser(
        source, encoded, shown, settings, args.work, log.info, args.start_from
    )
    train_jointly(
        source,
        pictures,
        encoded,
        shown,
        settings,
        vae,
        unet,
        text_encoder,
        tokenizer,
        perceptual,
        args.work,
        log.info,
    )
    pipeline = StableDiffusionImg2ImgPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(dtype=torch.float16).save_pretrained(args.output, safe_serialization=True)
    write_json(args.output / PINS, pin_model(args.output))
    log.info("the generator is in %s", args.output)


if __name__ == "__main__":
    cli.run(parse, main)
