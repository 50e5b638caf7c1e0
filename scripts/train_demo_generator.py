"""Train the demo's generator on composites of the train split and write it in diffusers layout.

Resumable: started again with the same work folder, it goes on where it was. Not a part of the demo run; the weights
that it made are in models/demo-generator.
"""

import argparse
import logging
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.generator_data import CompositeSource
from d3s.imageio import decode_png
from d3s.models import PINS, pin_model
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


def main(args: argparse.Namespace) -> None:
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline

    from d3s.generator_training import (
        PerceptualLoss,
        TrainingSettings,
        build_scheduler,
        draw_pool,
        train_denoiser,
        train_vae,
    )

    cli.set_threads(args.threads)
    defaults = asdict(TrainingSettings())
    given = dict(pair.split("=", 1) for pair in args.set)
    settings = TrainingSettings(**{name: type(defaults[name])(value) for name, value in given.items()})
    write_json(args.work / "settings.json", asdict(settings))
    source = gather(args)
    pictures, shown = draw_pool(source, settings, args.work, log.info)
    vae = train_vae(pictures, settings, PerceptualLoss(args.perceptual), args.work, log.info, args.start_from)
    unet, text_encoder, tokenizer = train_denoiser(
        source, pictures, shown, settings, vae, args.work, log.info, args.start_from
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
