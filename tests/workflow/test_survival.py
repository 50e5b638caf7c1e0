"""Kills at random moments, and a disk that fills up: the next run goes on and ends in the same bytes."""

import os
import random
import shlex
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from d3s.identity import file_sha256
from running import snakemake, snakemake_command
from tiny import make_tiny_project

SEED = int(os.environ.get("D3S_KILL_SEED", "20"))
"""Of the random moments; printed with a failure, and set to repeat one."""
COMPARED = ("results/guides", "results/images", "results/validation", "results/tables", "results/encoders")


def bytes_of(folder: Path) -> dict[str, str]:
    """The digests of all declared results, by name; files in progress (hidden ones) don't count."""
    files = [path for name in COMPARED for path in (folder / name).rglob("*")]
    return {
        str(path.relative_to(folder)): file_sha256(path)
        for path in files
        if path.is_file() and not path.name.startswith(".")
    }


def run_and_kill(folder: Path, config: Path, seconds: float) -> bool:
    """Start the workflow and kill it with all that it started; tells whether it was still at work."""
    process = subprocess.Popen(snakemake_command(folder, config), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        parent = psutil.Process(process.pid)
        parent.suspend()  # so that it can neither tidy up after its jobs nor start others
        for victim in [*parent.children(recursive=True), parent]:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        process.wait()
        return True


def start_of(run: Path, folder: Path) -> Path:
    """The project of a finished run without its results."""
    shutil.copytree(run / "project", folder / "project")
    shutil.copytree(run / "resources", folder / "resources")
    return folder / "project" / "config.yaml"


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)], ids=lambda kills: f"{kills} kills")
def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(run: Path, tmp_path: Path, kills: int) -> None:
    moments, wanted = random.Random(SEED), bytes_of(run)
    killed = rounds = 0
    while killed < kills:  # a run that got to its end is compared, and another one is begun
        rounds += 1
        folder = tmp_path / str(rounds)
        config = start_of(run, folder)
        while killed < kills and run_and_kill(folder, config, moments.uniform(3, 40)):
            killed += 1
            assert snakemake(folder, config, "--unlock").returncode == 0
        done = snakemake(folder, config)
        assert done.returncode == 0, f"seed {SEED}: {done.stderr[-3000:]}"
        assert bytes_of(folder) == wanted, f"seed {SEED}"
    assert killed == kills


@pytest.mark.slow
@pytest.mark.parametrize(("target", "room"), [("guides", "700k"), ("images", "1500k")])
def test_a_full_disk_is_a_clear_error_and_the_run_goes_on_after_room_is_made(
    tmp_path: Path, target: str, room: str
) -> None:
    """On a small file system of its own, inside a mount namespace, for which one needs no privileges."""
    make_tiny_project(tmp_path / "project", Path("project"))
    disk = tmp_path / "disk"
    disk.mkdir()
    command = shlex.join(snakemake_command(disk, disk / "project/config.yaml", target))
    steps = f"""
        mount -t tmpfs -o size={room} tmpfs {disk}
        cp -r {tmp_path}/project {disk}/
        {command} >{tmp_path}/first.log 2>&1 && exit 90
        find {disk}/results -name '*.part' | grep -q . && exit 91
        mount -o remount,size=64m {disk}
        {command} --unlock && {command}
    """
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", steps],
        capture_output=True,
        text=True,
        check=False,
    )
    first = (tmp_path / "first.log").read_text()
    assert "the disk is full" in first
    assert "what to do" in first
    assert done.returncode == 0, done.stderr[-3000:]
