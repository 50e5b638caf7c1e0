"""Networks of timm: any that ``timm.list_models()`` lists, with timm's input settings and converters."""

import difflib
import re
from collections.abc import Mapping
from typing import Any

import timm
from timm.data import resolve_data_config
from timm.models import get_pretrained_cfg

from d3s.classifier_library import Built, Published, State, quiet, split_tag, unknown
from d3s.errors import BadInput
from d3s.picture_input import InputTransform

COMPANIONS: tuple[str, ...] = ()
_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
"""What the name of a published file ends with: the first digits of its digest."""


def _settings(architecture: str) -> dict[str, Any]:
    """What timm says of an architecture and of the weights of its tag."""
    name = split_tag(architecture)[0]
    library = f"timm {timm.__version__}"
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=1)
        raise unknown(architecture, library, f"did you mean {near[0]}?" if near else "")
    try:
        settings: dict[str, Any] = get_pretrained_cfg(architecture, allow_unregistered=False).to_dict()
    except RuntimeError:
        tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{name}.*")]
        raise unknown(architecture, library, f"its tags are {', '.join(tags) or 'none'}") from None
    return settings


def build(architecture: str, outputs: int, companions: Mapping[str, str]) -> Built:
    """As ``classifier_library.Library`` has it."""
    settings = _settings(architecture)
    with quiet():
        network = timm.create_model(architecture, pretrained=False, num_classes=outputs)
    data = resolve_data_config(pretrained_cfg=settings)
    transform = InputTransform(
        size=int(data["input_size"][-1]),
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        interpolation=str(data["interpolation"]),
        crop=float(data["crop_pct"]),
        squash=data["crop_mode"] == "squash",
    )
    return Built(network, network, transform, bool(settings.get("fixed_input_size")))


def published(architecture: str) -> Published:
    """As ``classifier_library.Library`` has it: a plain checkpoint whose name tells its digest, else the hub's copy."""
    settings = _settings(architecture)
    url, hub = settings.get("url") or "", settings.get("hf_hub_id") or ""
    digest = _HASH.search(url)
    if url and digest and not settings.get("custom_load"):
        return Published(url=url, sha256_prefix=digest[1])
    if hub:
        return Published(hub=hub, file=settings.get("hf_hub_filename") or "model.safetensors")
    raise BadInput("unavailable", f"timm names no weights for {architecture} that can be read without running code")


def translate(state: State, architecture: str, built: Built, outputs: int) -> State:
    """As ``classifier_library.Library`` has it, by the function that timm itself reads such a checkpoint with."""
    # With another number of classes timm would leave the head random, and say so in a log.
    overlay = {"state_dict": dict(state), "num_classes": outputs, "custom_load": False}
    try:
        with quiet():
            network = timm.create_model(
                architecture, pretrained=True, num_classes=outputs, pretrained_cfg_overlay=overlay
            )
    except (RuntimeError, KeyError, ValueError, AttributeError, IndexError, AssertionError) as error:
        raise BadInput("wrong_network", f"timm can't read it as {architecture} ({_last_line(error)})") from None
    converted: State = network.state_dict()
    return converted


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()[:300]


def version() -> str:
    """As ``classifier_library.Library`` has it."""
    return f"timm {timm.__version__}"
