"""What a library of networks must give, and finding it by name: a module of ``d3s.classifier_libraries`` for each.

Editing one of them reruns the networks of that library and no others.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

import torch
from torch import nn

from d3s.errors import BadInput
from d3s.picture_input import InputTransform

State = dict[str, torch.Tensor]
"""Tensors by name."""

IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Built:
    """A network before it has its weights.

    Attributes:
        network: maps N x 3 x S x S to N x C logits; a zero-shot one does so once it has its head.
        body: the part whose state is in the file of weights.
        transform: what the library does to a picture for this network.
        fixed_size: whether inputs of another size than the transform's are impossible.
        prefixes: that names in files of weights may have beside the usual ones.
    """

    network: nn.Module
    body: nn.Module
    transform: InputTransform
    fixed_size: bool = False
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Published:
    """Where a library says that the weights of an architecture are.

    Attributes:
        url: of a file; else ``hub`` is set.
        sha256_prefix: that the file's digest begins with, where its name tells.
        hub: name of a model of the hub.
        file: in that model.
    """

    url: str = ""
    sha256_prefix: str = ""
    hub: str = ""
    file: str = ""


class Library(Protocol):
    """The functions of a module of ``d3s.classifier_libraries``."""

    COMPANIONS: tuple[str, ...]
    """Names of files that belong to weights and lie beside them; those that exist are kept with the weights."""

    def build(self, architecture: str, outputs: int, companions: Mapping[str, str]) -> Built:
        """The network of an architecture, with random weights.

        Args:
            architecture: as the library calls it, perhaps with a tag of its weights behind a dot.
            outputs: how many classes it tells apart.
            companions: the text of each companion that there is.

        Raises:
            BadInput: ``unknown_architecture``, or the network can't be built for lack of something.
        """

    def published(self, architecture: str) -> Published:
        """Where the library says that its weights are.

        Raises:
            BadInput: ``unknown_architecture``, or ``unavailable``: it names none.
        """

    def translate(self, state: State, architecture: str, built: Built, outputs: int) -> State:
        """A published state whose names are not the network's, in the network's names.

        Raises:
            BadInput: it is none that the library knows.
        """

    def version(self) -> str:
        """The library's version: other versions may give other numbers."""


def load_library(name: str) -> Library:
    """The module of a library.

    Raises:
        BadInput: ``unavailable``: what it is made of isn't installed.
    """
    try:
        return cast(Library, import_module(f"d3s.classifier_libraries.{name}"))
    except ModuleNotFoundError as error:
        raise BadInput(
            "unavailable", f"the Python package {error.name} isn't installed: install the requirements"
        ) from None


def split_tag(architecture: str) -> tuple[str, str]:
    """``resnet50.a1_in1k`` as its name and its tag; the tag may be missing."""
    name, _, tag = architecture.partition(".")
    return name, tag


def unknown(architecture: str, library: str, hint: str = "") -> BadInput:
    """The outcome for an architecture that a library lacks."""
    return BadInput("unknown_architecture", f"{library} has no network {architecture!r}{f' ({hint})' if hint else ''}")


@contextmanager
def quiet() -> Iterator[None]:
    """Without what libraries log about random weights, which are replaced at once."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
