"""What a network makes of pictures: log-probabilities, asked in fixed batches while other pictures are decoded."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import nn

from d3s import cli
from d3s.array_store import TEXTS, ArrayStore, through_store
from d3s.classifier_library import IMAGENET_CLASSES, load_library
from d3s.errors import BadInput
from d3s.identity import file_sha256
from d3s.imagenet import imagenet_labels
from d3s.picture_input import InputTransform
from d3s.predictions import probabilities
from d3s.subjects import Load
from d3s.weights import load_network
from d3s.zero_shot import PROMPTS, TEXTS_VERSION, ZeroShotNetwork, class_features

T = TypeVar("T")

SCORING_VERSION = 2
"""Raised whenever a change of this module alters the numbers that a network gives a picture; old ones go unused."""
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""What networks may compute with on a GPU."""
WORKERS = max(1, min(8, os.cpu_count() or 1))
"""Threads that decode and resize; how many there are changes no number."""


@dataclass(frozen=True)
class Classifier:
    """A network with what is needed to ask it.

    Attributes:
        network: maps N x 3 x S x S to N x C logits; in evaluation mode, on ``device``.
        transform: makes its input of a picture.
        batch_size: pictures per call, always: the last batch is filled up, so that a picture's numbers don't depend on
            how many others there are.
        device: where it runs.
        outputs: C, which is checked.
        dtype: that it computes with, where the device is a GPU.
    """

    network: nn.Module
    transform: InputTransform
    batch_size: int
    device: torch.device
    outputs: int = IMAGENET_CLASSES
    dtype: torch.dtype = torch.float32

    def answers(self, inputs: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """For each input, in order, its C log-probabilities less the largest (float32); a batch is held at a time.

        The best class has 0: half precision, in which answers are kept, is finest there.

        Raises:
            BadInput: ``wrong_classes``: the network gives something else than C logits.
        """
        side = self.transform.size
        reduced = self.device.type != "cpu" and self.dtype != torch.float32
        for batch in batches(inputs, self.batch_size):
            filled = torch.zeros(self.batch_size, 3, side, side)
            for place, array in enumerate(batch):
                filled[place] = torch.from_numpy(array)
            with torch.inference_mode(), torch.autocast(self.device.type, self.dtype, enabled=reduced):
                outputs = self.network(filled.to(self.device))
            if outputs.ndim != 2 or outputs.shape[1] != self.outputs:
                found = "x".join(str(length) for length in outputs.shape[1:]) or "one number"
                raise BadInput("wrong_classes", f"the network gives {found} per picture, not {self.outputs} logits")
            logs = outputs.float().log_softmax(dim=-1)
            logs -= logs.amax(dim=-1, keepdim=True)
            yield from logs.cpu().numpy()[: len(batch)]

    def probabilities(self, images: Iterable[Image.Image]) -> Iterator[np.ndarray]:
        """For each picture, in order, its C probabilities (float64)."""
        return (probabilities(answer) for answer in self.answers(self.transform.array(image) for image in images))


def batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` things, in order; the last may be shorter."""
    iterator = iter(things)
    while batch := list(islice(iterator, size)):
        yield batch


def prepare(
    loads: Iterable[tuple[int, Load]],
    transform: InputTransform,
    refuse: Callable[[int, BadInput], None],
    ahead: int,
    workers: int = WORKERS,
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode and resize pictures in threads, some ahead of what is asked for, so that a network need not wait.

    Args:
        loads: for each picture its place and what decodes it.
        transform: makes an input of it.
        refuse: is told of what can't be read; it is left out.
        ahead: how many pictures are decoded before they are asked for.
        workers: threads; Pillow and numpy let others run meanwhile.

    Yields:
        Places and inputs, in the order of the loads.
    """
    waiting: deque[tuple[int, Future[np.ndarray]]] = deque()
    remaining = iter(loads)
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                for place, load in islice(remaining, ahead - len(waiting)):
                    waiting.append((place, pool.submit(_load, load, transform)))
                if not waiting:
                    return
                place, future = waiting.popleft()
                try:
                    yield place, future.result()
                except BadInput as bad:
                    refuse(place, bad)
        finally:
            for _, future in waiting:
                future.cancel()


def _load(load: Load, transform: InputTransform) -> np.ndarray:
    return transform.array(load())


def ask(
    classifier: Classifier,
    store: ArrayStore | None,
    digests: Sequence[str],
    loads: Callable[[Sequence[int]], Iterable[tuple[int, Load]]],
    refused: dict[int, BadInput] | None = None,
    label: str = "",
) -> list[np.ndarray | None]:
    """What a classifier makes of pictures: from the store where it has seen them, else computed now and kept.

    Args:
        classifier: is asked for new pictures alone.
        store: of answers by picture; nothing is kept without one.
        digests: of the pictures; equal ones are looked at once.
        loads: for the places in ``digests`` that it is given, what decodes the pictures, each with its place.
        refused: takes the pictures that could not be read, by place.
        label: for the progress bar.

    Returns:
        Log-probabilities less the largest, C float16 each; nothing for a picture that could not be read.
    """
    problems = {} if refused is None else refused

    def inputs(places: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        ready = prepare(loads(places), classifier.transform, problems.__setitem__, 2 * classifier.batch_size + WORKERS)
        return cli.progress(ready, len(places), "pictures", label)

    answers = through_store(store, digests, inputs, classifier.answers)
    by_digest = {digests[place]: bad for place, bad in problems.items()}
    for place, (answer, key) in enumerate(zip(answers, digests, strict=True)):
        if answer is None and key in by_digest:
            problems[place] = by_digest[key]  # equal pictures are equally unreadable
    return answers


def load_classifier(
    entry: Mapping[str, Any],
    weights: str | Path,
    batch_size: int,
    device: torch.device,
    store: str | Path | None = None,
    outputs: int = IMAGENET_CLASSES,
    dtype: str = "float32",
) -> tuple[Classifier, ArrayStore | None]:
    """The classifier of an entry, ready to be asked, and where its answers are kept.

    Args:
        entry: of the list of classifiers.
        weights: its converted weights.
        batch_size: pictures per call.
        device: where it runs.
        store: folder of all stores; nothing is kept without one.
        outputs: how many classes it tells apart.
        dtype: that it computes with, if the device is a GPU.

    Raises:
        D3SError: the file of weights can't be read, or belongs to another network.
        BadInput: it holds none, and says why; or the network and the settings don't go together.
    """
    built, _ = load_network(entry["library"], entry["architecture"], weights, outputs)
    transform = built.transform.with_settings(entry["input"])
    if built.fixed_size and transform.size != built.transform.size:
        raise BadInput(
            "wrong_input_size",
            f"{entry['architecture']} takes pictures of {built.transform.size} pixels, not {transform.size}",
        )
    network = built.network.to(device)
    library, own = load_library(entry["library"]), file_sha256(weights)
    versions = (f"torch {torch.__version__}", library.version())
    prompts = list(entry["prompts"] or PROMPTS)
    if isinstance(network, ZeroShotNetwork):
        if outputs != IMAGENET_CLASSES:
            raise BadInput("wrong_classes", "a zero-shot network is asked for ImageNet's classes, not for others")
        about = (entry["library"], entry["architecture"], own, TEXTS_VERSION, versions)
        texts = ArrayStore(store, TEXTS, *about) if store else None
        network.set_head(class_features(network, imagenet_labels(), prompts, texts))
    elif entry["prompts"]:
        raise BadInput("no_texts", f"{entry['architecture']} reads no texts, and its entry has prompts")
    kind = dtype if device.type != "cpu" else "float32"
    classifier = Classifier(network, transform, batch_size, device, outputs, DTYPES[kind])
    if store is None:
        return classifier, None
    zero_shot = prompts if isinstance(network, ZeroShotNetwork) else []
    looks = [entry["library"], entry["architecture"], own, _plain(transform), zero_shot, kind, outputs]
    return classifier, ArrayStore(store, "answers", *looks, SCORING_VERSION, versions)


def _plain(transform: InputTransform) -> list[object]:
    """A transform as values that have a digest."""
    colours = [list(transform.mean), list(transform.std)]
    return [transform.size, colours, transform.interpolation, transform.crop, transform.squash]
