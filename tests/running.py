"""Running Snakemake and single scripts as a user does."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tiny import ROOT


def snakemake(folder: Path, config: Path, *options: str, code: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the workflow in a folder, on two processors, with the code of the project or of a copy of it."""
    command = snakemake_command(folder, config, *options, code=code)
    return subprocess.run(command, capture_output=True, text=True, cwd=code, check=False)


def snakemake_command(folder: Path, config: Path, *options: str, code: Path = ROOT) -> list[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(code / "Snakefile"), "--directory", str(folder)]
    command += ["--profile", str(code / "profiles" / "default"), "--configfile", str(config), "--cores", "2"]
    return [*command, *options]


def jobs_of(output: str) -> dict[str, int]:
    """The jobs by rule, from Snakemake's table of them; targets that only collect are left out."""
    found = re.search(r"^job +count\n-+ +-+\n(.*?)\ntotal", output, re.MULTILINE | re.DOTALL)
    counts = dict(line.split() for line in found[1].splitlines()) if found else {}
    return {
        rule: int(count)
        for rule, count in counts.items()
        if rule not in {"demo", "images", "annotation", "classifiers"}
    }


def script(folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one script of the project in a folder."""
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, env=os.environ)
