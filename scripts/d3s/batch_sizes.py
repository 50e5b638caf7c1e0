"""Batch sizes that were found by trial on a machine, and what is written down of them for later jobs."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from d3s.devices import OutOfMemory, within_memory
from d3s.errors import D3SError
from d3s.identity import digest
from d3s.shards import write_json

log = logging.getLogger("d3s")

LARGEST = 64
"""Images; a call for fewer is padded, so that a larger size would cost small shards more than it gains large ones."""
GROWTH = 1.05
"""A doubled size must make this many times as many images a second, or it only takes memory."""
ON_CPU = 4
"""Images: a processor is busy with one already, and what is too large for main memory is no error that could be caught
but a machine that swaps, or kills the job."""


class KeptBatchSize:
    """The batch size for one kind of work on one kind of device, in a small file of its own.

    Args:
        store: folder of the store; nothing is kept without one.
        work: what the size depends on: device, memory, model, mode, and so on.
    """

    def __init__(self, store: Path | None, work: Mapping[str, object]) -> None:
        self.work = dict(work)
        self.file = store / "batch_sizes" / f"{digest(self.work)}.json" if store else None

    def read(self) -> int | None:
        """The size; nothing if none was found yet, or its file is damaged."""
        if self.file is None:
            return None
        try:
            size = json.loads(self.file.read_text(encoding="utf-8"))["batch_size"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return size if isinstance(size, int) and 1 <= size <= LARGEST else None

    def write(self, size: int) -> None:
        """Write a size down, whole, whoever else does so at the same time."""
        if self.file is not None:
            write_json(self.file, {"batch_size": size, "work": self.work})


def settle_batch_size(kept: KeptBatchSize, seconds: Callable[[int], float]) -> int:
    """The size that is written down, else one found by trial and written down now.

    Args:
        kept: where it is written.
        seconds: how long a batch of a size takes.

    Raises:
        D3SError: as ``find_batch_size``.
    """
    size = kept.read()
    if size is None:
        log.info("finding the batch size by trial, once for this model on this kind of device")
        found = find_batch_size(seconds)
        size = kept.read() or found  # a job beside this one may have been first, and both should compute alike
        kept.write(size)
    log.info("the batch size is %d", size)
    return size


def find_batch_size(seconds: Callable[[int], float]) -> int:
    """Double the size until memory runs out or the images come no faster; gives the best one.

    Args:
        seconds: how long a batch of a size takes.

    Raises:
        D3SError: memory runs out with a single image.
    """
    best, rate, size = 1, 0.0, 1
    while size <= LARGEST:
        try:
            now = size / within_memory(seconds, size)
        except OutOfMemory as error:
            if size == 1:
                raise no_room(str(error)) from None
            log.info("trial: memory runs out in batches of %d", size)
            break
        log.info("trial: %.3g images a second in batches of %d", now, size)
        if now < GROWTH * rate:
            break
        best, rate, size = size, now, 2 * size
    return best


def no_room(told: str) -> D3SError:
    """The error of a device that has no memory for a single image.

    Args:
        told: what the device said.
    """
    return D3SError(
        f"there is not enough memory for a single image ({told[:300]})",
        "set generator: dtype: float16, or generator: offload: model (sequential takes least), or a smaller guides: "
        "size:, or use a GPU that nothing else computes on",
    )
