"""Digests of large files, kept until a file changes: a model's weights are gigabytes, and every job checks them."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from d3s.identity import digest, file_sha256
from d3s.shards import write_json

SETTLED = 2_000_000_000
"""Nanoseconds after its last change before a file's digest is kept; within a clock's tick it could change unseen."""


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
    kept = folder / "digests" / f"{digest(str(Path(about).resolve()))}.json"
    known = _read(kept)
    seen: dict[str, list] = {}

    def sha256(path: Path) -> str:
        name, stat = str(path.resolve()), os.stat(path)
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        before = known.get(name)
        found = before[1] if before and before[0] == state else file_sha256(path)
        if time.time_ns() - stat.st_mtime_ns > SETTLED:
            seen[name] = [state, found]
        return found

    yield sha256
    if seen != known:
        write_json(kept, {"files": seen, "check": digest(seen)})


def _read(kept: Path) -> dict[str, list]:
    """What is known of files, by path: size, time and inode, and their digest; nothing from a damaged file."""
    try:
        content = json.loads(kept.read_text(encoding="utf-8"))
        files: dict[str, list] = content["files"]
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return files if content.get("check") == digest(files) else {}
