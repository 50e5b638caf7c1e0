"""A network trained end to end on a locked split: the backbone's upper layers and a linear head over all features.

What it answers about images and about guides (real photographs) tells whether a correlation of generated images is
carried over to real pixels. Every batch is drawn from (seed, step), so an interrupted run goes on as it would have.
"""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from d3s.correlation.methods import group_accuracies
from d3s.correlation.splits import Split
from d3s.encoder import Encoder, read_safetensors, save_tensors, tensors_about
from d3s.encoder_data import in_batches
from d3s.errors import D3SError
from d3s.identity import bytes_digest, digest
from d3s.identity import seed as hashed_seed

log = logging.getLogger("d3s")
METHODS = ("erm", "balanced", "group_dro")


@dataclass(frozen=True)
class NetworkSettings:
    """How a network is trained.

    Attributes:
        method: ``erm``: batches of the training rows as they are; ``balanced``: groups are drawn first, then a row of
            each; ``group_dro``: so too, and the loss is the groups' losses weighted by q, which goes up with
            exp(``group_rate`` x loss) (Sagawa et al. 2020, algorithm 1).
        seed: root of every draw.
        steps: of AdamW.
        batch_size: pictures per step.
        rate: learning rate of the backbone; the head, which starts from zero, learns ``head_factor`` times faster.
        weight_decay: of all.
        head_factor: see ``rate``.
        group_rate: of ``group_dro``.
        evaluate_every: steps between looks at the validation part; the weights kept are those of the look with the best
            worst group, then the best mean over groups, then the later one.
        flip: mirror each picture, or its activations, half of the time.
    """

    method: str = "erm"
    seed: int = 0
    steps: int = 120
    batch_size: int = 32
    rate: float = 1e-3
    weight_decay: float = 1e-2
    head_factor: float = 1.0
    group_rate: float = 0.1
    evaluate_every: int = 20
    flip: bool = True

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise D3SError(f"networks are not trained by {self.method!r}", f"choose of {', '.join(METHODS)}")


class Source(Protocol):
    """Gives pictures, or activations of the frozen layers, for samples."""

    def __contains__(self, sample: str) -> bool: ...

    def batch(self, samples: Sequence[str]) -> torch.Tensor: ...


class GroupClassifier(nn.Module):
    """The upper layers of a backbone and a linear head on all of its pooled features.

    Args:
        encoder: whose backbone, with its frozen layers, is used; its own heads are not.
        classes: number of outputs.
    """

    def __init__(self, encoder: Encoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.foreground_features + encoder.background_features, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        """N x classes logits from what ``encoder.activations`` gave."""
        logits: torch.Tensor = self.head(self.encoder.pooled(activations))
        return logits

    def own_state(self) -> dict[str, torch.Tensor]:
        """What describes it: backbone and head, without the encoder's heads."""
        kept = ("encoder.backbone.", "head.")
        return {name: value for name, value in self.state_dict().items() if name.startswith(kept)}


class NetworkTrainer:
    """One resumable training run.

    Args:
        network: with pretrained weights; trained in place.
        settings: of the run.
        split: that is trained on.
        source: of inputs, for training and validation rows.
        state: file that the state is kept in; if it belongs to this run, the run goes on from there.
        device: ``cpu`` or ``cuda``.
        about: what else determines the run: code, threads.

    Raises:
        D3SError: the split shows fewer than two classes to train on.
    """

    def __init__(
        self,
        network: GroupClassifier,
        settings: NetworkSettings,
        split: Split,
        source: Source,
        state: Path | None = None,
        device: str = "cpu",
        about: Sequence[object] = (),
    ) -> None:
        self.settings, self.source, self.state, self.device = settings, source, state, torch.device(device)
        self.network = network.to(self.device)
        train, validation = split.rows("train"), split.rows("validation")
        self.classes = sorted(train["class"].unique())
        if len(self.classes) < 2:
            raise D3SError(
                f"the split {split.name} shows {len(self.classes)} class to train on", "make the splits again"
            )
        self.train = train
        self.validation = validation[validation["class"].isin(self.classes)].reset_index(drop=True)
        self.labels = torch.from_numpy(np.searchsorted(self.classes, train["class"].to_numpy(dtype=str)))
        names, where = np.unique(train["group"].to_numpy(dtype=str), return_inverse=True)
        self.members = [np.flatnonzero(where == number) for number in range(len(names))]
        self.where = torch.from_numpy(where)
        self.weights = torch.full((len(names),), 1.0 / len(names), dtype=torch.float64)
        trained = [p for p in network.encoder.backbone.parameters() if p.requires_grad]
        groups = [{"params": trained, "lr": settings.rate}]
        groups += [{"params": list(network.head.parameters()), "lr": settings.rate * settings.head_factor}]
        self.optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
        self.done = 0
        self.history: list[dict[str, object]] = []
        self.best: tuple[float, float, int] | None = None
        self.kept: dict[str, torch.Tensor] = {}
        start = [bytes_digest(value.cpu().numpy().tobytes()) for value in network.own_state().values()]
        self.identity = digest(
            list(about), str(self.device), torch.__version__, asdict(settings), start, split.about["digest"]
        )
        if state is not None and state.exists():
            self._load()

    def run(self, save_seconds: float = 60.0, stop: int | None = None) -> None:
        """Train to the end, or until ``stop`` steps are done; then the network has the weights that were best.

        Raises:
            D3SError: a loss is not a number.
        """
        last = self.settings.steps if stop is None else min(stop, self.settings.steps)
        saved = time.monotonic()
        self.network.train()
        while self.done < last:
            loss = self._step()
            self.done += 1
            if self.done % self.settings.evaluate_every == 0 or self.done == self.settings.steps:
                self._evaluate(loss)
            if self.state is not None and time.monotonic() - saved > save_seconds:
                self.save()
                saved = time.monotonic()
        if self.done == self.settings.steps and self.kept:
            self.network.load_state_dict(self.kept, strict=False)
        self.network.eval()

    def _step(self) -> float:
        settings = self.settings
        rng = np.random.default_rng(hashed_seed(settings.seed, "network.batch", self.done))
        if settings.method == "erm":
            size = min(settings.batch_size, len(self.train))
            picked = rng.choice(len(self.train), size=size, replace=False)
        else:
            drawn = rng.integers(len(self.members), size=settings.batch_size)
            picked = np.array([rng.choice(self.members[group]) for group in drawn])
        inputs = self.source.batch(self.train["sample"].iloc[picked].tolist())
        if settings.flip:
            mirrored = torch.from_numpy(rng.random(len(picked)) < 0.5)[:, None, None, None]
            inputs = torch.where(mirrored, inputs.flip(-1), inputs)
        losses = F.cross_entropy(
            self.network(inputs.to(self.device)), self.labels[picked].to(self.device), reduction="none"
        )
        loss = losses.mean() if settings.method != "group_dro" else self._robust(losses, self.where[picked])
        if not bool(torch.isfinite(loss)):
            raise D3SError(
                f"the loss of step {self.done} is {float(loss.detach())}",
                "lower correlation: networks: rate:, or look for broken pictures in the manifest",
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())

    def _robust(self, losses: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """The groups' mean losses of a batch, weighted by q; q is brought up to date first."""
        present = groups.unique()
        means = torch.stack([losses[groups == group].mean() for group in present])
        self.weights[present] *= torch.exp(self.settings.group_rate * means.detach().cpu().double())
        self.weights /= self.weights.sum()
        return (self.weights[present].to(losses) * means).sum()

    def _evaluate(self, loss: float) -> None:
        self.history.append({"step": self.done, "term": "loss", "value": loss})
        worst = mean = float("nan")
        if len(self.validation):
            said = self.predict(self.source, self.validation["sample"].tolist(), "validation")
            right = (said == self.validation["class"].to_numpy(dtype=str))[None]
            shares = group_accuracies(right, self.validation["group"].to_numpy(dtype=str))[0]
            worst, mean = float(shares.min()), float(shares.mean())
            self.history += [
                {"step": self.done, "term": "worst_group", "value": worst},
                {"step": self.done, "term": "mean_group", "value": mean},
            ]
        score = (worst, mean, self.done)
        if self.best is None or not len(self.validation) or score > self.best:
            self.best = score
            self.kept = {name: value.detach().cpu().clone() for name, value in self.network.own_state().items()}
        self.network.train()

    def predict(self, source: Source, samples: Sequence[str], label: str) -> np.ndarray:
        """Names of the classes that it tells for samples."""
        logits = self.apply(source, samples, self.network, label)
        return np.array(self.classes)[logits.argmax(dim=1).numpy()]

    def features(self, source: Source, samples: Sequence[str], label: str) -> np.ndarray:
        """N x D pooled features of samples."""
        return self.apply(source, samples, self.network.encoder.pooled, label).double().numpy()

    def apply(self, source: Source, samples: Sequence[str], compute: object, label: str) -> torch.Tensor:
        self.network.eval()
        return in_batches(source, samples, compute, self.settings.batch_size, self.device, label)  # type: ignore[arg-type]

    def save(self) -> None:
        """Keep weights, moments and counters, so that a run killed after this loses nothing before it."""
        assert self.state is not None
        tensors = {f"network/{name}": value for name, value in self.network.own_state().items()}
        tensors |= {f"kept/{name}": value for name, value in self.kept.items()}
        tensors["groups"] = self.weights
        for number, parameter in enumerate(self._parameters()):
            for name, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"moments/{number}/{name}"] = value
        about = {"run": self.identity, "done": self.done, "history": self.history, "best": self.best}
        save_tensors(
            self.state, {name: value.clone() for name, value in tensors.items()}, json.loads(json.dumps(about))
        )

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.optimiser.param_groups for parameter in group["params"]]

    def _load(self) -> None:
        assert self.state is not None
        tensors, about = read_safetensors(self.state), tensors_about(self.state)
        if about.get("run") != self.identity:
            return  # the settings or the split changed: that is another run, which starts from the beginning
        self.done, self.history = about["done"], about["history"]
        self.best = tuple(about["best"]) if about["best"] else None

        def part(name: str) -> dict[str, torch.Tensor]:
            return {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}

        self.network.load_state_dict(part("network"), strict=False)
        self.kept, self.weights = part("kept"), tensors["groups"]
        for number, parameter in enumerate(self._parameters()):
            state = part(f"moments/{number}")
            if state:
                # AdamW keeps its step count on the processor
                self.optimiser.state[parameter] = {
                    name: value if name == "step" else value.to(parameter.device) for name, value in state.items()
                }
        log.info("going on from step %d", self.done)


def network_answers(split: str, method: str, dataset: str, samples: Sequence[str], said: np.ndarray) -> pd.DataFrame:
    """Rows of ``answers.COLUMNS``: a network tells classes from all of its features."""
    about = {"split": split, "features": "all", "method": method, "target": "foreground", "dataset": dataset}
    return pd.DataFrame({**about, "sample": list(samples), "answer": said})
