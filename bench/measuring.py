"""What all benchmarks share: rows of the table, clocks, and the way to the project's own modules."""

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

Figure = dict[str, object]


def figure(
    name: str, value: float, unit: str, target: float | None = None, comparison: str = "<=", floor: str = ""
) -> Figure:
    """A row of the table; ``floor`` says what a ratio is taken against."""
    met = "" if target is None else str(value <= target if comparison == "<=" else value >= target)
    comparison = comparison if target is not None else ""
    return {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "floor": floor,
        "target": "" if target is None else target,
        "comparison": comparison,
        "met": met,
    }


def timed(command: list[str], folder: Path) -> tuple[float, float, str]:
    """Run a command: its seconds, its largest memory in MB, and what it said.

    Raises:
        SystemExit: it failed.
    """
    log = folder / "bench.log"
    started = time.monotonic()
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    said = log.read_text(encoding="utf-8", errors="replace")
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{said[-3000:]}")
    return time.monotonic() - started, usage.ru_maxrss / 1024, said


def snakemake(*options: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--cores", "2", *options]


def paired(first: Callable[[], None], second: Callable[[], None], rounds: int = 5) -> tuple[float, float]:
    """The median seconds of two functions, called by turns, after a first call that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for function, kept in zip((first, second), times, strict=True):
            started = time.perf_counter()
            function()
            if turn:
                kept.append(time.perf_counter() - started)
    return statistics.median(times[0]), statistics.median(times[1])


def processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else "unknown processor"
