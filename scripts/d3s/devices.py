"""Which device torch computes on, and what to do when its memory runs out."""

import gc
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from d3s.errors import D3SError
from d3s.gpus import own_gpu

P = ParamSpec("P")
T = TypeVar("T")


class OutOfMemory(Exception):
    """The device's memory ran out in a call; what the call had taken is free again."""


def choose_device(name: str) -> torch.device:
    """The device of a setting: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` (a GPU where there is one).

    For ``cuda`` and ``auto`` it is a GPU that no other job has (see ``d3s.gpus``); one that is named by its number is
    the user's own choice, and nobody waits for it.

    Raises:
        D3SError: a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name.startswith("cuda") and not available:
        raise D3SError(
            f"the device {name} is asked for, and torch finds none",
            "set the device to auto or cpu, or check the driver",
        )
    if name == "cpu" or not available:
        return torch.device("cpu")
    device = torch.device(name) if ":" in name else torch.device("cuda", own_gpu())
    torch.cuda.set_device(device)  # so that "cuda" means this one in libraries too
    return device


def within_memory(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function.

    Raises:
        OutOfMemory: memory ran out; a smaller call may find room.
    """
    try:
        return call(*args, **kwargs)
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
        told = str(error)
    # Only here are the error, and all the tensors that its traceback holds on to, gone.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise OutOfMemory(told)


def _out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Whether that is what an error says; only some of torch's have a class of their own."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "out of memory" in text or "alloc_failed" in text
