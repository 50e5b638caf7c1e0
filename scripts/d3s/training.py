"""Training of an encoder: a warm-up of plain cross entropy, then an objective's inner steps and encoder steps by turns.

Every batch and every random number is drawn from (seed, step), so a run that was interrupted goes on exactly as it
would have. States are safetensors files with a JSON of counters; nothing is pickled.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import accelerate
import numpy as np
import pandas as pd
import timm
import torch
from torch import nn

from d3s.encoder import Encoder, read_safetensors, save_tensors, tensors_about
from d3s.errors import D3SError
from d3s.identity import bytes_digest, digest
from d3s.identity import seed as hashed_seed
from d3s.objective import Labels, Objective, Shape, Terms

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSettings:
    """How an encoder is trained; with the encoder's and the objective's settings it describes a run.

    Attributes:
        seed: root of every random draw.
        steps: encoder steps in all, the warm-up included.
        batch_size: pictures per step.
        warmup_steps: first steps, of plain cross entropy with SGD.
        warmup_rate, momentum: of SGD.
        rate: of Adam after the warm-up.
        betas: of Adam, for the encoder and for the objective's own networks (paper: 0 and 0.9).
        weight_decay: of the encoder.
        head_factor: the heads, which start from nothing, learn this many times faster than the backbone.
        flip: mirror each picture, or its activations, half of the time.
        precision: ``no`` (float32) or ``bf16``.
    """

    seed: int = 0
    steps: int = 200
    batch_size: int = 64
    warmup_steps: int = 50
    warmup_rate: float = 1e-3
    momentum: float = 0.9
    rate: float = 5e-3
    betas: tuple[float, float] = (0.0, 0.9)
    weight_decay: float = 0.0
    head_factor: float = 1.0
    flip: bool = True
    precision: str = "no"


class Source(Protocol):
    """Gives pictures, or activations of the encoder's frozen layers, for samples."""

    pictures: bool

    def batch(self, samples: Sequence[str]) -> torch.Tensor: ...


def training_rows(manifest: pd.DataFrame) -> pd.DataFrame:
    """The accepted rows of train, sorted by sample.

    Raises:
        D3SError: a class or background of the manifest has none.
    """
    rows = manifest[(manifest["split"] == "train") & manifest["accepted"]].sort_values("sample", ignore_index=True)
    for column in ("class_id", "background"):
        missing = sorted(set(manifest[column]) - set(rows[column]))
        if missing:
            raise D3SError(
                f"no accepted train image has {column} {missing[0]!r}",
                "look at results/tables/counts.csv for why they were rejected; loosen the screen, make more images, or "
                "take it out of its table",
            )
    return rows


class Trainer:
    """One resumable training run.

    Args:
        encoder: with its pretrained weights; trained in place.
        objective: of the encoder's shape.
        settings: of the run.
        source: of inputs.
        rows: the training rows, with sample, image_digest, class_id and background.
        state: file that the state is kept in; if it exists and belongs to this run, the run goes on from there.
        device: ``cpu`` or ``cuda``.
        about: what else determines the run: code, threads.

    Attributes:
        identity: digest of all that determines the run.

    Raises:
        D3SError: the launcher started several processes.
    """

    def __init__(
        self,
        encoder: Encoder,
        objective: Objective,
        settings: TrainingSettings,
        source: Source,
        rows: pd.DataFrame,
        state: Path | None = None,
        device: str = "cpu",
        about: Sequence[object] = (),
    ) -> None:
        self.settings, self.source, self.state = settings, source, state
        self.accelerator = accelerate.Accelerator(cpu=device == "cpu", mixed_precision=settings.precision)
        if self.accelerator.num_processes > 1:
            raise D3SError("an encoder is trained by one process", "run seeds and objectives beside each other instead")
        self.samples = rows["sample"].tolist()
        classes = {label: number for number, label in enumerate(encoder.settings.classes)}
        backgrounds = {label: number for number, label in enumerate(encoder.settings.backgrounds)}
        self.classes = torch.tensor([classes[label] for label in rows["class_id"]])
        self.backgrounds = torch.tensor([backgrounds[label] for label in rows["background"]])
        heads = [p for name, p in encoder.trainable().items() if "_head." in name and not name.startswith("backbone")]
        others = [p for name, p in encoder.trainable().items() if name.startswith("backbone")]
        groups = [(others, 1.0), (heads, settings.head_factor)]
        warm = torch.optim.SGD(
            [{"params": p, "lr": settings.warmup_rate * factor} for p, factor in groups],
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        main = torch.optim.AdamW(
            [{"params": p, "lr": settings.rate * factor} for p, factor in groups],
            betas=settings.betas,
            weight_decay=settings.weight_decay,
        )
        own = list(objective.parameters())
        inner = torch.optim.Adam(own, lr=objective.inner_rate, betas=settings.betas) if own else None
        self.encoder, self.objective = self.accelerator.prepare(encoder), objective.to(self.accelerator.device)
        self.optimisers = {"warm": warm, "main": main} | ({"inner": inner} if inner else {})
        self.done = 0
        self.history: list[dict[str, object]] = []
        self._sums: dict[str, list[float]] = {}
        start = [bytes_digest(value.cpu().numpy().tobytes()) for value in self.model.state_dict().values()]
        self.identity = digest(
            list(about),
            self.accelerator.device.type,
            versions(),
            asdict(settings),
            asdict(encoder.settings),
            start,
            type(objective).__name__,
            asdict(objective.settings),
            rows[["sample", "image_digest", "class_id", "background"]].values.tolist(),
        )
        if state is not None and state.exists():
            self._load()

    def run(self, report: int = 20, save_seconds: float = 60.0, stop: int | None = None) -> None:
        """Train to the end, or until ``stop`` steps are done; keep the state about every ``save_seconds``."""
        last = self.settings.steps if stop is None else min(stop, self.settings.steps)
        saved = started = time.monotonic()
        first = self.done
        self.encoder.train()
        while self.done < last:
            warm = self.done < self.settings.warmup_steps
            if not warm:
                for turn in range(self.objective.inner_steps):
                    self._note(self._inner_step(turn))
            self._note(self._encoder_step(warm))
            self.done += 1
            if self.done % report == 0 or self.done == self.settings.steps:
                self._report((time.monotonic() - started) / (self.done - first) * (self.settings.steps - self.done))
            if self.state is not None and time.monotonic() - saved > save_seconds:
                self.save()
                saved = time.monotonic()

    def _draw(self, purpose: str, turn: int) -> tuple[torch.Tensor, Labels, torch.Generator]:
        root = hashed_seed(self.settings.seed, purpose, self.done, turn)
        rng = np.random.default_rng(root)
        size = min(self.settings.batch_size, len(self.samples))
        picked = rng.choice(len(self.samples), size=size, replace=False)
        inputs = self.source.batch([self.samples[i] for i in picked])
        if self.settings.flip:
            mirrored = torch.from_numpy(rng.random(size) < 0.5)[:, None, None, None]
            inputs = torch.where(mirrored, inputs.flip(-1), inputs)
        device = self.accelerator.device
        labels = Labels(self.classes[picked].to(device), self.backgrounds[picked].to(device))
        return inputs.to(device), labels, torch.Generator().manual_seed(root)

    def _encoder_step(self, warm: bool) -> Terms:
        inputs, labels, draws = self._draw("encoder.batch", 0)
        terms = self.objective.step(self.encoder(self._trunk(inputs)), labels, draws, warm)
        optimiser = self.optimisers["warm" if warm else "main"]
        optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(terms["loss"])
        optimiser.step()
        return terms

    def _inner_step(self, turn: int) -> Terms:
        inputs, labels, draws = self._draw("objective.batch", turn)
        with torch.no_grad():
            encoded = self.encoder(self._trunk(inputs))
        terms = self.objective.inner_step(encoded, labels, draws)
        optimiser = self.optimisers["inner"]
        optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(terms["loss"])
        optimiser.step()
        return {f"inner_{name}": value for name, value in terms.items()}

    def _trunk(self, inputs: torch.Tensor) -> torch.Tensor:
        """Pictures go through the frozen layers; activations have been there already."""
        return self.model.activations(inputs) if self.source.pictures else inputs

    @property
    def model(self) -> Encoder:
        """The encoder without accelerate's wrapping."""
        return self.accelerator.unwrap_model(self.encoder)

    def _note(self, terms: Terms) -> None:
        for name, value in terms.items():
            self._sums.setdefault(name, []).append(float(value.detach()))

    def _report(self, seconds_left: float) -> None:
        means = {name: float(np.mean(values)) for name, values in self._sums.items()}
        self._sums = {}
        if not all(np.isfinite(list(means.values()))):
            raise D3SError(
                f"training broke down: at step {self.done} a term is no longer a number",
                "lower the learning rates (rate, critic_rate) or the weights of the penalty",
            )
        self.history += [{"step": self.done, "term": name, "value": value} for name, value in sorted(means.items())]
        shown = ", ".join(f"{name} {value:.3f}" for name, value in means.items() if not name.startswith("inner_"))
        log.info("step %d of %d: %s, %.0f s left", self.done, self.settings.steps, shown, seconds_left)

    def save(self) -> None:
        """Keep weights, moments and counters, so that a run killed after this loses nothing before it."""
        assert self.state is not None
        tensors = {f"encoder/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"objective/{name}": value for name, value in self.objective.state_dict().items()}
        for kind, optimiser in self.optimisers.items():
            for number, parameter in enumerate(_parameters(optimiser)):
                for name, value in optimiser.state.get(parameter, {}).items():
                    if isinstance(value, torch.Tensor):
                        tensors[f"{kind}/{number}/{name}"] = value
        about = {"run": self.identity, "done": self.done, "history": self.history, "sums": self._sums}
        save_tensors(self.state, {name: value.clone() for name, value in tensors.items()}, about)

    def _load(self) -> None:
        assert self.state is not None
        tensors, about = read_safetensors(self.state), tensors_about(self.state)
        if about.get("run") != self.identity:
            return  # the settings or the samples changed: that is another run, which starts from the beginning
        self.done, self.history, self._sums = about["done"], about["history"], about["sums"]
        for kind, module in (("encoder", self.model), ("objective", self.objective)):
            own = {name.removeprefix(f"{kind}/"): t for name, t in tensors.items() if name.startswith(f"{kind}/")}
            module.load_state_dict(own)
        for kind, optimiser in self.optimisers.items():
            for number, parameter in enumerate(_parameters(optimiser)):
                prefix = f"{kind}/{number}/"
                state = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
                if state:
                    # Adam keeps its step count on the processor.
                    optimiser.state[parameter] = {
                        name: value if name == "step" else value.to(parameter.device) for name, value in state.items()
                    }


def _parameters(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def shape_of(encoder: Encoder) -> Shape:
    """The numbers that an objective is built for."""
    settings = encoder.settings
    return Shape(
        encoder.foreground_features, encoder.background_features, len(settings.classes), len(settings.backgrounds)
    )


def init_heads(encoder: Encoder, seed: int) -> None:
    """Start both heads from small weights that depend on the seed alone."""
    draws = torch.Generator().manual_seed(hashed_seed(seed, "encoder.heads"))
    with torch.no_grad():
        for head in (encoder.class_head, encoder.background_head):
            head.weight.copy_(torch.randn(head.weight.shape, generator=draws) * 0.01)
            head.bias.zero_()


def versions() -> dict[str, str]:
    """Versions of what computes, for the record."""
    return {"torch": torch.__version__, "timm": timm.__version__, "accelerate": accelerate.__version__}
