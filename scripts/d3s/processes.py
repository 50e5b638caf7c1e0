"""Several processes as one: each encodes a slice of the batch, and all see the features of the whole of it.

Penalties such as HSIC look at pairs of pictures, so a mean of the processes' own penalties would be another penalty.
"""

from typing import Any

import torch
import torch.distributed as dist


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: torch.Tensor) -> torch.Tensor:
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        # Every process computes the same loss of the same whole batch. The sum is as many times the gradient as there
        # are processes, and the mean over processes that follows (DistributedDataParallel) takes that back.
        whole = gradients[0].contiguous()
        dist.all_reduce(whole)
        return whole.chunk(dist.get_world_size())[dist.get_rank()]


def gather(own: torch.Tensor) -> torch.Tensor:
    """The rows of all processes, in the order of their ranks; gradients flow back to each.

    Args:
        own: as many rows as every other process has.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return own
    return _Gather.apply(own)


def slice_of(number: int, rank: int, processes: int) -> slice:
    """The rows of a batch that a process encodes; ``number`` is a multiple of the processes."""
    each = number // processes
    return slice(rank * each, (rank + 1) * each)
