"""Measuring settings: what a judge sees in their images, and the seconds they take, kept as soon as they are known."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import timm
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from d3s import cli
from d3s.classifier_table import read_classifiers
from d3s.classifiers import SCORING_VERSION, batches
from d3s.generator_measures import generate_all
from d3s.identity import digest, file_sha256
from d3s.imageio import image_digest
from d3s.models import model_digest
from d3s.recipes import GENERATION_VERSION
from d3s.sampling import Request
from d3s.shards import whole_file, write_json
from d3s.superclasses import SuperClasses
from d3s.tables import read_table
from d3s.weights import load_network
from settings.grid import Setting, load_engine

log = logging.getLogger("d3s")


@dataclass(frozen=True)
class Seen:
    """What the judge sees in a set of pictures.

    Attributes:
        features: N x D, pooled.
        correct: N, whether the super-class of the highest probability is the picture's own.
    """

    features: np.ndarray
    correct: np.ndarray


class Judge:
    """The network that had no part in the making of the generator: its pooled features and its answers.

    Args:
        config: its tables name the judge and the classes.
        resources: folder of the classifiers' weights.

    Raises:
        D3SError: no classifier has this role, or its weights can't be read.
    """

    batch_size = 16

    def __init__(self, config: Mapping[str, Any], resources: Path) -> None:
        entry = next(row for row in read_classifiers(config["tables"]["classifiers"]) if row["role"] == "judge")
        weights = resources / f"{entry['name']}.safetensors"
        self.super_classes = SuperClasses.from_rows(read_table(config["tables"]["classes"], "classes"))
        built, _ = load_network(entry["library"], entry["architecture"], weights)
        self.name, self._model = entry["name"], built.network
        self._transform = built.transform.with_settings(entry["input"])
        looks = [entry["architecture"], file_sha256(weights), asdict(self._transform)]
        self.identity = [*looks, SCORING_VERSION, timm.__version__]

    def see(self, pictures: Sequence[Image.Image], class_ids: Sequence[int]) -> Seen:
        """Judge pictures of known classes."""
        features, logits = [], []
        with torch.inference_mode():
            for batch in batches(pictures, self.batch_size):
                inputs = torch.stack([torch.from_numpy(self._transform.array(picture)) for picture in batch])
                pooled = self._model.forward_head(self._model.forward_features(inputs), pre_logits=True)  # type: ignore[operator]
                features.append(pooled)
                logits.append(self._model.get_classifier()(pooled))  # type: ignore[operator]
        sums = self.super_classes.sums(torch.cat(logits).softmax(dim=-1).numpy())
        own = [self.super_classes.ids.index(class_id) for class_id in class_ids]
        return Seen(torch.cat(features).numpy(), sums.argmax(axis=-1) == own)


class Kept:
    """Measures on disk, by all that determines them: what was measured before is not measured again.

    Args:
        folder: made when something is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def seen(self, key: str) -> Seen | None:
        """What was kept under a key, or nothing; a damaged file counts as none."""
        try:
            tensors = load_file(self._file(key))
            return Seen(tensors["features"], tensors["correct"].astype(bool))
        except (OSError, KeyError, SafetensorError):
            return None

    def keep_seen(self, key: str, seen: Seen) -> None:
        with whole_file(self._file(key)) as temporary:
            save_file({"features": seen.features, "correct": seen.correct.astype(np.uint8)}, temporary)

    def seconds(self, key: str) -> list[float]:
        """The times that were kept under a key, in the order of the rounds."""
        try:
            return [float(value) for value in json.loads(self._times(key).read_text(encoding="utf-8"))]
        except (OSError, ValueError, TypeError):
            return []

    def add_seconds(self, key: str, seconds: float) -> None:
        write_json(self._times(key), [*self.seconds(key), seconds])

    def _file(self, key: str) -> Path:
        return self._folder / f"seen-{key}.safetensors"

    def _times(self, key: str) -> Path:
        return self._folder / f"seconds-{key}.json"


@dataclass(frozen=True)
class Bench:
    """What all settings are measured with.

    Attributes:
        config: of the run; gives the generator.
        resources: folder of the judge's weights.
        kept: where measures go.
        requests: by foreground size, the guides of the samples with their prompts and seeds.
        class_ids: what the samples show.
        host: the machine, in words.
    """

    config: Mapping[str, Any]
    resources: Path
    kept: Kept
    requests: Mapping[tuple[float, float], Sequence[Request]]
    class_ids: Sequence[int]
    host: str

    def see(self, scale: tuple[float, float], setting: Setting | None = None) -> Seen:
        """The judge's view of the guides of a foreground size, or of the images that a setting makes of them.

        Images are made only if their measures were not kept.
        """
        requests, judge = self.requests[scale], Judge(self.config, self.resources)
        asked = [[image_digest(r.guide), r.prompt, r.negative_prompt, r.seed] for r in requests]
        key = digest("seen", asked, list(self.class_ids), judge.identity, self._engine(setting) if setting else "")
        seen = self.kept.seen(key)
        if seen is None:
            pictures = [request.guide for request in requests]
            if setting:
                pictures = generate_all(load_engine(self.config, setting.sampling), requests)
            seen = judge.see(pictures, self.class_ids)
            self.kept.keep_seen(key, seen)
        return seen

    def seconds(self, setting: Setting) -> list[float]:
        """The seconds of an image, made in a batch, in each round so far on this machine."""
        return self.kept.seconds(self._timing(setting))

    def time(self, settings: Sequence[Setting], rounds: int) -> None:
        """Time a batch of every setting by turns, as often as there are rounds that were not kept.

        Settings of one sampling share their times: how large a foreground is costs nothing.
        """
        own: dict[str, Setting] = {}
        for setting in settings:
            own.setdefault(self._timing(setting), setting)
        missing = [(turn, key) for turn in range(rounds) for key in own if len(self.kept.seconds(key)) <= turn]
        if missing:  # the first calls of a process are slow
            self._seconds_of_an_image(min(settings, key=lambda setting: setting.calls))
        for turn, key in cli.progress(missing, len(missing), "batches", "speed"):
            seconds = self._seconds_of_an_image(own[key])
            self.kept.add_seconds(key, seconds)
            log.info("round %d, %s: %.3f s per image", turn + 1, own[key].name, seconds)

    def _seconds_of_an_image(self, setting: Setting) -> float:
        engine = load_engine(self.config, setting.sampling)
        requests = self.requests[setting.scale][: engine.batch_size]
        started = time.perf_counter()
        engine.generate(requests)
        return (time.perf_counter() - started) / engine.batch_size  # a batch that is too small is filled up

    def _timing(self, setting: Setting) -> str:
        return digest("seconds", self._engine(setting), self.host)

    def _engine(self, setting: Setting) -> list[object]:
        """What determines images and their cost, beside what they are made from."""
        given = self.config["generator"]
        names = ("dtype", "batch_size", "device", "threads")
        numbers = [given[name] for name in names]
        libraries = [torch.__version__, diffusers.__version__]
        return [model_digest(given["model"]), asdict(setting.sampling), *numbers, GENERATION_VERSION, libraries]
