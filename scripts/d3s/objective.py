"""What an encoder's training minimises: one class per objective, found by its name, in ``d3s/objectives/``."""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import d3s.objectives
from d3s.dependence.strata import standardise
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
    """What N pictures show, as N numbers each; -1 is unknown, and counts in no term that needs that label.

    Attributes:
        klass, background: positions in the encoder's lists.
        exemplar, template: any numbers that tell them apart.
    """

    klass: torch.Tensor
    background: torch.Tensor
    exemplar: torch.Tensor
    template: torch.Tensor

    def __getitem__(self, rows: torch.Tensor | np.ndarray) -> "Labels":
        return Labels(*(each[rows] for each in self._all()))

    def to(self, device: torch.device) -> "Labels":
        """The same on a device."""
        return Labels(*(each.to(device) for each in self._all()))

    @staticmethod
    def joined(parts: "Sequence[Labels]") -> "Labels":
        """Those of several lots of pictures, one after the other."""
        return Labels(*(torch.cat(each) for each in zip(*(part._all() for part in parts), strict=True)))

    def _all(self) -> tuple[torch.Tensor, ...]:
        return self.klass, self.background, self.exemplar, self.template


@dataclass(frozen=True)
class NoSettings:
    """For objectives without any."""


@dataclass(frozen=True)
class PartSettings:
    """What objectives share that lower the dependence between each part and the label that it should not know.

    Attributes:
        foreground_weight: of the dependence between foreground features and background label.
        background_weight: of the dependence between background features and class label.
        given: ``none`` is dependence as such. ``own`` is dependence given the label that the part should know, in
            strata of it: right where classes and backgrounds are correlated in the training data, since features that
            know the one then know of the other, and independence could only be had at the cost of the wanted label.
        scaling: ``none``, or ``batch``: each feature is standardised over the batch before anything looks at it, so
            that the penalty can't be lowered by making features small.
    """

    foreground_weight: float = 1.0
    background_weight: float = 1.0
    given: str = "none"
    scaling: str = "batch"

    def __post_init__(self) -> None:
        check_word("given", self.given, ("none", "own"))
        check_word("scaling", self.scaling, ("none", "batch"))


def check_word(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Check a setting that is one of a few words.

    Raises:
        D3SError: it is another.
    """
    if value not in allowed:
        raise D3SError(f"{name} of an objective is {value!r}", f"write {' or '.join(allowed)}")


@dataclass(frozen=True)
class Side:
    """One part and the label that it should not know, of the N pictures whose labels are known.

    Attributes:
        name: ``foreground`` or ``background``, the part.
        features: N x D.
        unwanted: N numbers of that label.
        strata: N numbers of the label that the part should know, or None if none is given.
        weight: of its term.
    """

    name: str
    features: torch.Tensor
    unwanted: torch.Tensor
    strata: torch.Tensor | None
    weight: float

    def __len__(self) -> int:
        return len(self.unwanted)


def sides(encoded: Encoded, labels: Labels, settings: PartSettings) -> list[Side]:
    """The two parts with their unwanted labels; pictures whose labels are not known are left out."""
    found = []
    for name, features, unwanted, own, weight in (
        ("foreground", encoded.foreground, labels.background, labels.klass, settings.foreground_weight),
        ("background", encoded.background, labels.klass, labels.background, settings.background_weight),
    ):
        known = unwanted >= 0
        if settings.given == "own":
            known = known & (own >= 0)
        if not bool(known.all()):
            features, unwanted, own = features[known], unwanted[known], own[known]
        features = features.float()
        if settings.scaling == "batch" and len(features):
            features = standardise(features)
        found.append(Side(name, features, unwanted, own if settings.given == "own" else None, weight))
    return found


def total(terms: Terms) -> Terms:
    """Terms with their sum as ``loss``; of no terms, nothing."""
    return {"loss": torch.stack(list(terms.values())).sum(), **terms} if terms else {}


def known_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean cross entropy of the rows whose label is known; zero if there is none."""
    return F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum") / max(int((labels >= 0).sum()), 1)


class Objective(nn.Module, ABC):
    """One objective: the terms of an encoder step, and of the inner steps of its own networks if it has any.

    Attributes:
        Settings: a frozen dataclass of plain numbers and words, all with defaults.
        inner_steps: steps of the objective's own networks before each encoder step, after the warm-up.
        inner_rate: their learning rate.
        together: pictures of one exemplar that batches should take together; 1 draws every picture by itself.
    """

    Settings: ClassVar[type] = NoSettings
    inner_steps: int = 0
    inner_rate: float = 0.0
    together: int = 1

    def __init__(self, shape: Shape, settings: Any, seed: int) -> None:
        super().__init__()
        self.shape, self.settings, self.seed = shape, settings, seed

    @abstractmethod
    def penalty(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        """Named terms that are added to the two cross entropies; each is already weighted."""

    def inner_step(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        """Terms for the objective's own networks; the features carry no gradient. Nothing if no label is known."""
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
            "class_entropy": known_cross_entropy(encoded.class_logits, labels.klass),
            "background_entropy": known_cross_entropy(encoded.background_logits, labels.background),
        }
        if not warm:
            terms |= self.penalty(encoded, labels, draws)
        return total(terms)


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
            values[key] = _as(type(defaults[key]), value)
        except (TypeError, ValueError):
            raise D3SError(
                f"{key} of the objective {name} is {value!r}", f"give a value like {defaults[key]!r}"
            ) from None
    return kind(**values)


def _as(kind: type, value: object) -> object:
    """A value as a type; booleans by their words, since ``bool("false")`` is true."""
    if kind is bool:
        words = {"true": True, "false": False}
        if str(value).lower() not in words:
            raise ValueError(value)
        return words[str(value).lower()]
    return kind(value)
