"""The frame of a script, tried on scripts: what a user sees is their exit status, their messages and their log."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

SCRIPT = '''"""Says what it is for."""
import logging
from d3s import cli
from d3s.errors import BadInput, D3SError

def parse():
    parser = cli.parser(__doc__)
    parser.add_argument("--count", type=int, default=0)
    return parser.parse_args()

def main(args):
    logging.getLogger("d3s").info("started")
    {body}

if __name__ == "__main__":
    cli.run(parse, main)
'''


def run(folder: Path, body: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = folder / "make_things.py"
    script.write_text(SCRIPT.format(body=body))
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_script_logs_to_the_terminal_and_to_a_file(tmp_path: Path) -> None:
    done = run(tmp_path, "pass", "--log", "logs/new folder/make.log")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "make_things: started\n"
    assert (tmp_path / "logs/new folder/make.log").read_text() == done.stderr


def test_a_second_run_starts_its_log_afresh(tmp_path: Path) -> None:
    for _ in range(2):
        run(tmp_path, "pass", "--log", "make.log")
    assert (tmp_path / "make.log").read_text().count("started") == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('raise D3SError("the table is empty", "add a row")', "the table is empty\n  what to do: add a row"),
        ('raise BadInput("truncated", "a.png is cut short")', "truncated: a.png is cut short"),
    ],
)
def test_a_users_error_says_what_to_do_without_a_traceback(tmp_path: Path, body: str, expected: str) -> None:
    done = run(tmp_path, body, "--log", "make.log")
    assert done.returncode == 1
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert expected in (tmp_path / "make.log").read_text()


def test_an_error_of_the_system_keeps_its_traceback(tmp_path: Path) -> None:
    done = run(tmp_path, 'open("/no/such/folder/file", "w")')
    assert done.returncode == 1
    assert "the system refused" in done.stderr
    assert "/no/such/folder/file" in done.stderr


@pytest.mark.parametrize(
    "body",
    [
        'open("/dev/full", "w").write(100_000 * "x")',
        'raise ValueError("I/O error: No space left on device (os error 28)")',  # as safetensors has it
    ],
)
def test_a_full_disk_is_named_with_its_remedy(tmp_path: Path, body: str) -> None:
    done = run(tmp_path, body)
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert "collect_garbage.py" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_defect_keeps_its_traceback_and_has_a_status_of_its_own(tmp_path: Path) -> None:
    done = run(tmp_path, "1 / 0", "--log", "make.log")
    assert done.returncode == 2
    assert "please report it" in done.stderr
    assert "ZeroDivisionError" in (tmp_path / "make.log").read_text()


def test_help_says_what_a_script_is_for(tmp_path: Path) -> None:
    done = run(tmp_path, "pass", "--help")
    assert done.returncode == 0
    assert "Says what it is for." in done.stdout
    assert "--threads" in done.stdout


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "pass", "--colour", "red")
    assert done.returncode == 2
    assert "--colour" in done.stderr


def test_progress_passes_things_on_and_reports_in_whole_lines(tmp_path: Path) -> None:
    body = 'print(sum(cli.progress(range(3), 3, "images", "grass")))'
    done = run(tmp_path, body, D3S_PROGRESS_SECONDS="0")
    assert done.stdout == "3\n"
    assert "make_things grass" in done.stderr
    assert "3/3" in done.stderr
    assert "\r" not in done.stderr
    assert run(tmp_path, body).stderr == "make_things: started\n"  # nothing to say about what takes no time


def test_the_number_of_threads_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(
        "def set_num_threads(threads): print('threads', threads)\n"
        "def use_deterministic_algorithms(on, warn_only): print('deterministic', on)\n"
    )  # importing the real one takes seconds
    done = run(tmp_path, "cli.set_threads(args.threads)", "--threads", "3")
    assert done.stdout == "threads 3\ndeterministic True\n"
