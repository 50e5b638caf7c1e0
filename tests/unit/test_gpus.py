"""GPUs are shared out among real processes; the GPUs are made up, since a lock needs none."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from conftest import ROOT
from d3s import gpus
from d3s.errors import D3SError
from d3s.gpus import lock_folder, own_gpu, take_gpu

JOB = """
import logging, sys, time
from pathlib import Path
from d3s.gpus import take_gpu
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
number, file = take_gpu(sys.argv[2:], Path(sys.argv[1]), 0.05)
print("took", number, flush=True)
sys.stdin.readline()
"""


def start(folder: Path, *uuids: str) -> subprocess.Popen[str]:
    """A job that takes a GPU, says which, and keeps it until it reads a line."""
    command = [sys.executable, "-c", JOB, str(folder), *uuids]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def says(job: subprocess.Popen[str], word: str) -> str:
    """The first line of a job that holds a word."""
    assert job.stdout is not None
    return next(line.strip() for line in job.stdout if word in line)


def test_jobs_take_different_gpus_wait_for_one_and_leave_it_when_they_are_killed(tmp_path: Path) -> None:
    jobs = [start(tmp_path, "GPU-a", "GPU-b") for _ in range(2)]
    assert sorted(says(job, "took") for job in jobs) == ["took 0", "took 1"]
    late = start(tmp_path, "GPU-a", "GPU-b")
    assert says(late, "waiting") == "all 2 visible GPUs are taken by other jobs; waiting for one"
    killed = jobs[0]
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert says(late, "took") in {"took 0", "took 1"}
    for job in (jobs[1], late):
        out, _ = job.communicate("\n", timeout=20)
        assert "waiting" not in out, "it is said once"


def test_a_gpu_is_the_same_under_another_number(tmp_path: Path) -> None:
    """As where ``CUDA_VISIBLE_DEVICES`` differs between jobs."""
    first, file = take_gpu(["GPU-a", "GPU-b"], tmp_path)
    second, other = take_gpu(["GPU-a", "GPU-c"], tmp_path)
    assert (first, second) == (0, 1)
    file.close()
    other.close()


def test_a_process_takes_one_gpu_however_often_it_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        uuid = "made-up"

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: Properties())
    monkeypatch.setattr(gpus, "_held", [])
    assert own_gpu() == own_gpu() == 0
    assert (lock_folder() / "made-up.lock").exists()
    gpus._held[0][1].close()


def test_the_folder_of_locks_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = lock_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(D3SError, match="is not yours"):
        lock_folder()
