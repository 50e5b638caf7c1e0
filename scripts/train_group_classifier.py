"""Train a network end to end on a locked split, and ask it about images and guides of val.

An interrupted run goes on from <output>/.training.safetensors and gives the same network as an uninterrupted one. Of a
network trained by erm, the last layer is also fitted anew on the validation part (dfr).
"""

import argparse
import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from d3s import cli
from d3s.correlation.answers import write_answers
from d3s.correlation.methods import Rows, fit_dfr
from d3s.correlation.network import METHODS, GroupClassifier, NetworkSettings, NetworkTrainer, Source, network_answers
from d3s.correlation.splits import Split, read_split
from d3s.devices import choose_device
from d3s.encoder import save_tensors
from d3s.encoder_data import Activations, Pictures, trunk_encoder
from d3s.errors import D3SError
from d3s.identity import file_sha256
from d3s.identity import seed as hashed_seed
from d3s.kept_runs import KeptRun
from d3s.shards import write_json, write_table

log = logging.getLogger(__name__)
FILES = ("network.safetensors", "network.json", "history.csv", "answers.parquet")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, nargs="+", help="image shards of train and val (.tar)")
    source.add_argument("--activations", type=Path, help="what cache_activations wrote (.safetensors)")
    parser.add_argument("--guides", type=Path, nargs="+", default=[], help="guide shards of val (.tar)")
    parser.add_argument("--split", type=Path, required=True, help="a locked split (.csv)")
    parser.add_argument("--weights", type=Path, required=True, help="pretrained timm state dict (.safetensors)")
    parser.add_argument("--timm-name", required=True, help="the backbone")
    parser.add_argument("--input-size", type=int, required=True, help="side in pixels that pictures are resized to")
    parser.add_argument("--frozen-stages", type=int, default=0, help="stem and this many blocks are frozen")
    default = NetworkSettings()
    parser.add_argument("--method", default=default.method, choices=METHODS)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=default.steps)
    parser.add_argument("--batch-size", type=int, default=default.batch_size)
    parser.add_argument("--rate", type=float, default=default.rate, help="of AdamW")
    parser.add_argument("--weight-decay", type=float, default=default.weight_decay)
    parser.add_argument(
        "--head-factor", type=float, default=default.head_factor, help="the head learns this much faster"
    )
    parser.add_argument("--group-rate", type=float, default=default.group_rate, help="of group_dro's weights")
    parser.add_argument("--evaluate-every", type=int, default=default.evaluate_every, help="steps")
    parser.add_argument("--draws", type=int, default=10, help="balanced draws that dfr averages")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--store", type=Path, help="folder of finished trainings; without it, none are kept")
    parser.add_argument("--code", default="", help="digest of the code, a part of what determines a training")
    parser.add_argument("--save-seconds", type=float, default=60.0, help="how often the state is kept")
    parser.add_argument("--output", type=Path, required=True, help=f"folder of {', '.join(FILES)}")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    cli.set_threads(args.threads)
    split = read_split(args.split)
    encoder = trunk_encoder(args.timm_name, args.weights, args.input_size, args.frozen_stages)
    settings = NetworkSettings(
        method=args.method,
        seed=args.seed,
        steps=args.steps,
        batch_size=args.batch_size,
        rate=args.rate,
        weight_decay=args.weight_decay,
        head_factor=args.head_factor,
        group_rate=args.group_rate,
        evaluate_every=args.evaluate_every,
    )
    sources: dict[str, Source] = {}
    if args.activations:
        for dataset in datasets_of(args.activations):
            sources[dataset] = Activations(args.activations, dataset, encoder)
    else:
        if not args.guides:
            raise D3SError("--images needs --guides beside it", "give the guide shards of val")
        images = Pictures(args.images, encoder)
        sources = {"images_train": images, "images_val": images, "guides_val": Pictures(args.guides, encoder)}
    state = args.output / ".training.safetensors"
    classes = split.rows("train")["class"].nunique()
    device = choose_device(args.device).type
    trainer = NetworkTrainer(
        GroupClassifier(encoder, classes),
        settings,
        split,
        sources["images_train"],
        state,
        device,
        (args.code, args.threads),
    )
    kept = KeptRun(args.store, "network", trainer.identity, args.draws) if args.store else None
    if kept and kept.restore(args.output):
        state.unlink(missing_ok=True)
        log.info("the same split, settings and code gave this network before; it is taken from the store")
        return
    trainer.run(save_seconds=args.save_seconds)
    write_answers(args.output / "answers.parquet", _answers(trainer, sources, split, args))
    write_table(args.output / "history.csv", pd.DataFrame(trainer.history, columns=["step", "term", "value"]))
    about = {"split": split.name, "settings": asdict(settings), "classes": trainer.classes, "run": trainer.identity}
    about |= {"weights_sha256": file_sha256(args.weights), "timm_name": args.timm_name, "input_size": args.input_size}
    write_json(args.output / "network.json", about | {"frozen_stages": args.frozen_stages, "best": trainer.best})
    save_tensors(args.output / "network.safetensors", trainer.network.own_state())
    if kept:
        kept.keep(args.output, FILES)
    state.unlink(missing_ok=True)


def datasets_of(activations: Path) -> list[str]:
    """The data sets that activations were kept of: imported images may come without guides.

    Raises:
        D3SError: their index can't be read.
    """
    try:
        return sorted(pd.read_parquet(activations.with_suffix(".parquet"))["dataset"].unique())
    except (OSError, ValueError, KeyError) as error:
        raise D3SError(f"the activations {activations} can't be read ({error})", "make them again") from None


def _answers(
    trainer: NetworkTrainer, sources: dict[str, Source], split: Split, args: argparse.Namespace
) -> pd.DataFrame:
    """The network's answers, and those of its last layer fitted anew."""
    fitted = None
    if trainer.settings.method == "erm" and len(trainer.validation):
        samples = trainer.validation["sample"].tolist()
        labels = np.searchsorted(trainer.classes, trainer.validation["class"].to_numpy(dtype=str))
        groups = np.unique(trainer.validation["group"].to_numpy(dtype=str), return_inverse=True)[1]
        folds = np.array([hashed_seed(args.seed, "dfr.fold", sample) % 2 for sample in samples], dtype=int)
        features = trainer.features(sources["images_train"], samples, "validation")
        fitted = fit_dfr(Rows(features, labels, groups, folds), len(trainer.classes), args.seed, args.draws)
    made = []
    for dataset, uses in (("images", ("test",)), ("guides", ("test", "test_guide"))):
        source = sources.get(f"{dataset}_val")
        samples = [sample for sample in split.rows(*uses)["sample"] if source is not None and sample in source]
        if source is None or not samples:
            continue
        said = trainer.predict(source, samples, dataset)
        made.append(network_answers(split.name, trainer.settings.method, dataset, samples, said))
        if fitted is not None:
            told = np.array(trainer.classes)[fitted.predict(trainer.features(source, samples, dataset))]
            made.append(network_answers(split.name, "dfr", dataset, samples, told))
    return pd.concat(made, ignore_index=True)


if __name__ == "__main__":
    cli.run(parse, main)
