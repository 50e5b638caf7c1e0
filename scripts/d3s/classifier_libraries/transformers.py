"""Networks of transformers by the name of their class, such as ``FlavaModel`` or ``BeitForImageClassification``.

A class of two towers (``get_image_features`` and ``get_text_features``) is used zero-shot; one that ends in
``ForImageClassification`` by its own head. Beside the weights lie the model's own files, as ``save_pretrained`` writes
them: ``config.json``, for texts a tokenizer, and for the input ``preprocessor_config.json``.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer
from torch import nn

from d3s.classifier_library import Built, Published, State, quiet, unknown
from d3s.errors import BadInput
from d3s.picture_input import InputTransform
from d3s.zero_shot import ZeroShotNetwork

COMPANIONS: tuple[str, ...] = ("config.json", "preprocessor_config.json", "tokenizer.json", "vocab.txt")
LONGEST_TEXT = 77
"""Tokens; all texts are filled up to so many, so that a text's features don't depend on its neighbours."""


class TwoTowers(ZeroShotNetwork):
    """A model of transformers with an image and a text tower, and its tokenizer."""

    def __init__(self, model: Any, tokenizer: Tokenizer, limit: int) -> None:
        super().__init__()
        self.model, self._tokenizer, self._limit = model, tokenizer, limit

    def image_features(self, inputs: torch.Tensor) -> torch.Tensor:
        """As the base class has it."""
        return _pooled(self.model.get_image_features(pixel_values=inputs))

    def text_features(self, texts: Sequence[str]) -> torch.Tensor:
        """As the base class has it."""
        padding = self._tokenizer.padding or {}
        pad = padding.get("pad_id", getattr(self.model.config.text_config, "pad_token_id", None) or 0)
        self._tokenizer.enable_truncation(self._limit)
        self._tokenizer.enable_padding(length=self._limit, pad_id=pad, pad_token=padding.get("pad_token", "[PAD]"))
        encoded = self._tokenizer.encode_batch(list(texts))
        device = next(self.parameters()).device
        ids = torch.tensor([each.ids for each in encoded], device=device)
        mask = torch.tensor([each.attention_mask for each in encoded], device=device)
        return _pooled(self.model.get_text_features(input_ids=ids, attention_mask=mask))

    def scale(self) -> torch.Tensor:
        """As the base class has it."""
        scale: torch.Tensor = self.model.logit_scale.exp()
        return scale

    def bias(self) -> torch.Tensor | float:
        """As the base class has it."""
        return getattr(self.model, "logit_bias", 0.0)


class OwnHead(nn.Module):
    """A model of transformers that gives logits."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """N x C logits."""
        logits: torch.Tensor = self.model(pixel_values=inputs).logits
        return logits


def _pooled(outputs: Any) -> torch.Tensor:
    """N x D of what a tower gives; of a feature for each token (FLAVA) the first, which stands for the whole."""
    features: torch.Tensor = outputs if isinstance(outputs, torch.Tensor) else outputs.pooler_output
    return features[:, 0] if features.ndim == 3 else features


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)


def build(architecture: str, outputs: int, companions: Mapping[str, str]) -> Built:
    """As ``classifier_library.Library`` has it."""
    kind: Any = getattr(transformers, architecture, None)
    library = f"transformers {transformers.__version__}"
    if not _is_model(kind):
        near = difflib.get_close_matches(architecture, [name for name in dir(transformers) if "Model" in name], n=1)
        raise unknown(architecture, library, f"did you mean {near[0]}?" if near else "it is the name of a class")
    two_towers = hasattr(kind, "get_image_features") and hasattr(kind, "get_text_features")
    if not two_towers and not architecture.endswith("ForImageClassification"):
        raise unknown(architecture, library, "that gives logits or compares pictures with texts")
    try:
        config = kind.config_class.from_dict(json.loads(companions.get("config.json") or "{}"))
        preprocessing = json.loads(companions.get("preprocessor_config.json") or "{}")
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput("not_readable", f"the files beside the weights are not of {architecture} ({error})") from None
    if "config.json" not in companions and not two_towers:
        config.num_labels = outputs
    if not two_towers and config.num_labels != outputs:
        raise BadInput("wrong_classes", f"config.json tells {config.num_labels} classes apart, not {outputs}")
    with quiet():
        model = kind(config)
    transform = _transform(config, preprocessing)
    prefixes = (f"{kind.base_model_prefix}.",) if kind.base_model_prefix else ()
    if two_towers:
        limit = min(LONGEST_TEXT, int(getattr(config.text_config, "max_position_embeddings", LONGEST_TEXT)))
        return Built(TwoTowers(model, _tokenizer(companions, architecture), limit), model, transform, True, prefixes)
    return Built(OwnHead(model), model, transform, True, prefixes)


def _tokenizer(companions: Mapping[str, str], architecture: str) -> Tokenizer:
    if "tokenizer.json" in companions:
        return Tokenizer.from_str(companions["tokenizer.json"])
    if "vocab.txt" in companions:
        words = companions["vocab.txt"].splitlines()
        return BertWordPieceTokenizer({word: number for number, word in enumerate(words)}, lowercase=True)._tokenizer
    raise BadInput("unavailable", f"{architecture} reads texts, and no tokenizer.json or vocab.txt lies by its weights")


def _transform(config: Any, given: Mapping[str, Any]) -> InputTransform:
    """The input as the model's own file describes it; without one, the whole picture, colours as ImageNet's."""
    side = getattr(getattr(config, "vision_config", None) or getattr(config, "image_config", config), "image_size", 224)
    cut = _side(given.get("crop_size")) if given.get("do_center_crop") else None
    resized = given.get("size")
    size = cut or _side(resized) or int(side)
    usual = InputTransform(size)
    mean, std = (tuple(given.get(f"image_{name}") or getattr(usual, name)) for name in ("mean", "std"))
    filters = {int(each): each.name.lower() for each in Image.Resampling}
    shortest = isinstance(resized, int) or (isinstance(resized, dict) and "shortest_edge" in resized)
    return InputTransform(
        size=size,
        mean=mean,
        std=std,
        interpolation=filters.get(given.get("resample", int(Image.Resampling.BICUBIC)), "bicubic"),
        crop=size / (_side(resized) or size) if cut else 1.0,
        squash=bool(given) and not shortest and cut in (None, _side(resized)),
    )


def _side(size: Any) -> int | None:
    if isinstance(size, dict):
        return size.get("shortest_edge") or size.get("height")
    return size


def published(architecture: str) -> Published:
    """As ``classifier_library.Library`` has it."""
    raise BadInput("unavailable", "transformers names no weights for a class; give hub: and revision:, or file:")


def translate(state: State, architecture: str, built: Built, outputs: int) -> State:
    """As ``classifier_library.Library`` has it."""
    raise BadInput("wrong_network", f"its tensors are not those of {architecture}")


def version() -> str:
    """As ``classifier_library.Library`` has it."""
    return f"transformers {transformers.__version__}"
