"""Benchmark of predictions: a classifier asked from a shard as a job does it, beside its bare forward passes."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np

from measuring import ROOT, Figure, figure, paired

PICTURES, SIDE, BATCH = 96, 128, 16
"""As many pictures as make the times steady, of the demo's size, in the demo's batches."""


def prediction(folder: Path) -> Iterator[Figure]:
    """What it costs to read, decode, resize and keep, beside the network on tensors that are in memory already.

    The demo's judge, on two cores: on one thread, as the demo's jobs compute, and on two, which leaves none for the
    rest. And what it costs once more when nothing is new.
    """
    import torch

    from d3s.array_store import ArrayStore
    from d3s.classifier_table import pick, read_classifiers
    from d3s.classifiers import batches, load_classifier
    from d3s.subjects import read_shards
    from predict_classifier import predict

    entry = pick(read_classifiers(ROOT / "config/classifiers.yaml"), "lite2")
    weights = ROOT / "resources/models/lite2.safetensors"
    if not weights.exists():
        raise SystemExit(f"{weights} is missing: run snakemake --cores 1 {weights.relative_to(ROOT)} first")
    classifier, _ = load_classifier(entry, weights, BATCH, torch.device("cpu"))
    rows, pictures = read_shards("images", [lay_out_shard(folder / "pictures.tar")]), lay_out_pictures()
    inputs = [torch.from_numpy(classifier.transform.array(picture)) for picture in pictures]
    tensors = [torch.stack(batch) for batch in batches(inputs, BATCH)]
    numbers = count()

    def ours() -> None:
        predict(rows, classifier, ArrayStore(folder / "store", f"new{next(numbers)}"), "")

    def bare() -> None:
        with torch.inference_mode():
            for batch in tensors:
                classifier.network(batch)

    kept = ArrayStore(folder / "store", "kept")
    predict(rows, classifier, kept, "")

    def again() -> None:
        predict(rows, classifier, ArrayStore(folder / "store", "kept"), "")

    threads = torch.get_num_threads()
    try:
        for number, words in ((1, "one thread"), (2, "two threads")):
            torch.set_num_threads(number)
            seconds, floor = paired(ours, bare)
            yield figure(f"pictures predicted per second, {words}", PICTURES / seconds, "pictures/s")
            yield figure(f"predictions, {words}", seconds / floor, "x", 1.15, floor="bare forward passes, in memory")
        rerun, first = paired(again, ours, rounds=3)
    finally:
        torch.set_num_threads(threads)
    yield figure(f"predictions of {PICTURES} pictures once more", rerun, "s")
    yield figure("predictions once more", rerun / first, "x", None, floor="the first time")


def lay_out_pictures() -> list:
    """Pictures with large forms and grain, as generated ones have, so that they take as long to decode."""
    from PIL import Image

    rng = np.random.default_rng(0)
    made = []
    for _ in range(PICTURES):
        forms = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        smooth = np.asarray(forms.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.int16)
        grain = smooth + rng.integers(-6, 7, (SIDE, SIDE, 3))
        made.append(Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8)))
    return made


def lay_out_shard(tar: Path) -> Path:
    """A shard of them."""
    import pandas as pd

    from d3s.imageio import encode_png, image_digest
    from d3s.shards import write_shard

    pictures = lay_out_pictures()
    rows = [
        {"sample": f"{n:03d}", "member": f"{n}.png", "status": "ok", "reason": ""}
        | {"image_digest": image_digest(picture)}
        for n, picture in enumerate(pictures)
    ]
    write_shard(tar, pd.DataFrame(rows), ((f"{n}.png", encode_png(picture)) for n, picture in enumerate(pictures)))
    return tar
