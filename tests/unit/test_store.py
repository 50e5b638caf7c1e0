"""The image store: finished images by recipe key, safe against damage."""

from pathlib import Path

from d3s.store import ImageStore


def test_what_is_put_is_found_by_another_reader(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    store.put([("a" * 32, b"one"), ("b" * 32, b"two")])
    for reader in (store, ImageStore(tmp_path)):
        assert reader.get("a" * 32) == b"one"
        assert "b" * 32 in reader
        assert reader.get("c" * 32) is None


def test_segments_are_immutable_and_whole(tmp_path: Path) -> None:
    ImageStore(tmp_path).put([("a" * 32, b"one")])
    ImageStore(tmp_path).put([("b" * 32, b"two")])
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".json", ".tar", ".tar"]


def test_damage_means_that_an_image_is_made_again(tmp_path: Path) -> None:
    ImageStore(tmp_path).put([("a" * 32, b"one")])
    tar = next(tmp_path.glob("*.tar"))
    data = bytearray(tar.read_bytes())
    data[512] ^= 0xFF  # the first byte of the image
    tar.write_bytes(data)
    assert ImageStore(tmp_path).get("a" * 32) is None
    tar.write_bytes(b"")
    assert ImageStore(tmp_path).get("a" * 32) is None
    next(tmp_path.glob("*.json")).write_text("{")
    assert "a" * 32 not in ImageStore(tmp_path)
