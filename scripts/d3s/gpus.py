"""Which GPU a job computes on, where several jobs run on one machine beside each other.

Snakemake counts GPUs but hands out none. So each job takes a GPU of the visible ones for itself and keeps it until it
ends, by a lock on a file of its own: the kernel frees the lock of a job that was killed.
"""

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from d3s.errors import D3SError

log = logging.getLogger("d3s")
_held: list[tuple[int, IO[bytes]]] = []
"""The GPU that this process has, with the file whose lock lasts as long as it is open."""


def own_gpu() -> int:
    """Take one of the visible GPUs for this process, once; gives its number among them, and waits if all are taken.

    What is visible follows from ``CUDA_VISIBLE_DEVICES``, as set by a user or a cluster.

    Raises:
        D3SError: as ``lock_folder``.
    """
    import torch  # takes seconds, which a lock alone does not need

    if not _held:
        uuids = [str(torch.cuda.get_device_properties(number).uuid) for number in range(torch.cuda.device_count())]
        _held.append(take_gpu(uuids, lock_folder()))
    return _held[0][0]


def lock_folder() -> Path:
    """The user's folder of locks on this machine, made if it does not exist.

    Raises:
        D3SError: somebody else's folder has its name.
    """
    folder = Path(tempfile.gettempdir()) / f"d3s-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise D3SError(f"{folder}, where GPUs are shared out among jobs, is not yours", "delete it, or set TMPDIR")
    return folder


def take_gpu(uuids: Sequence[str], folder: Path, seconds: float = 1.0) -> tuple[int, IO[bytes]]:
    """Lock the first GPU that no other job has; wait until there is one.

    Args:
        uuids: of the visible GPUs; a GPU keeps its UUID however the visible ones are numbered.
        folder: of locks.
        seconds: between two rounds of asking, while all are taken.

    Returns:
        The GPU's place in the list, and the open file that holds its lock.
    """
    told = False
    while True:
        for number, uuid in enumerate(uuids):
            file = open(folder / f"{uuid}.lock", "ab")  # noqa: SIM115  (it stays open as long as the GPU is held)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            log.info("computing on GPU %d of %d (%s)", number, len(uuids), uuid)
            return number, file
        if not told:
            log.info("all %d visible GPUs are taken by other jobs; waiting for one", len(uuids))
            told = True
        time.sleep(seconds)
