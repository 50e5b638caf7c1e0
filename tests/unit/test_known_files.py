"""What is known of files is kept whole, or nothing is known."""

import os
import time
from pathlib import Path

import pytest

from d3s.known_files import is_settled, read_known, state_of, write_known

KNOWN = {"a.png": [[3, 4, 5], "digest"], "ä.png": [[], ""]}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    kept = tmp_path / "folder" / "known.txt"
    assert read_known(kept) == {}
    write_known(kept, KNOWN)
    assert read_known(kept) == KNOWN
    assert list(kept.parent.iterdir()) == [kept], "nothing else is left there"


@pytest.mark.parametrize(
    "damage", [lambda text: "", lambda text: text[:-5], lambda text: text.replace("digest", "dagest")]
)
def test_from_a_damaged_file_nothing_is_known(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    kept = tmp_path / "known.txt"
    write_known(kept, KNOWN)
    kept.write_text(damage(kept.read_text()))
    assert read_known(kept) == {}


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    kept = tmp_path / "known.txt"
    write_known(kept, KNOWN)
    with pytest.raises(TypeError):
        write_known(kept, {"a.png": object()})
    assert read_known(kept) == KNOWN
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_known(tmp_path / "folder", KNOWN)
    assert {path.name for path in tmp_path.iterdir()} == {"known.txt", "folder"}


def test_the_state_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"abc")
    assert not is_settled(os.stat(file))
    os.utime(file, (1, time.time() - 60))
    stat = os.stat(file)
    assert is_settled(stat)
    assert state_of(stat) == [3, stat.st_mtime_ns, stat.st_ino]
