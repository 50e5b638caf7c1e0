"""Shards: one deterministic tar, a Parquet manifest and a small digest file, each written whole or not at all.

The digest file carries the news to Snakemake (DESIGN decision 4): tars are over the size that it compares by checksum,
so rules depend on the digest file and take the tar itself as ``ancient``.
"""

import io
import json
import os
import shutil
import socket
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from d3s.errors import D3SError
from d3s.identity import bytes_digest


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; rename it into place only if nothing failed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.part")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside ``path`` to fill; it takes the place of ``path`` only if nothing failed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    """Write JSON with sorted keys, whole."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table whole, as CSV or Parquet by its ending."""
    with whole_file(path) as temporary:
        if Path(path).suffix == ".csv":
            table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
        else:
            table.to_parquet(temporary, index=False, compression="zstd")


def write_tar(path: str | Path, members: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Write a tar whose bytes depend on its members alone: sorted names, fixed headers.

    Returns:
        The digest of every member's bytes, by name.

    Raises:
        ValueError: two members have the same name; one would hide the other.
    """
    digests: dict[str, str] = {}
    with whole_file(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(members):
            if name in digests:
                raise ValueError(f"two members of {path} are called {name!r}")
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o644, 0
            tar.addfile(info, io.BytesIO(data))
            digests[name] = bytes_digest(data)
    return digests


class TarReader:
    """Members of a tar by name, for shards of our own; the index is read once, from the headers.

    Raises:
        D3SError: the file is not a whole tar.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            with tarfile.open(self.path, "r:") as tar:
                self._where = {info.name: (info.offset_data, info.size) for info in tar if info.isreg()}
        except (tarfile.TarError, OSError) as error:
            raise D3SError(
                f"{self.path} can't be read as a tar shard ({error})",
                "delete it and run the workflow again; it will be made anew",
            ) from None
        self._file = open(self.path, "rb")  # noqa: SIM115  (closed by close())

    def __contains__(self, name: str) -> bool:
        return name in self._where

    def __enter__(self) -> "TarReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def names(self) -> list[str]:
        """The names of all members, in order."""
        return list(self._where)

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises:
            D3SError: there is no such member, or the tar ends before it does.
        """
        if name not in self._where:
            raise D3SError(f"{self.path} has no member {name!r}", "delete the shard and run the workflow again")
        start, size = self._where[name]
        self._file.seek(start)
        data = self._file.read(size)
        if len(data) != size:
            raise D3SError(f"{self.path} ends inside {name!r}", "delete the shard and run the workflow again")
        return data


def write_shard(tar: str | Path, manifest: pd.DataFrame, members: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Write the three files of a shard: ``X.tar``, ``X.parquet`` and, last, ``X.digests.json`` (the resume mark).

    Returns:
        The digest of every member's bytes, by name.
    """
    tar = Path(tar)
    digests = write_tar(tar, members)
    write_table(tar.with_suffix(".parquet"), manifest)
    write_json(tar.with_suffix(".digests.json"), {"members": digests, "manifest": _table_digest(manifest)})
    return digests


def _table_digest(table: pd.DataFrame) -> str:
    return bytes_digest(table.to_csv(index=False, lineterminator="\n").encode())
