"""Networks that were published for Keras: SqueezeNet 1.1 and MobileNet v1, whose weights have Keras' names and layout.

Sources: Iandola et al., "SqueezeNet", 2016; Howard et al., "MobileNets", 2017, table 1.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping

import torch
import torchvision
from torch import nn

from d3s.classifier_library import Built, Published, State, unknown
from d3s.errors import BadInput
from d3s.picture_input import InputTransform

COMPANIONS: tuple[str, ...] = ()

CAFFE_MEAN = (122.679 / 255, 116.669 / 255, 104.006 / 255)
"""What Caffe's networks subtract from red, green and blue; they keep colours in 255 steps, and blue first."""
_TRANSFORMS = {
    "squeezenet_v1.1": InputTransform(227, CAFFE_MEAN, (1 / 255, 1 / 255, 1 / 255), "bilinear", squash=True),
    "mobilenet_v1_0.25_224": InputTransform(224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bilinear", squash=True),
}
_VARIABLES = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""torch's names of what Keras' layers hold."""
_FIRE = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}
"""The place of each fire module among torchvision's layers."""


def build(architecture: str, outputs: int, companions: Mapping[str, str]) -> Built:
    """As ``classifier_library.Library`` has it."""
    if architecture not in _TRANSFORMS:
        raise unknown(architecture, "the module keras", f"its networks are {', '.join(_TRANSFORMS)}")
    if architecture.startswith("squeezenet"):
        network: nn.Module = torchvision.models.squeezenet1_1(weights=None, num_classes=outputs)
    else:
        network = mobilenet(0.25, outputs)
    return Built(network, network, _TRANSFORMS[architecture])


class _Pad(nn.Module):
    """Zeros below and to the right, as TensorFlow pads an even side for a step of 2 (``same``)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(x, (0, 1, 0, 1))


def mobilenet(width: float, outputs: int) -> nn.Module:
    """MobileNet v1, with its layers named as in Keras.

    Args:
        width: factor of the numbers of channels.
        outputs: classes.

    Returns:
        A network of N x 3 x 224 x 224 inputs and N x ``outputs`` logits.
    """
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    now = int(32 * width)

    def add(name: str, inputs: int, channels: int, side: int, step: int, groups: int = 1) -> None:
        if step == 2:
            layers[f"{name}_pad"] = _Pad()
        padding = 0 if step == 2 or side == 1 else 1
        layers[name] = nn.Conv2d(inputs, channels, side, step, padding, groups=groups, bias=False)
        layers[f"{name}_bn"] = nn.BatchNorm2d(channels, eps=1e-3)
        layers[f"{name}_relu"] = nn.ReLU6()

    add("conv1", 3, now, 3, 2)
    for number, (channels, step) in enumerate(plan, start=1):
        add(f"conv_dw_{number}", now, now, 3, step, groups=now)
        add(f"conv_pw_{number}", now, int(channels * width), 1, 1)
        now = int(channels * width)
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["conv_preds"] = nn.Conv2d(now, outputs, 1)
    layers["flat"] = nn.Flatten()
    return nn.Sequential(layers)


def published(architecture: str) -> Published:
    """As ``classifier_library.Library`` has it; Keras' own places hold what was trained anew since."""
    raise BadInput("unavailable", f"no place is known that has the weights of {architecture}: name a file of them")


def translate(state: State, architecture: str, built: Built, outputs: int) -> State:
    """As ``classifier_library.Library`` has it."""
    caffe = architecture.startswith("squeezenet")
    found = {}
    for name, tensor in state.items():
        layer, _, variable = name.rpartition("/")
        if variable not in _VARIABLES:
            raise BadInput("wrong_network", f"{name} is no variable of Keras' that {architecture} has")
        if variable == "kernel" and tensor.ndim == 4:
            tensor = tensor.permute(3, 2, 0, 1)
        elif variable == "depthwise_kernel":
            tensor = tensor.permute(2, 3, 0, 1)
        if caffe and layer == "conv1" and variable == "kernel":
            tensor = tensor.flip(1)  # blue first
        place = _squeezenet_layer(layer) if caffe else layer
        found[f"{place}.{_VARIABLES[variable]}"] = tensor.contiguous()
    for name, tensor in built.body.state_dict().items():
        if name.endswith("num_batches_tracked"):
            found[name] = tensor
    return found


def _squeezenet_layer(name: str) -> str:
    match = re.fullmatch(r"fire(\d)/(squeeze|expand)(1x1|3x3)", name)
    if match and int(match[1]) in _FIRE:
        part = "squeeze" if match[2] == "squeeze" else f"expand{match[3]}"
        return f"features.{_FIRE[int(match[1])]}.{part}"
    return {"conv1": "features.0", "conv10": "classifier.1"}.get(name, name)


def version() -> str:
    """As ``classifier_library.Library`` has it."""
    return f"keras' networks by torchvision {torchvision.__version__}"
