"""The batch size of a machine is found once, by trial."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from d3s.batch_sizes import LARGEST, KeptBatchSize, find_batch_size, settle_batch_size
from d3s.errors import D3SError

WORK = {"device": "a GPU", "memory": 80, "model": "digest", "size": 512}


def machine(room: int, fastest: int) -> Callable[[int], float]:
    """A device that holds so many images, and gains nothing from batches over the fastest."""

    def seconds(size: int) -> float:
        if size > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return size / min(size, fastest)

    return seconds


@pytest.mark.parametrize(
    ("room", "fastest", "found"),
    [(1, 1, 1), (5, 100, 4), (100, 8, 8), (1000, 1000, LARGEST)],
    ids=["one image fits", "memory is short", "no gain", "the largest"],
)
def test_sizes_are_doubled_until_it_does_not_pay(room: int, fastest: int, found: int) -> None:
    assert find_batch_size(machine(room, fastest)) == found


def test_no_room_for_one_image_is_a_clear_error() -> None:
    with pytest.raises(D3SError, match=r"not enough memory for a single image[\s\S]*offload"):
        find_batch_size(machine(0, 1))


def test_other_errors_are_no_shortage() -> None:
    def broken(size: int) -> float:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        find_batch_size(broken)


def test_what_was_found_is_used_by_later_jobs_for_the_same_work(tmp_path: Path) -> None:
    assert settle_batch_size(KeptBatchSize(tmp_path, WORK), machine(20, 100)) == 16
    assert settle_batch_size(KeptBatchSize(tmp_path, WORK), machine(0, 0)) == 16, "nothing is tried"
    assert settle_batch_size(KeptBatchSize(tmp_path, WORK | {"size": 1024}), machine(5, 100)) == 4
    kept = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("batch_sizes/*.json"))]
    assert sorted((entry["work"]["size"], entry["batch_size"]) for entry in kept) == [(512, 16), (1024, 4)]


def test_of_two_jobs_that_try_at_once_both_take_what_the_first_found(tmp_path: Path) -> None:
    kept = KeptBatchSize(tmp_path, WORK)

    def seconds(size: int) -> float:
        kept.write(8)  # the other job is done meanwhile
        return machine(20, 100)(size)

    assert settle_batch_size(kept, seconds) == 8


@pytest.mark.parametrize("content", ["", "[]", '{"batch_size": 0}', '{"batch_size": "8"}', '{"batch_size": 1000000}'])
def test_a_damaged_file_means_trying_again(tmp_path: Path, content: str) -> None:
    kept = KeptBatchSize(tmp_path, WORK)
    kept.write(8)
    assert kept.file is not None
    kept.file.write_text(content)
    assert settle_batch_size(kept, machine(20, 100)) == 16
    assert kept.read() == 16
