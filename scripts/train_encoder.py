"""Train one encoder with one objective and seed, on the accepted train images.

An interrupted run goes on from <output>/.training.safetensors and gives the same encoder as an uninterrupted one. On
several GPUs: accelerate launch scripts/train_encoder.py ...; processes share out each batch, and one of them writes.
"""

import argparse
import logging
import os
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from accelerate.utils import broadcast_object_list

from d3s import cli
from d3s.devices import choose_device
from d3s.encoder import Encoder, EncoderSettings, save_encoder
from d3s.encoder_data import Activations, Pictures
from d3s.errors import D3SError
from d3s.features import read_manifest
from d3s.heads import init_heads, take_pretrained_head
from d3s.identity import file_sha256
from d3s.kept_runs import KeptRun
from d3s.objective import build_objective
from d3s.schedules import SCHEDULES
from d3s.second_stream import RealPictures, second_rows
from d3s.shards import write_table
from d3s.tables import parse_indices
from d3s.training import PRECISIONS, Trainer, TrainingSettings, shape_of, training_rows, versions

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
    parser.add_argument("--background-features", type=int, default=0, help="their number; 0 leaves it to the share")
    parser.add_argument("--batch-norm", default="frozen", choices=("frozen", "batch"), help="statistics while training")
    parser.add_argument("--objective", required=True, help="a module of d3s.objectives, such as erm or wasserstein")
    parser.add_argument("--name", help="of the encoder in tables, if it is not its objective's")
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
    parser.add_argument("--precision", default=default.precision, choices=PRECISIONS)
    parser.add_argument("--schedule", default=default.schedule, choices=SCHEDULES, help="of the rate")
    parser.add_argument("--period", type=int, default=default.period, help="of the schedule restarts, in steps")
    parser.add_argument("--least-rate", type=float, default=default.least_rate, help="that schedules fall to")
    parser.add_argument("--ema", type=float, default=default.ema, help="decay of the average of weights; 0 is none")
    parser.add_argument(
        "--validation-fraction", type=float, default=default.validation_fraction, help="of the exemplars is held out"
    )
    parser.add_argument("--validation-seed", type=int, default=default.validation_seed, help="chooses which are")
    parser.add_argument("--evaluate-every", type=int, default=default.evaluate_every, help="steps, on what is held out")
    parser.add_argument("--tolerance", type=float, default=default.tolerance, help="of early stopping, a share")
    parser.add_argument("--patience", type=int, default=default.patience, help="evaluations; 0 never ends early")
    parser.add_argument("--heads", default="random", choices=("random", "pretrained"), help="first weights of classes")
    parser.add_argument(
        "--class-indices", nargs="*", default=[], metavar="ID=INDICES", help="ImageNet's, of each class: 0=97-100,127"
    )
    parser.add_argument("--second", type=Path, help="index of pictures without background labels (.parquet)")
    parser.add_argument("--second-labels", type=Path, help="the index's label map (.csv)")
    parser.add_argument("--second-share", type=float, default=default.second_share, help="of each batch")
    parser.add_argument("--workers", type=int, default=0, help="threads that read batches ahead; change no result")
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
            background_features=args.background_features,
        )
    )
    encoder.load_pretrained(args.weights)
    init_heads(encoder, args.seed)
    indices = class_indices(args.class_indices, encoder.settings.classes)
    if args.heads == "pretrained":
        found = take_pretrained_head(encoder, args.weights, indices)
        log.info("%d of %d classes start from the pretrained classifier", len(found), len(encoder.settings.classes))
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
        schedule=args.schedule,
        period=args.period,
        least_rate=args.least_rate,
        ema=args.ema,
        validation_fraction=args.validation_fraction,
        validation_seed=args.validation_seed,
        evaluate_every=args.evaluate_every,
        tolerance=args.tolerance,
        patience=args.patience,
        second_share=args.second_share,
    )
    objective = build_objective(args.objective, shape_of(encoder), _pairs(args.set), args.seed)
    source = (
        Activations(args.activations, "images_train", encoder) if args.activations else Pictures(args.images, encoder)
    )
    second = None
    if args.second:
        if not args.second_labels:
            raise D3SError("--second needs --second-labels beside it", "give the label map that index_benchmark wrote")
        real = second_rows(args.second, args.second_labels, indices)
        second = (RealPictures(real, encoder), real)
    state = args.output / ".training.safetensors"
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1  # then accelerate gives each process its device
    device = ("cpu" if args.device == "cpu" else "cuda") if several else choose_device(args.device).type
    about = (args.code, args.threads, args.name)
    workers = args.workers if args.images or second else 0  # there is nothing to decode in activations
    trainer = Trainer(encoder, objective, settings, source, rows, state, device, about, second, workers)
    writes = trainer.accelerator.is_main_process
    kept = KeptRun(args.store, "encoder", trainer.identity) if args.store else None
    if broadcast_object_list([bool(writes and kept and kept.restore(args.output))])[0]:
        if writes:
            state.unlink(missing_ok=True)
            log.info("the same samples, settings and code gave this encoder before; it is taken from the store")
        return
    if trainer.done and writes:
        log.info("going on from step %d", trainer.done)
    trainer.run(save_seconds=args.save_seconds)
    if not writes:
        return
    write_table(args.output / "history.csv", pd.DataFrame(trainer.history, columns=["step", "term", "value"]))
    about_run = {
        "objective": args.name or args.objective,
        "trained_with": args.objective,
        "objective_settings": asdict(objective.settings),
        "seed": args.seed,
        "training": asdict(settings),
        "heads": args.heads,
        "steps_done": trainer.done,
        "kept_step": trainer.stopping.kept or trainer.done,
        "n": len(trainer.streams[0]),
        "n_held_out": len(trainer.held),
        "n_second": len(trainer.streams[1]) if second else 0,
        "run": trainer.identity,
        "weights_sha256": file_sha256(args.weights),
        "device": trainer.accelerator.device.type,
        "processes": trainer.accelerator.num_processes,
        "threads": args.threads,
        "versions": versions(),
    }
    save_encoder(args.output, trainer.model, about_run)
    if kept:
        kept.keep(args.output, ("encoder.safetensors", "history.csv", "encoder.json"))
    state.unlink(missing_ok=True)


def class_indices(texts: list[str], classes: tuple[int, ...]) -> dict[int, list[int]]:
    """ImageNet's indices of the encoder's classes, from ``ID=97-100,127``.

    Raises:
        D3SError: a text is of another form.
    """
    found = {}
    for text in texts:
        label, equals, numbers = text.partition("=")
        if not equals or not label.isdigit():
            raise D3SError(f"--class-indices got {text!r}", "write ID=INDICES, such as 0=97-100,127")
        if int(label) in classes:
            found[int(label)] = parse_indices(numbers.replace(",", " "))
    return found


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
