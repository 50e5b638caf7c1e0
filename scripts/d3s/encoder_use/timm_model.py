"""An encoder as a folder that ``timm.create_model("local-dir:FOLDER", pretrained=True)`` opens, and hubs show.

The class head on the foreground part becomes a head on all pooled features, with zeros where it does not look.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save

from d3s.encoder import Encoder
from d3s.encoder_use.portable import Head, class_head
from d3s.errors import D3SError
from d3s.shards import whole_file, write_json


def write_timm(folder: str | Path, encoder: Encoder, labels: Sequence[str]) -> None:
    """Write ``model.safetensors`` and ``config.json``.

    Args:
        folder: to write into.
        encoder: any.
        labels: names of its classes, in the order of the class head.

    Raises:
        D3SError: the timm model has no linear classifier that could take the class head.
    """
    folder = Path(folder)
    model = timm.create_model(encoder.settings.timm_name, pretrained=False, num_classes=len(labels))
    take_head(model, class_head(encoder), encoder.settings.timm_name)
    model.load_state_dict(model.state_dict() | encoder.backbone.state_dict())
    own: dict[str, Any] = model.pretrained_cfg
    side = encoder.settings.input_size
    kept = ("mean", "std", "interpolation", "crop_mode", "pool_size", "first_conv", "classifier")
    config = {
        "architecture": encoder.settings.timm_name,
        "num_classes": len(labels),
        "num_features": model.num_features,
        "label_names": list(labels),
        "pretrained_cfg": {name: own[name] for name in kept if name in own}
        | {"input_size": [3, side, side], "crop_pct": 1.0, "crop_mode": "squash", "num_classes": len(labels)},
    }
    with whole_file(folder / "model.safetensors") as temporary:
        temporary.write_bytes(save({name: value.contiguous() for name, value in model.state_dict().items()}))
    write_json(folder / "config.json", config)


def take_head(model: torch.nn.Module, head: Head, timm_name: str) -> None:
    """Put a head into a timm model as its classifier.

    Raises:
        D3SError: the model's classifier is not one linear layer on its pooled features.
    """
    classifier = model.get_classifier()  # type: ignore[operator]
    if not isinstance(classifier, torch.nn.Linear) or classifier.weight.shape != head.weight.shape:
        raise D3SError(
            f"{timm_name} has no linear classifier on its pooled features",
            "use the encoder itself or its ONNX file; a timm model can't hold its class head",
        )
    with torch.no_grad():
        classifier.weight.copy_(head.weight)
        classifier.bias.copy_(head.bias)
