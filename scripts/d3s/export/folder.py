"""A folder that appears whole or not at all, and whose files are hashed while they are written."""

import hashlib
import io
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from d3s.errors import D3SError
from d3s.shards import whole_folder

SUMS = "SHA256SUMS"


class HashedFile(io.RawIOBase):
    """A new binary file that is hashed as it is written, so that nothing is read again.

    Attributes:
        sha256: of what was written so far.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = open(path, "xb", buffering=1 << 20)  # noqa: SIM115  (closed by close())
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | memoryview") -> int:  # type: ignore[override]
        self.sha256.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        """Bring the file to disk and close it; once is enough."""
        if not self.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        super().close()


class Folder:
    """A folder that is being filled.

    Attributes:
        root: where it lies.
        sums: SHA-256 of its finished files, by relative name; links are left out, as what they lead to is in it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sums: dict[str, str] = {}
        self._made: set[str] = set()

    def _place(self, name: str) -> str:
        parent = name.rpartition("/")[0]
        if parent not in self._made:
            (self.root / parent).mkdir(parents=True, exist_ok=True)
            self._made.add(parent)
        return f"{self.root}/{name}"

    def write(self, name: str, data: bytes) -> None:
        """Write a small file. It is not forced to disk by itself: for ten thousand images that would take minutes."""
        # Without Python's file objects, which cost more than the file system for a file of this size.
        handle = os.open(self._place(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(handle, left) :]
        finally:
            os.close(handle)
        self.sums[name] = hashlib.sha256(data).hexdigest()

    @contextmanager
    def open(self, name: str) -> Iterator[HashedFile]:
        """A large file to write piece by piece."""
        file = HashedFile(Path(self._place(name)))
        with file:
            yield file
        self.sums[name] = file.sha256.hexdigest()

    def link(self, name: str, target: str) -> None:
        """Give a file of the folder a second name, by a relative link that survives moving the folder."""
        up = "../" * name.count("/")
        os.symlink(up + target, self._place(name))

    def write_sums(self) -> None:
        """Write the checksums as ``sha256sum --check`` reads them."""
        lines = [f"{value}  {name}\n" for name, value in sorted(self.sums.items())]
        Path(self._place(SUMS)).write_text("".join(lines), encoding="utf-8")


@contextmanager
def export_folder(path: Path) -> Iterator[Folder]:
    """Give a hidden folder beside ``path`` to fill; it gets its name, and checksums, only if nothing failed.

    An export that lies at ``path`` is replaced. What a killed run left beside it is removed.

    Raises:
        D3SError: ``path`` is there and is something else.
    """
    if path.exists() and not _is_replaceable(path):
        raise D3SError(f"{path} exists and is not an export", "give another folder, or move this one away")
    _remove_leftovers(path)
    with whole_folder(path) as root:
        folder = Folder(root)
        yield folder
        folder.write_sums()


def _is_replaceable(path: Path) -> bool:
    return path.is_dir() and ((path / SUMS).is_file() or not any(path.iterdir()))


def _remove_leftovers(path: Path) -> None:
    """Remove folders that processes of this machine began to fill and can't finish, because they are gone."""
    host = re.escape(socket.gethostname())
    for left in path.parent.glob(f".{path.name}.*.part"):
        owner = re.fullmatch(rf"\.{re.escape(path.name)}\.{host}-(\d+)\.part", left.name)
        if owner and not _is_alive(int(owner[1])):
            shutil.rmtree(left, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
