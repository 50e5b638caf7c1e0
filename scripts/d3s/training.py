"""Training of an encoder: a warm-up of plain cross entropy, then an objective's inner steps and encoder steps by turns.

Every batch and every random number is drawn from (seed, step), so a run that was interrupted goes on exactly as it
would have. States are safetensors files with a JSON of counters; nothing is pickled.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import accelerate
import numpy as np
import pandas as pd
import timm
import torch
from accelerate.utils import broadcast
from torch import nn

from d3s.ahead import Ahead
from d3s.early_stopping import EarlyStopping
from d3s.encoder import Encoded, Encoder, read_safetensors, save_tensors, tensors_about
from d3s.errors import D3SError
from d3s.held_out import hold_out
from d3s.identity import bytes_digest, digest
from d3s.identity import seed as hashed_seed
from d3s.objective import Labels, Objective, Shape, Terms
from d3s.processes import gather, slice_of
from d3s.refinement import refined_cross_entropy
from d3s.schedules import SCHEDULES, rate_at
from d3s.streams import BadSample, Source, Stream, as_stream

log = logging.getLogger(__name__)
PRECISIONS = ("no", "bf16", "fp16")


@dataclass(frozen=True)
class TrainingSettings:
    """How an encoder is trained; with the encoder's and the objective's settings it describes a run.

    Attributes:
        seed: root of every random draw.
        steps: encoder steps in all, the warm-up included.
        batch_size: pictures per step, of all processes together.
        warmup_steps: first steps, of plain cross entropy with SGD.
        warmup_rate, momentum: of SGD.
        rate: of Adam after the warm-up.
        betas: of Adam, for the encoder and for the objective's own networks (paper: 0 and 0.9).
        weight_decay: of the encoder.
        head_factor: the heads, which start from nothing, learn this many times faster than the backbone.
        flip: mirror each picture, or its activations, half of the time.
        precision: ``no`` (float32), ``bf16`` or, on a GPU, ``fp16``.
        schedule: of ``rate``: ``constant``, ``cosine`` or ``restarts`` (see ``d3s.schedules``).
        period: of the restarts, in steps.
        least_rate: that schedules fall to.
        ema: decay of a moving average of the weights after the warm-up, which is evaluated and kept in their place; 0
            is none.
        validation_fraction: share of each class's split groups that is held out for early stopping; 0 is no such thing.
        validation_seed: root of the hashes that choose them; one for all seeds, which are then compared on equal terms.
        evaluate_every: steps after the warm-up between two looks at the held-out part.
        tolerance, patience: of early stopping (see ``d3s.early_stopping``).
        second_share: of each batch that comes from the second stream, if there is one (paper: 0.5).
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
    schedule: str = "constant"
    period: int = 100
    least_rate: float = 5e-4
    ema: float = 0.0
    validation_fraction: float = 0.2
    validation_seed: int = 0
    evaluate_every: int = 10
    tolerance: float = 0.05
    patience: int = 0
    second_share: float = 0.5

    def __post_init__(self) -> None:
        for name, allowed in (("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, name) not in allowed:
                raise D3SError(f"{name} is {getattr(self, name)!r}", f"write {', '.join(allowed)}")
        for name in ("steps", "batch_size", "period", "evaluate_every"):
            if getattr(self, name) < 1:
                raise D3SError(f"{name} is {getattr(self, name)}", "give 1 or more")
        for name in ("ema", "validation_fraction", "second_share"):
            if not 0 <= getattr(self, name) < 1:
                raise D3SError(f"{name} is {getattr(self, name)}", "give a number from 0 to below 1")


@dataclass(frozen=True)
class Drawn:
    """One batch on the processor: this process's inputs by stream, and the labels of the whole of it.

    Attributes:
        inputs: of each stream that has rows in the process's slice.
        labels: of the whole batch.
        root: seed of whatever else is random in the step.
    """

    inputs: list[tuple[Stream, torch.Tensor]]
    labels: Labels
    root: int


Request = tuple[int, int]
"""A step, and its turn: of the objective's own networks from 0, or ``ENCODER``."""
ENCODER = -1
IDENTIFYING = ("sample", "image_digest", "split_group", "class_id", "background", "exemplar", "template")
"""Columns of training rows that determine a run."""


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
        rows: the training rows, with sample, image_digest, split_group, class_id and background.
        state: file that the state is kept in; if it exists and belongs to this run, the run goes on from there.
        device: ``cpu`` or ``cuda``.
        about: what else determines the run: code, threads.
        second: a source and its rows (sample, image_digest, class_id) of pictures without background labels.
        workers: threads that make batches ahead; their number changes no batch.

    Attributes:
        identity: digest of all that determines the run.
        done: encoder steps so far.
        stopping: what early stopping has seen.

    Raises:
        D3SError: the encoder does not know a label; the batch does not suit the processes or the batch norm; the device
            has no such precision.
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
        second: tuple[Source, pd.DataFrame] | None = None,
        workers: int = 0,
    ) -> None:
        self.settings, self.state, self.workers = settings, state, workers
        try:
            self.accelerator = accelerate.Accelerator(cpu=device == "cpu", mixed_precision=settings.precision)
        except (ValueError, ImportError) as error:
            raise D3SError(f"this machine can't train in {settings.precision} ({error})", "set precision: no") from None
        if settings.batch_size == 1 and encoder.settings.batch_norm == "batch":
            raise D3SError("a batch of one picture has no statistics", "raise batch_size, or set batch_norm: frozen")
        fitting, held = hold_out(rows, settings.validation_fraction, settings.validation_seed)
        self.streams = [as_stream(fitting, source, encoder)]
        if second is not None:
            self.streams.append(as_stream(second[1], second[0], encoder))
        self.sizes = self._sizes(self.accelerator.num_processes)
        self.held = as_stream(held, source, encoder)
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
        self.optimisers: dict[str, torch.optim.Optimizer] = {"warm": warm, "main": main}
        self.optimisers |= {"inner": inner} if inner else {}
        # Prepared ones scale gradients where the precision asks for it; states are read and set in the plain ones.
        self._stepping = {name: self.accelerator.prepare(each) for name, each in self.optimisers.items()}
        self.encoder, self.objective = self.accelerator.prepare(encoder), objective.to(self.accelerator.device)
        self.done = self.turn = 0
        self.history: list[dict[str, object]] = []
        self.stopping = EarlyStopping(settings.tolerance, settings.patience)
        self.kept: dict[str, torch.Tensor] = {}
        self.average: dict[str, torch.Tensor] = {}
        self._sums: dict[str, list[float]] = {}
        start = [bytes_digest(value.cpu().numpy().tobytes()) for value in self.model.state_dict().values()]
        self.identity = digest(
            list(about),
            self.accelerator.device.type,
            self.accelerator.num_processes,
            versions(),
            asdict(settings),
            asdict(encoder.settings),
            start,
            type(objective).__name__,
            asdict(objective.settings),
            rows[[name for name in IDENTIFYING if name in rows]].values.tolist(),
            second[1][["sample", "image_digest", "class_id"]].values.tolist() if second else [],
        )
        if state is not None and state.exists():
            self._load()

    def _sizes(self, processes: int) -> list[int]:
        """How many rows of a batch come from each stream."""
        total, share = self.settings.batch_size, self.settings.second_share
        second = round(total * share) if len(self.streams) > 1 else 0
        sizes = [min(size, len(stream)) for size, stream in zip((total - second, second), self.streams, strict=False)]
        if sum(sizes) % processes and self.settings.batch_size % processes == 0:
            sizes[0] -= sum(sizes) % processes  # too few samples for a whole batch
        if sum(sizes) % processes or sizes[0] < 1:
            raise D3SError(
                f"batches of {self.settings.batch_size} can't be shared out among {processes} processes",
                f"make batch_size a multiple of {processes}",
            )
        return sizes

    @property
    def model(self) -> Encoder:
        """The encoder without accelerate's wrapping."""
        return self.accelerator.unwrap_model(self.encoder)

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or early stopping ended the run."""
        return self.done >= self.settings.steps or self.stopping.over

    def run(self, report: int = 20, save_seconds: float = 60.0, stop: int | None = None) -> None:
        """Train to the end, or until ``stop`` steps are done; keep the state about every ``save_seconds``.

        At the end the encoder has the weights that early stopping kept, or else the average, or else the last ones.

        Raises:
            D3SError: an input or a term is no longer a number. The state from before that is on disk.
        """
        last = self.settings.steps if stop is None else min(stop, self.settings.steps)
        saved = started = time.monotonic()
        first = self.done
        self.encoder.train()
        ahead = Ahead(self._draw, self._requests(last), self.workers)
        try:
            while self.done < last and not self.finished:
                warm = self.done < self.settings.warmup_steps
                for turn in range(self.turn, self._turns(self.done)):
                    self._note(self._inner_step(ahead.take((self.done, turn))))
                    self.turn = turn + 1
                self._note(self._encoder_step(ahead.take((self.done, ENCODER)), warm))
                self.done, self.turn = self.done + 1, 0
                if not warm and self.settings.ema:
                    self._average()
                self._evaluate()
                if self.done % report == 0 or self.finished:
                    self._report((time.monotonic() - started) / (self.done - first) * (self.settings.steps - self.done))
                if self.state is not None and time.monotonic() - saved > save_seconds:
                    self.save()
                    saved = time.monotonic()
        except BadSample as error:
            self._give_up(
                f"the input of the sample {error} holds something that is not a number (step {self.done + 1})",
                "look at that picture; make it or the activations again",
            )
        finally:
            ahead.close()
        if self.finished:
            self._finish()

    def _turns(self, step: int) -> int:
        return 0 if step < self.settings.warmup_steps else self.objective.inner_steps

    def _requests(self, last: int) -> Iterator[Request]:
        """The batches that will be asked for, in order."""
        begun = self.turn
        for step in range(self.done, last):
            yield from ((step, turn) for turn in range(begun, self._turns(step)))
            yield step, ENCODER
            begun = 0

    def _draw(self, request: Request) -> Drawn:
        """A batch; depends on nothing but the request, so that it may be made at any time and by any thread."""
        step, turn = request
        purpose = "encoder.batch" if turn == ENCODER else "objective.batch"
        root = hashed_seed(self.settings.seed, purpose, step, max(turn, 0))
        own = slice_of(sum(self.sizes), self.accelerator.process_index, self.accelerator.num_processes)
        inputs: list[tuple[Stream, torch.Tensor]] = []
        labels: list[Labels] = []
        begin = 0
        for number, (stream, size) in enumerate(zip(self.streams, self.sizes, strict=True)):
            rng = np.random.default_rng(root if number == 0 else hashed_seed(root, "second"))
            picked = stream.pick(size, self.objective.together, rng)
            mirrored = rng.random(size) < 0.5
            labels.append(stream.labels[picked])
            here = slice(max(own.start - begin, 0), max(own.stop - begin, 0))
            begin += size
            if not len(picked[here]):
                continue
            made = stream.inputs(picked[here])
            if self.settings.flip:
                turned = torch.from_numpy(np.flatnonzero(mirrored[here]))
                made[turned] = made[turned].flip(-1)
            inputs.append((stream, made))
        return Drawn(inputs, Labels.joined(labels), root)

    def _encode(self, drawn: Drawn) -> tuple[Encoded, Labels, torch.Generator]:
        """What the encoder makes of the whole batch, of which this process encodes its slice."""
        device = self.accelerator.device
        trunks = [self._trunk(stream.source, made.to(device)) for stream, made in drawn.inputs]
        encoded = self.encoder(torch.cat(trunks) if len(trunks) > 1 else trunks[0])
        return (
            Encoded(*(gather(each) for each in encoded)),
            drawn.labels.to(device),
            torch.Generator().manual_seed(drawn.root),
        )

    def _trunk(self, source: Source, inputs: torch.Tensor) -> torch.Tensor:
        """Pictures go through the frozen layers; activations have been there already."""
        return self.model.activations(inputs) if source.pictures else inputs

    def _encoder_step(self, drawn: Drawn, warm: bool) -> Terms:
        encoded, labels, draws = self._encode(drawn)
        terms = self._checked(self.objective.step(encoded, labels, draws, warm))
        if not warm:
            settings = self.settings
            begun, steps = self.done - settings.warmup_steps, settings.steps - settings.warmup_steps
            rate = rate_at(settings.schedule, begun, steps, settings.rate, settings.least_rate, settings.period)
            for group, factor in zip(self.optimisers["main"].param_groups, (1.0, settings.head_factor), strict=True):
                group["lr"] = rate * factor
        self._descend("warm" if warm else "main", terms)
        return terms

    def _inner_step(self, drawn: Drawn) -> Terms:
        with torch.no_grad():
            encoded, labels, draws = self._encode(drawn)
        terms = self._checked({f"inner_{k}": v for k, v in self.objective.inner_step(encoded, labels, draws).items()})
        if terms:
            self._descend("inner", {"loss": terms["inner_loss"]})
        return terms

    def _descend(self, name: str, terms: Terms) -> None:
        optimiser = self._stepping[name]
        optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(terms["loss"])
        optimiser.step()

    def _checked(self, terms: Terms) -> Terms:
        """The terms, if all are numbers."""
        values = torch.stack([value.detach().float() for value in terms.values()]) if terms else torch.zeros(0)
        if not bool(torch.isfinite(values).all()):
            broken = [name for name, value in terms.items() if not bool(torch.isfinite(value.detach()).all())]
            name = next((name for name in broken if not name.endswith("loss")), broken[0])
            self._give_up(
                f"training broke down: at step {self.done + 1} the term {name} is no longer a number",
                "lower the learning rates (rate, warmup_rate, critic_rate) or the weights of the penalty",
            )
        return terms

    def _give_up(self, problem: str, remedy: str) -> NoReturn:
        """Keep the state if it is sound, and say what happened."""
        kept = ""
        if self.state is not None:
            values = [*self.model.state_dict().values(), *self.objective.state_dict().values()]
            moments = [
                value for each in self.optimisers.values() for own in each.state.values() for value in own.values()
            ]
            tensors = [value for value in [*values, *moments] if isinstance(value, torch.Tensor)]
            # A moving mean that has seen nothing yet is minus infinity, which is sound.
            if not any(bool(torch.isnan(value).any()) for value in tensors if value.is_floating_point()):
                self.save()
            kept = f"; the last good state is in {self.state}" if self.state.exists() else ""
        raise D3SError(problem + kept, remedy)

    def _evaluate(self) -> None:
        """Look at the held-out part, if it is time, and keep the weights if they deserve it."""
        begun = self.done - self.settings.warmup_steps
        due = begun % self.settings.evaluate_every == 0 or self.done == self.settings.steps
        if begun <= 0 or not due or not len(self.held):
            return
        weights = self.average or self.model.state_dict()
        scores = self._held_out_entropies(weights)
        # Last bits may differ between processes; the main one decides for all.
        score = float(broadcast(torch.tensor(sum(scores.values()), device=self.accelerator.device)).item())
        if not np.isfinite(score):
            self._give_up(
                f"training broke down: at step {self.done} the entropy on the held-out part is no longer a number",
                "lower the learning rates or the weights of the penalty",
            )
        self.history += [{"step": self.done, "term": name, "value": value} for name, value in sorted(scores.items())]
        if self.stopping.judge(self.done, score):
            self.kept = {name: value.detach().clone() for name, value in weights.items()}

    def _held_out_entropies(self, weights: dict[str, torch.Tensor]) -> dict[str, float]:
        """Of class and background on what is held out; apart from overconfidence (see ``d3s.refinement``)."""
        self.model.eval()
        found: list[tuple[torch.Tensor, torch.Tensor]] = []
        with torch.no_grad():
            for start in range(0, len(self.held), self.settings.batch_size):
                rows = range(start, min(start + self.settings.batch_size, len(self.held)))
                trunk = self._trunk(self.held.source, self.held.inputs(rows).to(self.accelerator.device))
                encoded = (
                    torch.func.functional_call(self.model, weights, (trunk,)) if self.average else self.model(trunk)
                )
                found.append((encoded.class_logits.cpu(), encoded.background_logits.cpu()))
        self.encoder.train()
        classes, backgrounds = (torch.cat(each) for each in zip(*found, strict=True))
        return {
            "held_out_class_entropy": refined_cross_entropy(classes, self.held.labels.klass),
            "held_out_background_entropy": refined_cross_entropy(backgrounds, self.held.labels.background),
        }

    def _average(self) -> None:
        own = self.model.state_dict()
        if not self.average:
            self.average = {name: value.detach().clone() for name, value in own.items()}
            return
        for name, value in own.items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - self.settings.ema)
            else:
                self.average[name].copy_(value)

    def _finish(self) -> None:
        weights = self.kept or self.average
        if weights:
            self.model.load_state_dict(weights)
        if self.stopping.kept:
            log.info("the weights of step %d of %d are kept", self.stopping.kept, self.done)

    def _note(self, terms: Terms) -> None:
        for name, value in terms.items():
            self._sums.setdefault(name, []).append(float(value.detach()))

    def _report(self, seconds_left: float) -> None:
        means = {name: float(np.mean(values)) for name, values in self._sums.items()}
        self._sums = {}
        self.history += [{"step": self.done, "term": name, "value": value} for name, value in sorted(means.items())]
        shown = ", ".join(f"{name} {value:.3f}" for name, value in means.items() if not name.startswith("inner_"))
        if self.accelerator.is_main_process:
            log.info("step %d of %d: %s, %.0f s left", self.done, self.settings.steps, shown, seconds_left)

    def save(self) -> None:
        """Keep weights, moments and counters, so that a run killed after this loses nothing before it."""
        assert self.state is not None
        if not self.accelerator.is_main_process:
            return
        tensors = {f"encoder/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"objective/{name}": value for name, value in self.objective.state_dict().items()}
        tensors |= {f"kept/{name}": value for name, value in self.kept.items()}
        tensors |= {f"average/{name}": value for name, value in self.average.items()}
        for kind, optimiser in self.optimisers.items():
            for number, parameter in enumerate(_parameters(optimiser)):
                for name, value in optimiser.state.get(parameter, {}).items():
                    if isinstance(value, torch.Tensor):
                        tensors[f"{kind}/{number}/{name}"] = value
        about = {"run": self.identity, "done": self.done, "turn": self.turn, "history": self.history}
        about |= {"sums": self._sums, "stopping": self.stopping.state()}
        about["scaler"] = self.accelerator.scaler.state_dict() if self.accelerator.scaler is not None else {}
        save_tensors(self.state, {name: value.clone() for name, value in tensors.items()}, about)

    def _load(self) -> None:
        assert self.state is not None
        tensors, about = read_safetensors(self.state), tensors_about(self.state)
        if about.get("run") != self.identity:
            return  # the settings or the samples changed: that is another run, which starts from the beginning
        self.done, self.turn = about["done"], about["turn"]
        self.history, self._sums = about["history"], about["sums"]
        self.stopping.restore(about["stopping"])
        if self.accelerator.scaler is not None and about["scaler"]:
            self.accelerator.scaler.load_state_dict(about["scaler"])
        for kind, module in (("encoder", self.model), ("objective", self.objective)):
            module.load_state_dict(_under(tensors, f"{kind}/"))
        device = self.accelerator.device
        self.kept, self.average = (
            {name: value.to(device) for name, value in _under(tensors, f"{kind}/").items()}
            for kind in ("kept", "average")
        )
        for kind, optimiser in self.optimisers.items():
            for number, parameter in enumerate(_parameters(optimiser)):
                state = _under(tensors, f"{kind}/{number}/")
                if state:
                    # Adam keeps its step count on the processor.
                    optimiser.state[parameter] = {
                        name: value if name == "step" else value.to(parameter.device) for name, value in state.items()
                    }


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _parameters(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def shape_of(encoder: Encoder) -> Shape:
    """The numbers that an objective is built for."""
    settings = encoder.settings
    return Shape(
        encoder.foreground_features, encoder.background_features, len(settings.classes), len(settings.backgrounds)
    )


def versions() -> dict[str, str]:
    """Versions of what computes, for the record."""
    return {"torch": torch.__version__, "timm": timm.__version__, "accelerate": accelerate.__version__}
