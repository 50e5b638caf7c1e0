"""Costly numbers by the digest of the picture that they were computed from: probabilities, activations.

As the image store, a folder of immutable segments, each with one writer and whole as soon as it is there. One folder
holds one kind of numbers: its name is a digest of all else that determines them (weights, input size, code).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from d3s.identity import bytes_digest, digest
from d3s.shards import whole_file

T = TypeVar("T")
TEXTS = "texts"
"""The kind of the stores whose keys are of texts, not of pictures: small, and no picture makes them unwanted."""


class ArrayStore:
    """Look up and keep arrays of one shape and type by 128-bit keys.

    Numbers are kept in half precision and given in half precision also when they were just computed, so that results
    are the same bytes with and without a store.

    Args:
        folder: of all stores.
        kind: what the numbers are, in a word.
        determined_by: all that determines them beside the key.
    """

    def __init__(self, folder: str | Path, kind: str, *determined_by: object) -> None:
        self.folder = Path(folder) / f"{kind}-{digest(*determined_by)}"
        self._where: dict[str, tuple[Path, int]] = {}
        for segment in sorted(self.folder.glob("*.safetensors")):
            try:
                with safe_open(segment, "numpy") as file:
                    keys = file.get_tensor("keys")
            except OSError:
                continue  # it can't be read now
            except SafetensorError:
                segment.unlink(missing_ok=True)  # damaged by the file system: it is simply computed again
                continue
            self._where |= {key.tobytes().hex(): (segment, row) for row, key in enumerate(keys)}

    def __contains__(self, key: str) -> bool:
        return key in self._where

    def get(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """The arrays of those keys that the store has, each read once; a damaged row counts as missing."""
        rows: dict[Path, list[tuple[str, int]]] = {}
        for key in dict.fromkeys(keys):
            if key in self._where:
                segment, row = self._where[key]
                rows.setdefault(segment, []).append((key, row))
        found: dict[str, np.ndarray] = {}
        for segment, wanted in rows.items():
            try:
                with safe_open(segment, "numpy") as file:
                    values, checks = file.get_slice("values"), file.get_tensor("checks")
                    for key, row in wanted:
                        value = values[row : row + 1][0]
                        if _check(value) == checks[row].tobytes():
                            found[key] = value
            except (SafetensorError, OSError):
                continue  # gone or damaged since
        return found

    def put(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays as one new segment."""
        if not arrays:
            return
        keys = sorted(arrays)
        values = np.stack([arrays[key].astype(np.float16) for key in keys])
        segment = self.folder / f"{digest(keys)}.safetensors"
        tensors: dict[str, np.ndarray] = {
            "keys": np.stack([np.frombuffer(bytes.fromhex(key), np.uint8) for key in keys]),
            "values": values,
            "checks": np.stack([np.frombuffer(_check(value), np.uint8) for value in values]),
        }
        with whole_file(segment) as temporary:
            save_file(tensors, temporary)
        self._where |= {key: (segment, row) for row, key in enumerate(keys)}


def _check(value: np.ndarray) -> bytes:
    return bytes.fromhex(bytes_digest(np.ascontiguousarray(value).tobytes()))


def through_store(
    store: ArrayStore | None,
    keys: Sequence[str],
    things: Callable[[Sequence[int]], Iterable[tuple[int, T]]],
    compute: Callable[[Iterable[T]], Iterator[np.ndarray]],
    save_every: int = 1024,
) -> list[np.ndarray | None]:
    """The array of every key: from the store where it has it, else computed and kept.

    Args:
        store: nothing is kept without one.
        keys: digests of pictures; equal ones are computed once.
        things: for the positions in ``keys`` that it is given, what is computed from, lazily, each with its position;
            it may leave out what can't be read.
        compute: one array for each thing, in order.
        save_every: arrays per segment; as many are lost by a kill.

    Returns:
        Arrays in half precision, in the order of ``keys``; nothing for what was left out.
    """
    known = store.get(keys) if store else {}
    first = {key: place for place, key in reversed(list(enumerate(keys))) if key not in known}
    order: list[int] = []

    def asked() -> Iterator[T]:
        for place, thing in things(sorted(first.values())):
            order.append(place)
            yield thing

    unsaved: dict[str, np.ndarray] = {}
    for number, array in enumerate(compute(asked())):
        key = keys[order[number]]
        known[key] = unsaved[key] = array.astype(np.float16)
        if store and len(unsaved) == save_every:
            store.put(unsaved)
            unsaved = {}
    if store:
        store.put(unsaved)
    return [known.get(key) for key in keys]


def collect(folder: Path, wanted: Collection[str], dry_run: bool = False) -> Iterator[tuple[str, int, int]]:
    """Drop the segments of all array stores of pictures in a folder that hold no number of a wanted one.

    Args:
        folder: of all stores.
        wanted: digests of pictures.
        dry_run: only tell.

    Yields:
        Segment, how many arrays go, and the bytes that are freed.
    """
    for segment in sorted(folder.glob("*/*.safetensors")):
        if segment.parent.name.startswith(f"{TEXTS}-"):
            continue
        try:
            with safe_open(segment, "numpy") as file:
                if "keys" not in file.keys():  # noqa: SIM118  (it is no mapping)
                    continue
                keys = [key.tobytes().hex() for key in file.get_tensor("keys")]
        except (SafetensorError, OSError):
            continue
        if not any(key in wanted for key in keys):
            size = segment.stat().st_size
            if not dry_run:
                segment.unlink()
            yield f"{segment.parent.name}/{segment.stem}", len(keys), size
