"""What an encoder's training draws its batches from: samples with their labels, and a source of their inputs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
import torch

from d3s.encoder import Encoder
from d3s.errors import D3SError
from d3s.objective import Labels


class Source(Protocol):
    """Gives pictures, or activations of the encoder's frozen layers, for samples."""

    pictures: bool

    def batch(self, samples: Sequence[str]) -> torch.Tensor:
        """N inputs, in a tensor of its own: they are mirrored in place."""
        ...


class BadSample(Exception):
    """The input of a sample holds something that is not a number."""


@dataclass(frozen=True)
class Stream:
    """Samples of one source with their labels.

    Attributes:
        source: of their inputs.
        samples: N names.
        labels: of all N.
    """

    source: Source
    samples: list[str]
    labels: Labels
    _members: dict[int, np.ndarray] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        members = defaultdict(list)
        for place, exemplar in enumerate(self.labels.exemplar.tolist()):
            if exemplar >= 0:
                members[exemplar].append(place)
        object.__setattr__(self, "_members", {exemplar: np.array(places) for exemplar, places in members.items()})

    def __len__(self) -> int:
        return len(self.samples)

    def pick(self, size: int, together: int, rng: np.random.Generator) -> np.ndarray:
        """Places of a batch, each at most once.

        Args:
            size: of the batch, at most that of the stream.
            together: up to so many pictures of one exemplar are taken for each that is drawn; every picture is as
                likely to be drawn first as any other.
            rng: source of the draws.
        """
        if together <= 1:
            return rng.choice(len(self), size=size, replace=False)
        picked: dict[int, None] = {}
        exemplars = self.labels.exemplar
        for first in rng.permutation(len(self)).tolist():
            if first in picked:
                continue
            others = self._members.get(int(exemplars[first]), np.array([], dtype=int))
            others = rng.permutation([place for place in others.tolist() if place != first and place not in picked])
            for place in [first, *others[: together - 1].tolist()][: size - len(picked)]:
                picked[int(place)] = None
            if len(picked) == size:
                break
        return np.array(list(picked))

    def inputs(self, places: Sequence[int] | np.ndarray) -> torch.Tensor:
        """Inputs of some samples, in a tensor of its own.

        Raises:
            BadSample: one of them holds something that is not a number.
        """
        names = [self.samples[place] for place in places]
        made = self.source.batch(names)
        if not bool(torch.isfinite(made.sum())):  # one pass over the numbers; which row it is matters only then
            for name, row in zip(names, made, strict=True):
                if not bool(torch.isfinite(row).all()):
                    raise BadSample(name)
        return made


def as_stream(rows: pd.DataFrame, source: Source, encoder: Encoder) -> Stream:
    """Rows with their labels as the encoder's heads number them.

    Args:
        rows: with sample and class_id; without a column background, exemplar or template, that is unknown.
        source: of their inputs.
        encoder: whose labels count.

    Raises:
        D3SError: the encoder does not know a label.
    """
    numbers = {}
    for column, known in (("class_id", encoder.settings.classes), ("background", encoder.settings.backgrounds)):
        places = {label: number for number, label in enumerate(known)}
        labels = rows[column].tolist() if column in rows else []
        unknown = [label for label in labels if label not in places]
        if unknown:
            raise D3SError(
                f"the training rows have {column} {unknown[0]!r}, and the encoder tells apart {list(known)}",
                "make the encoder for all labels of its training rows",
            )
        numbers[column] = torch.tensor([places[label] for label in labels] or [-1] * len(rows), dtype=torch.long)
    for column in ("exemplar", "template"):
        codes = pd.factorize(rows[column])[0] if column in rows else np.full(len(rows), -1)
        numbers[column] = torch.from_numpy(codes.astype(np.int64))
    labels = Labels(numbers["class_id"], numbers["background"], numbers["exemplar"], numbers["template"])
    return Stream(source, rows["sample"].tolist(), labels)
