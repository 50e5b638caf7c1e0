"""The disentangled encoder: pooled features in a foreground and a background part, a linear head on each (paper, 4).

The lower layers may stay frozen; then what they make of each image can be computed once and kept.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import timm
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from d3s.errors import D3SError
from d3s.features import read_about
from d3s.shards import whole_file, write_json


@dataclass(frozen=True)
class EncoderSettings:
    """What an encoder looks like; its weights fit these settings and no others.

    Attributes:
        timm_name: a model of timm.
        input_size: side in pixels that pictures are resized to.
        frozen_stages: the stem and this many of the model's ``blocks`` keep their pretrained weights and batch-norm
            statistics; 0 trains everything.
        background_fraction: share of the pooled features, the last ones, that is the background part (paper: 0.122).
        batch_norm: ``frozen`` keeps the pretrained statistics, ``batch`` uses each batch's own while training.
        classes: class ids, in the order of the class head's outputs.
        backgrounds: names, in the order of the background head's outputs.
        background_features: number of features of the background part (paper: 250); 0 leaves it to the fraction.
        erased: dimensions that are erased from the foreground and from the background part (see ``d3s.erasure``).
    """

    timm_name: str
    input_size: int
    frozen_stages: int
    background_fraction: float
    batch_norm: str
    classes: tuple[int, ...]
    backgrounds: tuple[str, ...]
    background_features: int = 0
    erased: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if self.background_features < 0:
            raise D3SError(
                f"background_features is {self.background_features}",
                "give a number of features, or 0 and a background_fraction; the paper's is 250 of 2048",
            )
        if not self.background_features and not 0.0 < self.background_fraction < 1.0:
            raise D3SError(
                f"background_fraction is {self.background_fraction}, which leaves a part without features",
                "give a share between 0 and 1, or a number of background_features; the paper's are 0.122 and 250",
            )
        if not self.classes or not self.backgrounds:
            raise D3SError("an encoder needs classes and backgrounds", "look at results/tables/counts.csv")
        if self.batch_norm not in ("frozen", "batch"):
            raise D3SError(f"batch_norm is {self.batch_norm!r}", "write frozen or batch")


class Encoded(NamedTuple):
    """What an encoder gives for N pictures."""

    foreground: torch.Tensor
    """N x n: the foreground part."""
    background: torch.Tensor
    """N x m: the background part."""
    class_logits: torch.Tensor
    """N x classes, from the foreground part alone."""
    background_logits: torch.Tensor
    """N x backgrounds, from the background part alone."""


class Eraser(nn.Module):
    """The affine map x - left (right (x - bias)), which takes a few directions out of a part.

    Args:
        features: size of the part.
        rank: how many directions.
    """

    left: torch.Tensor
    right: torch.Tensor
    bias: torch.Tensor

    def __init__(self, features: int, rank: int) -> None:
        super().__init__()
        self.register_buffer("left", torch.zeros(features, rank))
        self.register_buffer("right", torch.zeros(rank, features))
        self.register_buffer("bias", torch.zeros(features))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features - (features - self.bias) @ self.right.T @ self.left.T


class Encoder(nn.Module):
    """A timm backbone whose pooled features are split in two, with a linear head on each part.

    Raises:
        D3SError: timm has no such model, or its lower layers can't be told from the others.
    """

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = create_backbone(settings.timm_name)
        features = int(self.backbone.num_features)  # type: ignore[arg-type]
        self.background_features = _background_features(settings, features)
        self.foreground_features = features - self.background_features
        self.erasers = nn.ModuleDict()
        for part, size, rank in zip(
            ("foreground", "background"),
            (self.foreground_features, self.background_features),
            settings.erased,
            strict=True,
        ):
            if rank:
                self.erasers[part] = Eraser(size, rank)
        self.class_head = nn.Linear(self.foreground_features, len(settings.classes))
        self.background_head = nn.Linear(self.background_features, len(settings.backgrounds))
        self.lower, self.upper = _split(self.backbone, settings)
        for module in self.lower:
            module.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> "Encoder":
        """As usual, but frozen layers and frozen batch-norm statistics stay as they are."""
        super().train(mode)
        for module in self.lower:
            module.eval()
        if self.settings.batch_norm == "frozen":
            for module in self.backbone.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def activations(self, images: torch.Tensor) -> torch.Tensor:
        """What the frozen layers make of N x 3 x side x side pictures; with no frozen layers, the pictures."""
        with torch.no_grad():
            for module in self.lower:
                images = module(images)
        return images

    def pooled(self, activations: torch.Tensor) -> torch.Tensor:
        """N x (n + m) pooled features from what ``activations`` gave; if the encoder erases, erased ones."""
        for module in self.upper:
            activations = module(activations)
        return self.erase(activations)

    def erase(self, features: torch.Tensor) -> torch.Tensor:
        """Pass N x (n + m) features through the erasers of the two parts, if there are any."""
        if not len(self.erasers):
            return features
        names = ("foreground", "background")
        parts = zip(names, features.split([self.foreground_features, self.background_features], dim=1), strict=True)
        return torch.cat([self.erasers[name](part) if name in self.erasers else part for name, part in parts], dim=1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """N x (n + m) pooled features of pictures."""
        return self.pooled(self.activations(images))

    def forward(self, activations: torch.Tensor) -> Encoded:
        return self.encode_pooled(self.pooled(activations))

    def encode_pooled(self, pooled: torch.Tensor) -> Encoded:
        """The parts of N x (n + m) pooled features, and what the heads make of them; affine from here on."""
        foreground, background = pooled.split([self.foreground_features, self.background_features], dim=1)
        return Encoded(foreground, background, self.class_head(foreground), self.background_head(background))

    @torch.no_grad()
    def encode(self, pictures: Sequence[Image.Image]) -> Encoded:
        """What an encoder in evaluation mode gives for N pictures of any size, resized and normalised as it needs."""
        pixels = to_input(pictures, self.backbone, self.settings.input_size)
        return self(self.activations(pixels.to(self.class_head.weight.device)))

    def load_pretrained(self, weights: str | Path) -> None:
        """Take the backbone's weights from a timm state dict; its classifier is left out.

        Raises:
            D3SError: the file is no safetensors file or belongs to another model.
        """
        load_backbone(self.backbone, weights, self.settings.timm_name)

    def trainable(self) -> dict[str, nn.Parameter]:
        """Parameters that training changes, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}


def _background_features(settings: EncoderSettings, features: int) -> int:
    """How many of all features are the background part.

    Raises:
        D3SError: none or all are.
    """
    number = settings.background_features or round(features * settings.background_fraction)
    if 0 < number < features:
        return number
    told = (
        f"background_features is {settings.background_features}"
        if settings.background_features
        else f"background_fraction is {settings.background_fraction}"
    )
    raise D3SError(
        f"{told}, and {settings.timm_name} has {features} features: one of the two parts has none",
        f"leave each part some: 1 to {features - 1} features for the background",
    )


def create_backbone(timm_name: str) -> nn.Module:
    """A timm model that ends at its pooled features, with random weights.

    Raises:
        D3SError: timm has no such model.
    """
    if timm_name not in timm.list_models():
        raise D3SError(f"timm has no model {timm_name!r}", "take a name that timm.list_models() lists")
    return timm.create_model(timm_name, pretrained=False, num_classes=0)


def _split(backbone: nn.Module, settings: EncoderSettings) -> tuple[list[nn.Module], list[nn.Module]]:
    """The modules below and above the cut, in the order in which they are applied."""
    if settings.frozen_stages == 0:
        return [], [backbone]
    parts = ("conv_stem", "bn1", "blocks", "conv_head", "bn2", "global_pool")
    if any(not hasattr(backbone, part) for part in parts):
        raise D3SError(
            f"frozen_stages is {settings.frozen_stages}, which needs a model with conv_stem and blocks, as timm's "
            f"EfficientNets have; {settings.timm_name} has none",
            "set frozen_stages to 0 to train the whole model, or take another backbone",
        )
    blocks = list(backbone.get_submodule("blocks").children())
    if settings.frozen_stages > len(blocks):
        raise D3SError(
            f"frozen_stages is {settings.frozen_stages}, and {settings.timm_name} has {len(blocks)} blocks",
            f"give a number from 0 to {len(blocks)}",
        )
    named = {part: backbone.get_submodule(part) for part in parts}
    lower = [named["conv_stem"], named["bn1"], *blocks[: settings.frozen_stages]]
    upper = [*blocks[settings.frozen_stages :], named["conv_head"], named["bn2"], named["global_pool"]]
    return lower, upper


def read_safetensors(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file.

    Raises:
        D3SError: it is missing or something else, such as a pickle, which could run code and is never opened.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise D3SError(f"{path} does not exist", "make it first, or correct its path") from None
    except (SafetensorError, OSError) as error:
        raise D3SError(
            f"{path} is no safetensors file ({error})",
            "give weights as safetensors; a pickled checkpoint (.pt, .pth, .bin) can run code when it is opened, so "
            "convert it where you trust it: safetensors.torch.save_file(torch.load(FILE, weights_only=True), NEW)",
        ) from None


def load_backbone(backbone: nn.Module, weights: str | Path, timm_name: str) -> None:
    """Load a timm state dict into a backbone made by ``create_backbone``.

    Raises:
        D3SError: the file is no safetensors file or belongs to another model.
    """
    state = read_safetensors(weights)
    wanted = backbone.state_dict()
    # A counter of batches that some conversions leave out, and that means nothing to a model in use.
    counters = {key: value for key, value in wanted.items() if key.endswith("num_batches_tracked")}
    fitting = counters | {key: value for key, value in state.items() if key in wanted}
    missing = sorted(set(wanted) - set(fitting))
    wrong = sorted(key for key, value in fitting.items() if value.shape != wanted[key].shape)
    if missing or wrong:
        raise D3SError(
            f"{weights} does not hold the weights of {timm_name} (first difference: {(missing + wrong)[0]})",
            "give the weights of that model, or name the model that they belong to",
        )
    backbone.load_state_dict(fitting)


def save_tensors(path: str | Path, tensors: dict[str, torch.Tensor], about: object = None) -> None:
    """Write a safetensors file whole, with one JSON value as its metadata (several keys would have no fixed order)."""
    metadata = {"d3s": json.dumps(about, sort_keys=True)}
    data = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, metadata)
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def tensors_about(path: str | Path) -> dict:
    """The JSON value that ``save_tensors`` kept with the tensors."""
    with safe_open(path, "pt") as file:
        return json.loads((file.metadata() or {}).get("d3s", "{}"))


def save_encoder(folder: str | Path, encoder: Encoder, about: dict) -> None:
    """Write ``encoder.safetensors`` and ``encoder.json``, which holds ``about`` and all that ``load_encoder`` needs."""
    folder = Path(folder)
    save_tensors(folder / "encoder.safetensors", encoder.state_dict())
    own = {
        "encoder": asdict(encoder.settings),
        "foreground_features": encoder.foreground_features,
        "background_features": encoder.background_features,
    }
    write_json(folder / "encoder.json", about | own)


def load_encoder(folder: str | Path) -> Encoder:
    """Read an encoder back from the folder that ``save_encoder`` wrote, ready for use (evaluation mode).

    Raises:
        D3SError: a file is missing, is no safetensors file, or the two don't belong together.
    """
    folder = Path(folder)
    settings = read_about(folder)["encoder"]
    listed = {key: tuple(settings[key]) for key in ("classes", "backgrounds", "erased") if key in settings}
    encoder = Encoder(EncoderSettings(**settings | listed))
    try:
        encoder.load_state_dict(read_safetensors(folder / "encoder.safetensors"))
    except RuntimeError as error:
        raise D3SError(
            f"{folder}: encoder.safetensors does not fit encoder.json ({str(error).splitlines()[0]})",
            "train the encoder again",
        ) from None
    return encoder.eval()


def to_input(images: Sequence[Image.Image], backbone: nn.Module, input_size: int) -> torch.Tensor:
    """N x 3 x side x side, resized and normalised as the backbone was pretrained."""
    expected = timm.data.resolve_model_data_config(backbone)
    mean, std = (np.asarray(expected[key], dtype=np.float32) for key in ("mean", "std"))
    samples = []
    for image in images:
        resized = image.convert("RGB")
        if resized.size != (input_size, input_size):
            resized = resized.resize((input_size, input_size), Image.Resampling.BICUBIC)
        samples.append((np.asarray(resized, dtype=np.float32) / 255.0 - mean) / std)
    return torch.from_numpy(np.stack(samples).transpose(0, 3, 1, 2).copy())
