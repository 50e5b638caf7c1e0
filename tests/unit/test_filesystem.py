"""Sharing files: the same bytes under another name, whatever the file system can do."""

import os
from pathlib import Path

import pytest

from d3s.filesystem import share_file


def test_the_target_outlives_its_source(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"bytes")
    assert share_file(source, target) in {"clone", "link", "copy"}
    source.unlink()
    assert target.read_bytes() == b"bytes"


def test_where_nothing_can_be_shared_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr("d3s.filesystem._clone", lambda source, target: False)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"bytes")
    target.write_bytes(b"older")
    assert share_file(source, target) == "copy"
    assert target.read_bytes() == b"bytes"
