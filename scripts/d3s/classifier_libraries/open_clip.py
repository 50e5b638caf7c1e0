"""CLIP-like networks of open_clip, zero-shot: any whose text tower open_clip builds without fetching anything."""

import difflib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict

from d3s.classifier_library import Built, Published, State, quiet, split_tag, unknown
from d3s.errors import BadInput
from d3s.picture_input import InputTransform
from d3s.zero_shot import ZeroShotNetwork

COMPANIONS: tuple[str, ...] = ()
_SAFE = "open_clip_model.safetensors"
"""The hub's copy of an open_clip model that is no pickle."""


class OpenClip(ZeroShotNetwork):
    """A model of open_clip with its own tokenizer."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__()
        self.model, self._tokenizer = model, tokenizer

    def image_features(self, inputs: torch.Tensor) -> torch.Tensor:
        """As the base class has it."""
        features: torch.Tensor = self.model.encode_image(inputs)
        return features

    def text_features(self, texts: Sequence[str]) -> torch.Tensor:
        """As the base class has it."""
        tokens = self._tokenizer(list(texts)).to(next(self.parameters()).device)
        features: torch.Tensor = self.model.encode_text(tokens)
        return features

    def scale(self) -> torch.Tensor:
        """As the base class has it."""
        scale: torch.Tensor = self.model.logit_scale.exp()
        return scale

    def bias(self) -> torch.Tensor | float:
        """As the base class has it."""
        bias = self.model.logit_bias
        return 0.0 if bias is None else bias.float()


def _check(architecture: str) -> dict[str, Any]:
    """What open_clip says of the weights of an architecture's tag; nothing for one without a tag."""
    name, tag = split_tag(architecture)
    library = f"open_clip {open_clip.__version__}"
    if name not in open_clip.list_models():
        near = difflib.get_close_matches(name, open_clip.list_models(), n=1)
        raise unknown(architecture, library, f"did you mean {near[0]}?" if near else "")
    known = open_clip.list_pretrained_tags_by_model(name)
    if tag and tag not in known:
        raise unknown(architecture, library, f"its tags are {', '.join(known) or 'none'}")
    return dict(open_clip.get_pretrained_cfg(name, tag)) if tag else {}


def build(architecture: str, outputs: int, companions: Mapping[str, str]) -> Built:
    """As ``classifier_library.Library`` has it."""
    weights, name = _check(architecture), split_tag(architecture)[0]
    try:
        with quiet():
            model = open_clip.create_model(
                name,
                load_weights=False,
                pretrained_text=False,
                force_quick_gelu=bool(weights.get("quick_gelu")),  # those of OpenAI were trained with it
                force_preprocess_cfg={key: weights[key] for key in _PREPROCESSING if key in weights},
            )
            tokenizer = open_clip.get_tokenizer(name)
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        raise BadInput("unavailable", f"open_clip can't build {name} offline ({str(error)[:300]})") from None
    settings = model.visual.preprocess_cfg
    size = settings["size"]
    transform = InputTransform(
        size=int(size if isinstance(size, int) else size[-1]),
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        interpolation=str(settings["interpolation"]),
        squash=settings["resize_mode"] == "squash",
    )
    return Built(OpenClip(model, tokenizer), model, transform, fixed_size=True)


_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")


def published(architecture: str) -> Published:
    """As ``classifier_library.Library`` has it: the hub's safetensors; the other files are pickles or programs."""
    hub = _check(architecture).get("hf_hub", "")
    name, file = os.path.split(hub)
    if not name:
        raise BadInput("unavailable", f"open_clip names no weights for {architecture} on the hub")
    return Published(hub=name, file=f"{file.rpartition('.')[0]}.safetensors" if file else _SAFE)


def translate(state: State, architecture: str, built: Built, outputs: int) -> State:
    """As ``classifier_library.Library`` has it, by open_clip's own converters."""
    model: Any = built.body
    converted: State = convert_state_dict(model, dict(state))
    if "positional_embedding" in converted and not hasattr(model, "positional_embedding"):
        converted = convert_to_custom_text_state_dict(converted)
    for name in ("logit_scale", "logit_bias"):  # a number in some files, a list of one number in others
        place = getattr(model, name, None)
        if name in converted and place is not None:
            converted[name] = converted[name].reshape(place.shape)
    return converted


def version() -> str:
    """As ``classifier_library.Library`` has it."""
    return f"open_clip {open_clip.__version__}"
