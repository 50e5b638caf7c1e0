"""Train one encoder with one objective and seed, on the accepted train images.

An interrupted run goes on from <output>/.training.safetensors and gives the same encoder as an uninterrupted one.
"""

import argparse
import logging
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.devices import choose_device
from d3s.encoder import Encoder, EncoderSettings, save_encoder
from d3s.encoder_data import Activations, Pictures
from d3s.errors import D3SError
from d3s.features import read_manifest
from d3s.identity import file_sha256
from d3s.kept_runs import KeptRun
from d3s.objective import build_objective
from d3s.shards import write_table
from d3s.training import Trainer, TrainingSettings, init_heads, shape_of, training_rows, versions

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, nargs="+", help="image shards of train (.tar)")
    source.add_argument("--activations", type=Path, help="what cache_activations wrote (.safetensors)")
    parser.add_argument("--manifest", type=Path, required=True, help="the manifest of images (.parquet)")
    parser.add_argument("--weights", type=Path, required=True, help="pretrained timm state dict (.safetensors)")
    parser.add_argument("--timm-name", required=True, help="the backbone")
    parser.add_argument("--input-size", type=int, required=True, help="side in pixels that pictures are resized to")
    parser.add_argument("--frozen-stages", type=int, default=0, help="stem and this many blocks are frozen")
    parser.add_argument("--background-fraction", type=float, default=0.122, help="share of the background part")
    parser.add_argument("--batch-norm", default="frozen", choices=("frozen", "batch"), help="statistics while training")
    parser.add_argument("--objective", required=True, help="a module of d3s.objectives, such as erm or wasserstein")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of the objective")
    default = TrainingSettings()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True, help="encoder steps in all")
    parser.add_argument("--batch-size", type=int, default=default.batch_size)
    parser.add_argument("--warmup-steps", type=int, default=default.warmup_steps, help="steps of plain cross entropy")
    parser.add_argument("--warmup-rate", type=float, default=default.warmup_rate, help="of SGD in the warm-up")
    parser.add_argument("--momentum", type=float, default=default.momentum)
    parser.add_argument("--rate", type=float, default=default.rate, help="of Adam after the warm-up")
    parser.add_argument("--betas", type=float, nargs=2, default=default.betas, help="of Adam")
    parser.add_argument("--weight-decay", type=float, default=default.weight_decay)
    parser.add_argument("--head-factor", type=float, default=default.head_factor, help="heads learn this much faster")
    parser.add_argument("--no-flip", action="store_true", help="never mirror a picture")
    parser.add_argument("--precision", default=default.precision, choices=("no", "bf16"))
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--store", type=Path, help="folder of finished trainings; without it, none are kept")
    parser.add_argument("--code", default="", help="digest of the code, a part of what determines a training")
    parser.add_argument("--save-seconds", type=float, default=60.0, help="how often the state is kept")
    parser.add_argument("--output", type=Path, required=True, help="folder of encoder.safetensors, .json, history.csv")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    cli.set_threads(args.threads)
    rows = training_rows(read_manifest(args.manifest))
    encoder = Encoder(
        EncoderSettings(
            timm_name=args.timm_name,
            input_size=args.input_size,
            frozen_stages=args.frozen_stages,
            background_fraction=args.background_fraction,
            batch_norm=args.batch_norm,
            classes=tuple(int(label) for label in sorted(rows["class_id"].unique())),
            backgrounds=tuple(sorted(rows["background"].unique())),
        )
    )
    encoder.load_pretrained(args.weights)
    init_heads(encoder, args.seed)
    settings = TrainingSettings(
        seed=args.seed,
        steps=args.steps,
        batch_size=args.batch_size,
        warmup_steps=args.warmup_steps,
        warmup_rate=args.warmup_rate,
        momentum=args.momentum,
        rate=args.rate,
        betas=(args.betas[0], args.betas[1]),
        weight_decay=args.weight_decay,
        head_factor=args.head_factor,
        flip=not args.no_flip,
        precision=args.precision,
    )
    objective = build_objective(args.objective, shape_of(encoder), _pairs(args.set), args.seed)
    source = (
        Activations(args.activations, "images_train", encoder) if args.activations else Pictures(args.images, encoder)
    )
    state = args.output / ".training.safetensors"
    device = choose_device(args.device).type
    trainer = Trainer(encoder, objective, settings, source, rows, state, device, (args.code, args.threads))
    kept = None
    if args.store:
        kept = KeptRun(args.store, "encoder", trainer.identity)
        if kept.restore(args.output):
            state.unlink(missing_ok=True)
            log.info("the same samples, settings and code gave this encoder before; it is taken from the store")
            return
    if trainer.done:
        log.info("going on from step %d", trainer.done)
    trainer.run(save_seconds=args.save_seconds)
    write_table(args.output / "history.csv", pd.DataFrame(trainer.history, columns=["step", "term", "value"]))
    about = {
        "objective": args.objective,
        "objective_settings": asdict(objective.settings),
        "seed": args.seed,
        "training": asdict(settings),
        "n": len(rows),
        "run": trainer.identity,
        "weights_sha256": file_sha256(args.weights),
        "device": trainer.accelerator.device.type,
        "threads": args.threads,
        "versions": versions(),
    }
    save_encoder(args.output, trainer.model, about)
    if kept:
        kept.keep(args.output, ("encoder.safetensors", "history.csv", "encoder.json"))
    state.unlink(missing_ok=True)


def _pairs(texts: list[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise D3SError(f"--set got {text!r}", "write settings as key=value")
        found[key] = value
    return found


if __name__ == "__main__":
    cli.run(parse, main)
