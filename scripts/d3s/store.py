"""The image store: finished images by recipe key, whatever shard or chunk size they were made under.

A store is a folder of immutable segments: a tar with its index beside it. A segment has one writer and appears whole,
the index last, so readers need no lock, on any file system. While a shard is made, each batch is a segment of its own,
so that a kill loses at most the batch in flight; a finished shard's tar becomes one segment in their place, sharing its
blocks on disk where the file system can.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from d3s.errors import D3SError
from d3s.filesystem import share_file
from d3s.identity import bytes_digest, digest
from d3s.shards import TarReader, whole_file, write_json, write_tar

MOST_OPEN = 64
"""Segments that are held open at once; systems allow a process about a thousand files."""
BATCH, SHARD = "batch", "shard"
"""What a segment's name begins with, by how it came to be."""


@dataclass(frozen=True)
class Place:
    """Where a finished image lies: its segment, its member there, and the digest of its bytes."""

    segment: str
    member: str
    check: str


class ImageStore:
    """Look up and keep images by recipe key.

    Args:
        folder: made if it does not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._where: dict[str, Place] = {}
        self._keys: dict[str, list[str]] = {}
        self._open: dict[str, TarReader] = {}
        self._scan()

    def _scan(self) -> None:
        """Take notice of the segments that came and went since the last time."""
        present = {path.stem for path in self.folder.glob("*.json")}
        for gone in set(self._keys) - present:
            self._forget(gone)
        for name in sorted(present - set(self._keys)):
            index = self.folder / f"{name}.json"
            try:
                entries = json.loads(index.read_text(encoding="utf-8"))
                places = {key: Place(name, member, check) for key, (member, check) in entries.items()}
            except OSError:
                continue  # its owner has just packed it into another one, or it can't be read now
            except (ValueError, AttributeError, TypeError):
                index.unlink(missing_ok=True)  # damaged by the file system: its images are simply made again
                continue
            self._where |= places
            self._keys[name] = list(places)

    def _forget(self, name: str) -> None:
        for key in self._keys.pop(name):
            if key in self._where and self._where[key].segment == name:
                del self._where[key]
        if reader := self._open.pop(name, None):
            reader.close()

    def __contains__(self, key: str) -> bool:
        return key in self._where

    def keys(self) -> Collection[str]:
        """The recipe keys of all finished images."""
        return self._where.keys()

    def get(self, key: str) -> bytes | None:
        """The image of a recipe, or nothing if it was never made or its segment is damaged."""
        data = self._read(key)
        if data is None and key in self._where:
            self._scan()  # another job may have packed the segment meanwhile
            data = self._read(key)
        return data

    def _read(self, key: str) -> bytes | None:
        place = self._where.get(key)
        if place is None:
            return None
        try:
            if place.segment not in self._open:
                if len(self._open) == MOST_OPEN:
                    self._open.pop(next(iter(self._open))).close()
                self._open[place.segment] = TarReader(self._tar(place.segment))
            data = self._open[place.segment].read(place.member)
        except D3SError:
            return None
        return data if bytes_digest(data) == place.check else None

    def _tar(self, name: str) -> Path:
        return self.folder / f"{name}.tar"

    def put(self, images: Iterable[tuple[str, bytes]]) -> str:
        """Keep finished images as one new segment; the tar comes first and the index that announces it last.

        Returns:
            The segment's name; empty if there are no images.
        """
        found = dict(images)
        if not found:
            return ""
        name = f"{BATCH}-{digest(sorted(found))}"
        write_tar(self._tar(name), ((f"{key}.png", data) for key, data in found.items()))
        self._announce(name, {key: (f"{key}.png", bytes_digest(data)) for key, data in found.items()})
        return name

    def adopt(self, tar: Path, images: Mapping[str, tuple[str, str]]) -> None:
        """Take a finished shard as one segment; the batches that it was made in are dropped.

        Args:
            tar: the shard.
            images: by recipe key, its member there and the digest of the member's bytes.
        """
        if not images:
            return
        name = f"{SHARD}-{digest(sorted(images.items()))}"
        if name not in self._keys:
            with whole_file(self._tar(name)) as temporary:
                share_file(tar, temporary)
            self._announce(name, images)
        for other in [other for other in self._keys if other.startswith(BATCH)]:
            if set(self._keys[other]) <= set(images):
                self._drop(other)

    def _announce(self, name: str, images: Mapping[str, tuple[str, str]]) -> None:
        write_json(self.folder / f"{name}.json", {key: list(entry) for key, entry in images.items()})
        self._where |= {key: Place(name, member, check) for key, (member, check) in images.items()}
        self._keys[name] = list(images)

    def _drop(self, name: str) -> int:
        """Take a segment away, the index first; gives the bytes that are freed."""
        (self.folder / f"{name}.json").unlink(missing_ok=True)
        tar = self._tar(name)
        freed = _bytes_of(tar)
        tar.unlink(missing_ok=True)
        self._forget(name)
        return freed

    def size(self) -> int:
        """The bytes that the store takes beside the shards that it shares blocks with."""
        return sum(_bytes_of(path) for path in self.folder.glob("*.tar"))

    def collect(self, wanted: Collection[str], dry_run: bool = False) -> Iterator[tuple[str, int, int]]:
        """Drop what no manifest wants: segments without a wanted image, and images that another segment holds.

        A segment of which half or less is wanted is packed anew. Not while a workflow runs on the same store.

        Args:
            wanted: recipe keys.
            dry_run: only tell.

        Yields:
            Segment, how many of its images go, and the bytes that are freed (packing anew frees a part of them).
        """
        covered: set[str] = set()
        wanted = set(wanted)

        def cost(name: str) -> tuple[bool, int, str]:
            return _bytes_of(self._tar(name)) > 0, -len(wanted.intersection(self._keys[name])), name

        written: set[str] = set()
        names = sorted(self._keys, key=cost)  # what is shared with a shard comes first: it costs nothing to keep
        for name in names:
            if name in written:
                continue
            keys = self._keys[name]
            needed = [key for key in keys if key in wanted and key not in covered]
            covered |= set(needed)
            gone = len(keys) - len(needed)
            if 2 * len(needed) > len(keys):
                continue
            size = _bytes_of(self._tar(name))
            if dry_run:
                yield name, gone, round(size * gone / len(keys))
                continue
            before = {key: self.get(key) for key in needed}
            written.add(self.put((key, data) for key, data in before.items() if data is not None))
            freed = self._drop(name) - (sum(len(data) for data in before.values() if data) if needed else 0)
            yield name, gone, max(0, freed)
        if not dry_run:
            for tar in self.folder.glob("*.tar"):
                if not tar.with_suffix(".json").exists():  # its writer was killed before it announced it
                    size = _bytes_of(tar)
                    tar.unlink()
                    yield tar.stem, 0, size


def _bytes_of(path: Path) -> int:
    """The bytes that removing a file frees; none if another name of it remains."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0
    return stat.st_size if stat.st_nlink == 1 else 0
