"""What is known of files while they don't change, kept in a file whose loss or damage costs a second look and no more.

Standard library alone: the Snakefile reads it each time it is parsed.
"""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from d3s.identity import bytes_digest

SETTLED = 2_000_000_000
"""Nanoseconds after its last change before anything of a file is kept; within a clock's tick it could change unseen."""

State = list[int]
"""A file's size, time and inode: while they are the same, so are its contents."""


def state_of(stat: os.stat_result) -> State:
    """The state of a file that was looked at."""
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def is_settled(stat: os.stat_result) -> bool:
    """Whether what is learnt of the file may be kept."""
    return time.time_ns() - stat.st_mtime_ns > SETTLED


def read_known(kept: Path) -> dict[str, Any]:
    """What ``write_known`` wrote; nothing if it is missing or damaged."""
    try:
        check, _, text = kept.read_text(encoding="utf-8").partition("\n")
        known = json.loads(text) if check == bytes_digest(text.encode()) else {}
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def write_known(kept: Path, known: dict[str, Any]) -> None:
    """Write what is known, whole: below a line with its digest, by which damage is noticed."""
    text = json.dumps(known, separators=(",", ":"), sort_keys=True)
    kept.parent.mkdir(parents=True, exist_ok=True)
    temporary = kept.with_name(f".{kept.name}.{socket.gethostname()}-{os.getpid()}.part")
    try:
        temporary.write_text(f"{bytes_digest(text.encode())}\n{text}", encoding="utf-8")
        temporary.replace(kept)
    finally:
        temporary.unlink(missing_ok=True)
