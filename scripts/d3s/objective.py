"""What an encoder's training minimises: one class per objective, found by its name, in ``d3s/objectives/``."""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

import d3s.objectives
from d3s.encoder import Encoded
from d3s.errors import D3SError

Terms = dict[str, torch.Tensor]
"""Named scalars of one step; ``loss`` is the one that is minimised."""


@dataclass(frozen=True)
class Shape:
    """Numbers that an objective is built for: features of each part, classes and backgrounds."""

    foreground: int
    background: int
    classes: int
    backgrounds: int


@dataclass(frozen=True)
class Labels:
    """Of N pictures: N class numbers and N background numbers (positions in the encoder's lists)."""

    klass: torch.Tensor
    background: torch.Tensor


@dataclass(frozen=True)
class NoSettings:
    """For objectives without any."""


class Objective(nn.Module, ABC):
    """One objective: the terms of an encoder step, and of the inner steps of its own networks if it has any.

    Attributes:
        Settings: a frozen dataclass of plain numbers and words, all with defaults.
        inner_steps: steps of the objective's own networks before each encoder step, after the warm-up.
        inner_rate: their learning rate.
    """

    Settings: ClassVar[type] = NoSettings
    inner_steps: int = 0
    inner_rate: float = 0.0

    def __init__(self, shape: Shape, settings: Any, seed: int) -> None:
        super().__init__()
        self.shape, self.settings, self.seed = shape, settings, seed

    @abstractmethod
    def penalty(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        """Named terms that are added to the two cross entropies; each is already weighted."""

    def inner_step(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        """Terms for the objective's own networks; the features carry no gradient."""
        raise ValueError(f"{type(self).__name__} has no networks of its own")

    def step(self, encoded: Encoded, labels: Labels, draws: torch.Generator, warm: bool) -> Terms:
        """The terms of one encoder step.

        Args:
            encoded: what the encoder gives for N pictures.
            labels: of the same pictures.
            draws: on the processor, the source of all that is random here.
            warm: still in the warm-up, which is plain cross entropy.
        """
        terms = {
            "class_entropy": F.cross_entropy(encoded.class_logits, labels.klass),
            "background_entropy": F.cross_entropy(encoded.background_logits, labels.background),
        }
        if not warm:
            terms |= self.penalty(encoded, labels, draws)
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}


def build_objective(name: str, shape: Shape, chosen: Mapping[str, object], seed: int) -> Objective:
    """Make an objective by its name.

    Args:
        name: a module of ``d3s.objectives``, whose ``OBJECTIVE`` it is.
        shape: of the encoder.
        chosen: settings that differ from the defaults; text is read as the default's type.
        seed: root of its random weights and label vectors.

    Raises:
        D3SError: there is no such objective or setting, or a value is of another type.
    """
    known = sorted(module.name for module in pkgutil.iter_modules(d3s.objectives.__path__))
    if name not in known:
        raise D3SError(
            f"there is no objective {name!r}", f"take one of {', '.join(known)}, or add d3s/objectives/{name}.py"
        )
    kind: type[Objective] = importlib.import_module(f"d3s.objectives.{name}").OBJECTIVE
    return kind(shape, _read_settings(name, kind.Settings, chosen), seed)


def _read_settings(name: str, kind: type, chosen: Mapping[str, object]) -> Any:
    defaults = asdict(kind())
    values = {}
    for key, value in chosen.items():
        if key not in defaults:
            listed = ", ".join(field.name for field in fields(kind)) or "none"
            raise D3SError(f"the objective {name} has no setting {key!r}", f"its settings are: {listed}")
        try:
            values[key] = type(defaults[key])(value)
        except (TypeError, ValueError):
            raise D3SError(
                f"{key} of the objective {name} is {value!r}", f"give a value like {defaults[key]!r}"
            ) from None
    return kind(**values)
