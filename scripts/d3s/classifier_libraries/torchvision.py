"""Networks of torchvision, for those that timm lacks: any that its module ``models`` lists."""

import difflib
import re
from collections.abc import Mapping
from typing import Any

import torchvision
from torchvision import models

from d3s.classifier_library import Built, Published, State, split_tag, unknown
from d3s.errors import BadInput
from d3s.picture_input import InputTransform

COMPANIONS: tuple[str, ...] = ()
_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
_OPTIONS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": False, "transform_input": True},
    "inception_v3": {"aux_logits": False, "init_weights": False, "transform_input": True},
}
"""What their published weights want: colours normalised as ImageNet's are, changed inside; no heads for training."""
_TRAINING_ONLY = re.compile(r"^(aux1|aux2|AuxLogits)\.")
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_(?:mean|var)))$")
"""Names in DenseNet's files, from before names could hold no dots (torchvision/models/densenet.py)."""


def _weights(architecture: str) -> Any:
    """The entry of torchvision for the weights of an architecture's tag, or its best ones; nothing if it has none."""
    name, tag = split_tag(architecture)
    library = f"torchvision {torchvision.__version__}"
    if name not in models.list_models(module=models):
        near = difflib.get_close_matches(name, models.list_models(module=models), n=1)
        raise unknown(architecture, library, f"did you mean {near[0]}?" if near else "")
    listed = models.get_model_weights(name)
    if tag and tag not in listed.__members__:
        raise unknown(architecture, library, f"its tags are {', '.join(listed.__members__) or 'none'}")
    return listed[tag or "DEFAULT"] if listed.__members__ else None


def build(architecture: str, outputs: int, companions: Mapping[str, str]) -> Built:
    """As ``classifier_library.Library`` has it."""
    weights, name = _weights(architecture), split_tag(architecture)[0]
    network = models.get_model(name, weights=None, num_classes=outputs, **_OPTIONS.get(name, {}))
    transform = InputTransform(224, interpolation="bilinear", crop=0.875)
    if weights is not None:
        own = weights.transforms()
        transform = InputTransform(
            size=own.crop_size[0],
            mean=tuple(own.mean),
            std=tuple(own.std),
            interpolation=own.interpolation.value,
            crop=own.crop_size[0] / own.resize_size[0],
        )
    return Built(network, network, transform, fixed_size=name.startswith(("vit_", "maxvit")))


def published(architecture: str) -> Published:
    """As ``classifier_library.Library`` has it."""
    weights = _weights(architecture)
    if weights is None:
        raise BadInput("unavailable", f"torchvision names no weights for {architecture}")
    digest = _HASH.search(weights.url)
    return Published(url=weights.url, sha256_prefix=digest[1] if digest else "")


def translate(state: State, architecture: str, built: Built, outputs: int) -> State:
    """As ``classifier_library.Library`` has it."""
    kept = {name: tensor for name, tensor in state.items() if not _TRAINING_ONLY.match(name)}
    return {_OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in kept.items()}


def version() -> str:
    """As ``classifier_library.Library`` has it."""
    return f"torchvision {torchvision.__version__}"
