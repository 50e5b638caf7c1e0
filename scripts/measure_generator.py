"""Measure the controls of a generator's model card on val guides: the VAE alone, and contrary prompts."""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from d3s import cli
from d3s.classifiers import Classifier
from d3s.devices import choose_device
from d3s.generator import Generator
from d3s.generator_measures import Sample, measure
from d3s.identity import choose
from d3s.imageio import decode_png
from d3s.picture_input import InputTransform
from d3s.sampling import Request, Sampling
from d3s.shards import TarReader, write_table
from d3s.superclasses import read_super_classes
from d3s.tables import read_table
from d3s.weights import load_network

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--guides", type=Path, nargs="+", required=True, help="tars of val guides")
    parser.add_argument("--train-guides", type=Path, nargs="+", required=True, help="tars of train guides")
    parser.add_argument("--classes-table", type=Path, required=True)
    parser.add_argument("--backgrounds-table", type=Path, required=True)
    parser.add_argument("--judge", nargs=3, required=True, metavar=("TIMM_NAME", "WEIGHTS", "SIZE"))
    parser.add_argument("--backbone", nargs=3, required=True, metavar=("TIMM_NAME", "WEIGHTS", "SIZE"))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--scheduler", default="DDIMScheduler")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--strength", type=float, required=True)
    parser.add_argument("--guidance", type=float, required=True)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--per-shard", type=int, default=16, help="guides measured of each shard")
    parser.add_argument("--output", type=Path, required=True, help="table of measures (CSV)")
    return parser.parse_args()


def read_guides(tars: list[Path], per_shard: int | None) -> pd.DataFrame:
    """Rows of guides with their pictures; of each shard at most ``per_shard``, spread evenly over it."""
    tables = []
    for path in tars:
        table = pd.read_parquet(path.with_suffix(".parquet"))
        table = table[table["status"] == "ok"]
        if per_shard is not None and len(table) > per_shard:
            table = table.iloc[np.linspace(0, len(table) - 1, per_shard).astype(int)]
        with TarReader(path) as tar:
            tables.append(table.assign(picture=[decode_png(tar.read(member)) for member in table["member"]]))
    return pd.concat(tables, ignore_index=True)


def load_lite(given: list[str]) -> torch.nn.Module:
    """The network of TIMM_NAME, WEIGHTS, SIZE."""
    return load_network("timm", given[0], given[1])[0].network


def lite_input(given: list[str]) -> InputTransform:
    """Its input: the whole picture, its colours from -1 to 1, as the EfficientNet-Lite family was trained."""
    half = (0.5, 0.5, 0.5)
    return InputTransform(int(given[2]), half, half)


def main(args: argparse.Namespace) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    cli.set_threads(args.threads)
    classes = read_table(args.classes_table, "classes")
    backgrounds = read_table(args.backgrounds_table, "backgrounds")
    names = [row["background"] for row in backgrounds]
    super_classes, device = read_super_classes(args.classes_table), choose_device(args.device)

    judge = Classifier(load_lite(args.judge).to(device), lite_input(args.judge), 16, device)
    headless = load_lite(args.backbone).to(device)
    headless.classifier = torch.nn.Identity()  # what is left gives pooled features

    def features(pictures: list[Image.Image]) -> np.ndarray:
        transform = lite_input(args.backbone)
        with torch.inference_mode():
            parts = [headless(torch.from_numpy(transform.array(picture))[None].to(device)) for picture in pictures]
        return torch.cat(parts).cpu().numpy()

    train = read_guides(args.train_guides, 64)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    probe.fit(features(list(train["picture"])), [names.index(name) for name in train["background"]])

    samples = []
    for row in read_guides(args.guides, args.per_shard).to_dict("records"):
        own = next(item for item in classes if int(item["class_id"]) == row["class_id"])
        here = backgrounds[names.index(row["background"])]
        other = choose([c["name"] for c in classes if c is not own], 0, "other_class", row["sample"])
        there = choose([n for n in names if n != row["background"]], 0, "other_background", row["sample"])
        wanted = next(item for item in classes if item["name"] == other)
        samples.append(
            Sample(
                request=Request(row["picture"], row["prompt"], row["negative_prompt"], int(row["seed"])),
                class_number=super_classes.ids.index(row["class_id"]),
                background_number=names.index(row["background"]),
                other_class=super_classes.ids.index(int(wanted["class_id"])),
                other_background=names.index(there),
                class_prompt=row["prompt"]
                .replace(own["label"], wanted["label"], 1)
                .replace(own["definition"], wanted["definition"], 1),
                background_prompt=row["prompt"].replace(
                    here["phrase"], next(item for item in backgrounds if item["background"] == there)["phrase"]
                ),
            )
        )
    generator = Generator(
        args.model,
        Sampling(args.scheduler, args.steps, args.strength, args.guidance),
        samples[0].request.guide.width,
        "float32",
        args.batch_size,
        args.device,
    )
    log.info("measuring %d guides under three prompts each", len(samples))
    rows = measure(
        generator,
        samples,
        lambda pictures: np.stack([super_classes.sums(p) for p in judge.probabilities(pictures)]),
        lambda pictures: probe.predict_proba(features(list(pictures))),
    )
    write_table(args.output, pd.DataFrame(rows))
    for entry in rows:
        log.info("%-44s %.3f +- %.3f", entry["measure"], entry["value"], entry["standard_error"])


if __name__ == "__main__":
    cli.run(parse, main)
