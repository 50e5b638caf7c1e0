"""Numbers by the digest of their picture: computed once, the same with and without a store."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from d3s.array_store import ArrayStore, collect, through_store

KEYS = [letter * 32 for letter in "abc"]


def arrays(*numbers: float) -> dict[str, np.ndarray]:
    return {key: np.full((2, 2), number, np.float32) for key, number in zip(KEYS, numbers, strict=False)}


def test_arrays_are_found_by_another_reader(tmp_path: Path) -> None:
    store = ArrayStore(tmp_path, "scores", "weights")
    store.put(arrays(1.5, 2.5))
    for reader in (store, ArrayStore(tmp_path, "scores", "weights")):
        found = reader.get(KEYS)
        assert set(found) == set(KEYS[:2])
        assert found[KEYS[1]].tolist() == [[2.5, 2.5], [2.5, 2.5]]
        assert KEYS[0] in reader
        assert KEYS[2] not in reader


def test_other_weights_are_another_store(tmp_path: Path) -> None:
    ArrayStore(tmp_path, "scores", "weights").put(arrays(1.5))
    assert not ArrayStore(tmp_path, "scores", "other weights").get(KEYS)


@pytest.mark.parametrize("damage", ["a byte", "all"])
def test_damage_means_that_it_is_computed_again(tmp_path: Path, damage: str) -> None:
    ArrayStore(tmp_path, "scores").put(arrays(1.5))
    segment = next(tmp_path.glob("*/*.safetensors"))
    data = bytearray(segment.read_bytes())
    data[data.index(np.float16(1.5).tobytes())] ^= 0xFF
    segment.write_bytes(data if damage == "a byte" else b"")
    assert not ArrayStore(tmp_path, "scores").get(KEYS)


def test_only_what_is_missing_is_computed_and_it_is_the_same_without_a_store(tmp_path: Path) -> None:
    asked: list[int] = []

    def things(places: Sequence[int]) -> Iterator[tuple[int, int]]:
        for place in places:
            asked.append(place)
            yield place, place

    def compute(numbers: Iterable[int]) -> Iterator[np.ndarray]:
        for number in numbers:
            yield np.full(3, number / 3, np.float32)

    store = ArrayStore(tmp_path, "scores")
    first = through_store(store, KEYS[:2], things, compute, save_every=1)
    again = through_store(store, [KEYS[2], KEYS[0], KEYS[2], KEYS[1]], things, compute)
    assert asked == [0, 1, 0]  # of the second call, only its first key; its double not again
    plain = through_store(None, KEYS[:2], things, compute)
    for array, other, bare in zip(first, [again[1], again[3]], plain, strict=True):
        assert array is not None
        assert other is not None
        assert bare is not None
        assert array.dtype == np.float16
        assert array.tobytes() == other.tobytes() == bare.tobytes()


def test_what_can_not_be_read_has_no_numbers(tmp_path: Path) -> None:
    def readable(places: Sequence[int]) -> Iterator[tuple[int, int]]:
        return ((place, place) for place in places if place != 1)

    def compute(numbers: Iterable[int]) -> Iterator[np.ndarray]:
        return (np.full(3, number, np.float32) for number in numbers)

    found = through_store(ArrayStore(tmp_path, "scores"), KEYS, readable, compute)
    assert [None if array is None else float(array[0]) for array in found] == [0.0, None, 2.0]


def test_collecting_drops_segments_without_a_wanted_picture(tmp_path: Path) -> None:
    store = ArrayStore(tmp_path, "scores")
    store.put({KEYS[0]: np.zeros(3)})
    store.put({KEYS[1]: np.zeros(3), KEYS[2]: np.zeros(3)})
    assert [gone for _, gone, _ in collect(tmp_path, {KEYS[2]}, dry_run=True)] == [1]
    assert [gone for _, gone, _ in collect(tmp_path, {KEYS[2]})] == [1]
    assert set(ArrayStore(tmp_path, "scores").get(KEYS)) == set(KEYS[1:])
