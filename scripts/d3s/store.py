"""The image store: finished images by recipe key, whatever shard or chunk size they were made under.

A store is a folder of immutable segments: a tar with its index beside it. A segment has one writer and appears whole,
so readers need no lock, on any file system. A kill loses at most the batch that was in flight.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from d3s.errors import D3SError
from d3s.identity import bytes_digest, digest
from d3s.shards import TarReader, write_json, write_tar


class ImageStore:
    """Look up and keep images by recipe key.

    Args:
        folder: made if it does not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._segment: dict[str, tuple[Path, str]] = {}
        self._open: dict[Path, TarReader] = {}
        for index in sorted(self.folder.glob("*.json")):
            self._read_index(index)

    def _read_index(self, index: Path) -> None:
        try:
            keys = json.loads(index.read_text(encoding="utf-8"))
            self._segment.update({key: (index.with_suffix(".tar"), check) for key, check in keys.items()})
        except (ValueError, AttributeError, OSError):
            index.unlink(missing_ok=True)  # damaged by the file system: its images are simply made again

    def __contains__(self, key: str) -> bool:
        return key in self._segment

    def get(self, key: str) -> bytes | None:
        """The image of a recipe, or nothing if it was never made or its segment is damaged."""
        if key not in self._segment:
            return None
        segment, check = self._segment[key]
        try:
            if segment not in self._open:
                self._open[segment] = TarReader(segment)
            data = self._open[segment].read(f"{key}.png")
        except D3SError:
            return None
        return data if bytes_digest(data) == check else None

    def put(self, images: Iterable[tuple[str, bytes]]) -> None:
        """Keep finished images as one new segment; the tar comes first and the index that announces it last."""
        members = dict(images)
        if not members:
            return
        segment = self.folder / f"{digest(sorted(members))}.tar"
        write_tar(segment, ((f"{key}.png", data) for key, data in members.items()))
        index = {key: bytes_digest(data) for key, data in members.items()}
        write_json(segment.with_suffix(".json"), index)
        self._segment.update({key: (segment, check) for key, check in index.items()})
