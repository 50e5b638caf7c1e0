"""Which device torch computes on."""

import torch

from d3s.errors import D3SError


def choose_device(name: str) -> torch.device:
    """The device of a setting: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` (a GPU where there is one).

    Raises:
        D3SError: a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name.startswith("cuda") and not available:
        raise D3SError(
            f"the device {name} is asked for, and torch finds none",
            "set the device to auto or cpu, or check the driver",
        )
    if name == "auto":
        name = "cuda" if available else "cpu"
    return torch.device(name)
