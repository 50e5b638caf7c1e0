"""The contents of pictures that a table names, as a plan sees them: read again only where a picture changed.

As inputs, tens of thousands of pictures would take most of the time of a plan. Their digest is a parameter instead: a
picture that only got another time makes nothing again, and one that changed, came or went makes its chunk again.

Standard library alone at the top: the Snakefile imports this each time it is parsed.
"""

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from d3s.identity import digest, file_sha256
from d3s.known_files import State, is_settled, read_known, state_of, write_known

MEMORY = Path(".snakemake/d3s_pictures.txt")
"""Beside Snakemake's own memory of what was made, since a plan needs both."""
UNREADABLE = "unreadable"
"""In place of the digest of what is there and can't be read, such as a folder."""
READERS = 8
"""Files that are read at once: on the disk of a cluster, most of the time of a small file is waiting."""

Known = tuple[State, str, int]
"""A picture's state, its digest (empty if it was gone), and the nanosecond since when it has these contents."""


class PictureDigests:
    """What is known of pictures, by their paths as the tables have them.

    Several processes may use one memory: each adds what it learnt, and none drops what another one did.

    Args:
        memory: the file that keeps it between plans; one that can't be written is done without.
    """

    def __init__(self, memory: Path = MEMORY) -> None:
        self.memory = memory
        self._found: dict[str, str] = {}
        self._since: dict[str, int] = {}

    def look(self, paths: Iterable[str]) -> None:
        """Learn the contents of pictures, at the cost of a look at each file that this process did not look at yet."""
        news: dict[str, Known] = {}
        stats = {path: self._glance(path, news) for path in dict.fromkeys(paths) if path not in self._found}
        unread = {path: stat for path, stat in stats.items() if stat}
        try:
            for path, contents in _read_all(list(unread)):
                before, stat = self._known.get(path), unread[path]
                # The time of the inode: that of the contents is set back by what copies and unpacks files.
                since = before[2] if before and before[1] == contents else stat.st_ctime_ns
                self._found[path], self._since[path] = contents, since
                if contents != UNREADABLE and is_settled(stat):
                    news[path] = (state_of(stat), contents, since)
        finally:  # also what was read before an interruption
            if news:
                self._remember(news)

    def digest(self, paths: Iterable[str]) -> str:
        """How many of some pictures are there, and the digest of their names and contents."""
        paths = sorted(set(paths))
        self.look(paths)
        there = [(path, self._found[path]) for path in paths if self._found[path]]
        return f"{len(there)} pictures {digest(there)}"

    def changes(self, paths: Iterable[str], since: int) -> tuple[list[str], list[str]]:
        """Which pictures changed or came after some nanosecond, and which went, as far as plans noticed it."""
        paths = sorted(set(paths))
        self.look(paths)
        moved = [path for path in paths if self._since.get(path, 0) > since]
        return [path for path in moved if self._found[path]], [path for path in moved if not self._found[path]]

    def _glance(self, path: str, news: dict[str, Known]) -> os.stat_result | None:
        """What there is to read: nothing if the file is not there, or if its contents are known."""
        before = self._known.get(path)
        try:
            stat = os.stat(path)
        except (OSError, ValueError):
            self._found[path] = ""
            if before and before[1]:
                news[path] = ([], "", time.time_ns())
            if before:
                self._since[path] = news.get(path, before)[2]
            return None
        if before and before[0] == state_of(stat):
            _, self._found[path], self._since[path] = before
            return None
        return stat

    @cached_property
    def _known(self) -> dict[str, Known]:
        return read_known(self.memory)

    def _remember(self, news: dict[str, Known]) -> None:
        self._known.update(news)
        with suppress(OSError):
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self.memory.with_suffix(".lock")):
                write_known(self.memory, read_known(self.memory) | news)


def _read_all(paths: list[str]) -> Iterator[tuple[str, str]]:
    """The digests of files, with a report of progress if that takes long."""
    if not paths:
        return
    from d3s import cli  # takes time to import, and a plan seldom finds anything new

    with ThreadPoolExecutor(READERS) as pool:
        found = cli.progress(pool.map(_contents, paths), len(paths), "pictures", "reads what is new")
        yield from zip(paths, found, strict=True)


def _contents(path: str) -> str:
    try:
        return file_sha256(path)
    except OSError:
        return UNREADABLE


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process write at a time; where a file system has no locks, some of what is learnt may be learnt twice."""
    with open(path, "wb") as file:
        with suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
