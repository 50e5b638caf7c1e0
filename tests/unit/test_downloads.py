"""Published files by their address: fetched once into the folder that torch's libraries share."""

import io
import urllib.request
from pathlib import Path

import pytest

from d3s.downloads import cache_folder, fetch_url
from d3s.errors import BadInput

URL = "https://example.org/models/net-01234567.pth"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "hub/checkpoints"


def test_a_file_is_fetched_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        assert timeout > 0, "a network that does not answer must not hold a run up"
        return io.BytesIO(b"weights")

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    for _ in range(2):
        assert fetch_url(URL) == cache / "net-01234567.pth"
    assert (cache / "net-01234567.pth").read_bytes() == b"weights"
    assert asked == [URL]


def test_a_connection_that_breaks_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Broken())
    with pytest.raises(BadInput, match="reset by peer"):
        fetch_url(URL)
    assert not list(cache.iterdir())


@pytest.mark.parametrize("url", ["http://example.org/a.pth", "file:///etc/passwd"])
def test_nothing_is_fetched_in_the_clear(url: str) -> None:
    with pytest.raises(BadInput, match="only https"):
        fetch_url(url)


def test_offline_means_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BadInput, match="keeps off the network") as bad:
        fetch_url(URL)
    assert bad.value.status == "unavailable"
    assert cache_folder().name == "checkpoints"
