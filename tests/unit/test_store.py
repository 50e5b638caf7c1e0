"""The image store: finished images by recipe key, whatever became of the shard they were made in."""

from pathlib import Path

import pytest

from d3s.filesystem import share_file
from d3s.identity import bytes_digest
from d3s.shards import TarReader, write_tar
from d3s.store import ImageStore

A, B, C, D = (letter * 32 for letter in "abcd")


def segments(folder: Path) -> list[str]:
    return sorted(path.name.split("-")[0] + path.suffix for path in folder.iterdir())


def make_shard(path: Path, images: dict[str, bytes]) -> dict[str, tuple[str, str]]:
    """A finished shard, whose members are called otherwise than the recipes."""
    members = {f"sample-{key[0]}.png": data for key, data in images.items()}
    write_tar(path, members.items())
    return {key: (f"sample-{key[0]}.png", bytes_digest(data)) for key, data in images.items()}


def test_what_is_put_is_found_by_another_reader(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    store.put([(A, b"one"), (B, b"two")])
    for reader in (store, ImageStore(tmp_path)):
        assert reader.get(A) == b"one"
        assert B in reader
        assert reader.get(C) is None


def test_segments_are_immutable_and_whole(tmp_path: Path) -> None:
    ImageStore(tmp_path).put([(A, b"one")])
    ImageStore(tmp_path).put([(B, b"two")])
    assert segments(tmp_path) == ["batch.json", "batch.json", "batch.tar", "batch.tar"]


def test_damage_means_that_an_image_is_made_again(tmp_path: Path) -> None:
    ImageStore(tmp_path).put([(A, b"one")])
    tar = next(tmp_path.glob("*.tar"))
    data = bytearray(tar.read_bytes())
    data[512] ^= 0xFF  # the first byte of the image
    tar.write_bytes(data)
    assert ImageStore(tmp_path).get(A) is None
    tar.write_bytes(b"")
    assert ImageStore(tmp_path).get(A) is None
    next(tmp_path.glob("*.json")).write_text("{")
    assert A not in ImageStore(tmp_path)


def test_a_finished_shard_takes_the_place_of_its_batches(tmp_path: Path) -> None:
    folder, tar = tmp_path / "store", tmp_path / "0.tar"
    store = ImageStore(folder)
    store.put([(A, b"one")])
    store.put([(B, b"two")])
    store.put([(C, b"of another job")])
    store.adopt(tar, make_shard(tar, {A: b"one", B: b"two"}))
    assert segments(folder) == ["batch.json", "batch.tar", "shard.json", "shard.tar"]
    tar.unlink()  # as Snakemake does before the job runs again
    for reader in (store, ImageStore(folder)):
        assert [reader.get(key) for key in (A, B, C)] == [b"one", b"two", b"of another job"]


def test_a_shard_in_the_store_takes_no_disk_of_its_own(tmp_path: Path) -> None:
    folder, tar = tmp_path / "store", tmp_path / "0.tar"
    store = ImageStore(folder)
    store.adopt(tar, make_shard(tar, {A: b"one"}))
    kept = next(folder.glob("*.tar"))
    assert kept.samefile(tar) or share_file(tar, tmp_path / "tried") == "clone"  # clones are files of their own
    store.adopt(tar, make_shard(tar, {A: b"one"}))
    assert segments(folder) == ["shard.json", "shard.tar"]


def test_a_reader_finds_what_was_packed_behind_its_back(tmp_path: Path) -> None:
    folder, tar = tmp_path / "store", tmp_path / "0.tar"
    writer = ImageStore(folder)
    writer.put([(A, b"one")])
    reader = ImageStore(folder)
    writer.adopt(tar, make_shard(tar, {A: b"one"}))
    assert reader.get(A) == b"one"


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """Two current images, one that was replaced, and a tar that was never announced."""
    folder = tmp_path / "store"
    store = ImageStore(folder)
    old, new = tmp_path / "old.tar", tmp_path / "new.tar"
    store.adopt(old, make_shard(old, {A: b"one", D: b"replaced"}))
    old.unlink()
    store.adopt(new, make_shard(new, {A: b"one", B: b"two"}))
    store.put([(C, b"three"), (D, b"replaced")])
    write_tar(folder / "batch-unannounced.tar", [("x.png", b"x")])
    return folder


def test_collecting_keeps_all_that_is_wanted_and_nothing_else(crowded: Path) -> None:
    freed = sum(size for _, _, size in ImageStore(crowded).collect({A, B, C}))
    assert freed > 0
    store = ImageStore(crowded)
    assert set(store.keys()) == {A, B, C}
    assert [store.get(key) for key in (A, B, C)] == [b"one", b"two", b"three"]
    held = [name for path in crowded.glob("*.tar") for name in TarReader(path).names()]
    assert len(held) == 3


def test_a_dry_run_of_collecting_tells_and_changes_nothing(crowded: Path) -> None:
    before = sorted(crowded.iterdir())
    told = list(ImageStore(crowded).collect({A, B, C}, dry_run=True))
    assert sum(gone for _, gone, _ in told) == 3  # the old shard's two and one of the batch
    assert sorted(crowded.iterdir()) == before
