"""Digests of large files, kept until a file changes: a model's weights are gigabytes, and every job checks them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from d3s.identity import digest, file_sha256
from d3s.known_files import is_settled, read_known, state_of, write_known


@contextmanager
def kept_digests(folder: Path | None, about: str | Path) -> Iterator[Callable[[Path], str]]:
    """Give a function as ``file_sha256`` that reads a file only if size, time or inode changed since it was last read.

    Args:
        folder: of the store; nothing is kept without one.
        about: the folder of the files; what is known of them is kept in one file of the store.
    """
    if folder is None:
        yield file_sha256
        return
    kept = folder / "digests" / f"{digest(str(Path(about).resolve()))}.txt"
    known = read_known(kept)
    seen: dict[str, list] = {}

    def sha256(path: Path) -> str:
        name, stat = str(path.resolve()), os.stat(path)
        state = state_of(stat)
        before = known.get(name)
        found = before[1] if before and before[0] == state else file_sha256(path)
        if is_settled(stat):
            seen[name] = [state, found]
        return found

    yield sha256
    if seen != known:
        write_known(kept, seen)
