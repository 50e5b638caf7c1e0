"""An archive of photographs, ``.zip`` or ``.tar``, which is read in place: nothing of it is written to disk."""

import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from PIL import Image

from d3s.backgrounds import fit_square
from d3s.errors import BadInput
from d3s.imageio import read_image
from d3s.picture_choice import choose_pictures, is_picture
from d3s.tables import Row
from d3s.template_source import Template, TemplateSettings

MOST_MEMBERS = 200_000
"""Members of an archive; a larger one is refused."""
MOST_BYTES = 200_000_000
"""Bytes of an unpacked member; a small archive can claim to hold a huge one."""

Members = dict[str, Callable[[], bytes]]
"""What reads a picture of an archive, by its path there."""


def find(row: Row, rows: Sequence[Row], settings: TemplateSettings) -> Iterator[Template]:
    """The central squares of its pictures; each is a group of its own.

    A member's path decides on its split and makes its template's name, and that is all that it is used for.

    Raises:
        BadInput: ``missing``, ``not_an_archive``, ``too_many``, ``empty`` or, after what could be read, ``truncated``.
    """
    path = Path(row["file"])
    if not path.is_file():
        raise BadInput("missing", f"there is no archive {path.name}")
    with ExitStack() as stack:
        if zipfile.is_zipfile(path):
            members, whole = _open_zip(path, stack), True
        else:
            members, whole = _open_tar(path, stack)
        if not members:
            raise BadInput("empty", f"{path.name} holds no pictures")
        for one in choose_pictures(row, members, settings):
            make = partial(_square, members[one.path], one.path, settings.views.size)
            yield Template(one.name, one.split, f"{row['template_source']}:{one.name}", make, one.path)
    if not whole:
        raise BadInput("truncated", f"{path.name} is cut short or damaged; only what stands before that was used")


def _open_zip(path: Path, stack: ExitStack) -> Members:
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadInput("not_an_archive", f"{path.name} can't be read as an archive ({error})") from None
    _check_number(len(archive.infolist()), path)
    pictures = [info for info in archive.infolist() if not info.is_dir() and is_picture(info.filename)]
    return {info.filename: partial(_read_zipped, archive, info) for info in pictures}


def _read_zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.flag_bits & 1:
        raise BadInput("encrypted", f"{info.filename} is encrypted")
    _check_size(info.file_size, info.filename)
    try:
        with archive.open(info) as file:
            return file.read(MOST_BYTES)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError) as error:
        raise BadInput("truncated", f"{info.filename} can't be unpacked ({error})") from None


def _open_tar(path: Path, stack: ExitStack) -> tuple[Members, bool]:
    """The pictures of a tar, and whether it could be read to its end; of members with one path, the last counts."""
    found: Members = {}
    try:
        archive = stack.enter_context(tarfile.TarFile(path))
    except (tarfile.TarError, OSError, ValueError) as error:
        raise BadInput(
            "not_an_archive", f"{path.name} is neither a zip nor a plain tar ({error}); unpack a .tar.gz with gunzip"
        ) from None
    try:
        for number, info in enumerate(archive, start=1):
            _check_number(number, path)
            if info.isreg() and is_picture(info.name):
                found[info.name] = partial(_read_tarred, archive, info)
    except (tarfile.TarError, OSError, ValueError):
        return found, False
    return found, True


def _read_tarred(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    _check_size(info.size, info.name)
    try:
        file = archive.extractfile(info)
        return file.read() if file else b""
    except (tarfile.TarError, OSError) as error:
        raise BadInput("truncated", f"{info.name} can't be read ({error})") from None


def _check_number(members: int, path: Path) -> None:
    if members > MOST_MEMBERS:
        raise BadInput("too_many", f"{path.name} has more than {MOST_MEMBERS:,} members: make smaller archives")


def _check_size(size: int, name: str) -> None:
    if size > MOST_BYTES:
        raise BadInput("too_large", f"{name} has {size:,} bytes; the limit is {MOST_BYTES:,}")


def _square(read: Callable[[], bytes], path: str, size: int) -> Image.Image:
    try:
        return fit_square(read_image(io.BytesIO(read())), size)
    except BadInput as error:
        reason = error.reason.replace("the picture", path, 1)
        raise BadInput(error.status, reason) from None
