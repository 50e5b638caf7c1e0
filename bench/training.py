"""Benchmark of training: the trainer's loop on activations and on pictures, beside the bare steps in memory."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from measuring import Figure, figure, paired
from prediction import lay_out_pictures

BACKBONE, SIDE, CLASSES, BACKGROUNDS = "tf_efficientnet_lite0", 128, 8, 6
"""The demo's backbone with random weights, which take as long; activations are as large as the demo's."""
FROZEN = 7
ROUNDS = 3


def training(folder: Path) -> Iterator[Figure]:
    """What it costs to draw batches, to read, decode, mirror and check them, and to keep a history.

    From activations as the demo does it (one thread of the processor), and from pictures through the whole network with
    one and two workers, which read ahead while it computes.
    """
    import torch

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        yield from _measured("activations", 12, lambda: _on_activations(folder))
        pictures = _lay_out(folder / "pictures.tar")
        for workers in (1, 2):
            words = f"pictures, {workers} worker{'s' * (workers > 1)}"
            yield from _measured(words, 4, lambda workers=workers: _on_pictures(pictures, workers))  # type: ignore[misc]
    finally:
        torch.set_num_threads(threads)


def _measured(words: str, steps: int, make: Callable[[], Any]) -> Iterator[Figure]:
    trainer = make()
    step = _bare(make())

    def ours() -> None:
        trainer.run(report=10**9, save_seconds=1e9, stop=trainer.done + steps)

    def bare() -> None:
        for _ in range(steps):
            step()

    seconds, floor = paired(ours, bare, rounds=ROUNDS)
    yield figure(f"training steps per second, {words}", steps / seconds, "steps/s")
    yield figure(f"training, {words}", floor / seconds, "x", 0.9, ">=", floor="the same steps on tensors in memory")


def _bare(trainer: Any) -> Callable[[], None]:
    """One step of the same model, objective and optimiser, on a batch that is there."""
    import torch

    drawn = trainer._draw((0, -1))
    stream, inputs = drawn.inputs[0]
    labels, draws = drawn.labels, torch.Generator().manual_seed(0)
    optimiser = trainer.optimisers["main"]

    def step() -> None:
        encoded = trainer.encoder(trainer._trunk(stream.source, inputs))
        optimiser.zero_grad(set_to_none=True)
        trainer.objective.step(encoded, labels, draws, False)["loss"].backward()
        optimiser.step()

    return step


def _trainer(frozen: int, batch_size: int, source: Callable[[Any], Any], samples: list[str], workers: int) -> Any:
    import pandas as pd
    import torch

    from d3s.encoder import Encoder, EncoderSettings
    from d3s.objective import build_objective
    from d3s.training import Trainer, TrainingSettings, shape_of

    torch.manual_seed(0)
    names = tuple(f"background{number}" for number in range(BACKGROUNDS))
    encoder = Encoder(EncoderSettings(BACKBONE, SIDE, frozen, 0.25, "frozen", tuple(range(CLASSES)), names))
    rows = pd.DataFrame({"sample": samples, "image_digest": samples, "split_group": samples})
    rows["class_id"] = [number % CLASSES for number in range(len(rows))]
    rows["background"] = [names[number // CLASSES % BACKGROUNDS] for number in range(len(rows))]
    settings = TrainingSettings(steps=10**6, batch_size=batch_size, warmup_steps=0, rate=1e-5, validation_fraction=0.0)
    objective = build_objective("erm", shape_of(encoder), {}, 0)
    return Trainer(encoder, objective, settings, source(encoder), rows, workers=workers)


def _on_activations(folder: Path) -> Any:
    import torch

    from d3s.encoder import save_tensors
    from d3s.encoder_data import Activations, index_of, trunk_of
    from d3s.shards import write_table

    samples = [f"{number:04d}" for number in range(512)]

    def source(encoder: Any) -> Any:
        values = torch.rand(512, 320, 5, 5, generator=torch.Generator().manual_seed(0)).half()
        save_tensors(folder / "kept.safetensors", {"images_train": values}, {"trunk": trunk_of(encoder)})
        write_table(folder / "kept.parquet", index_of({"images_train": samples}))
        return Activations(folder / "kept.safetensors", "images_train", encoder)

    return _trainer(FROZEN, 64, source, samples, 0)


def _on_pictures(tar: Path, workers: int) -> Any:
    import pandas as pd

    from d3s.encoder_data import Pictures

    samples = pd.read_parquet(tar.with_suffix(".parquet"))["sample"].tolist()
    return _trainer(0, 16, lambda encoder: Pictures([tar], encoder), samples, workers)


def _lay_out(tar: Path) -> Path:
    import pandas as pd

    from d3s.imageio import encode_png
    from d3s.shards import write_shard

    pictures = lay_out_pictures()
    rows = [{"sample": f"{n:03d}", "member": f"{n}.png", "split": "train"} for n in np.arange(len(pictures))]
    write_shard(tar, pd.DataFrame(rows), ((f"{n}.png", encode_png(picture)) for n, picture in enumerate(pictures)))
    return tar
