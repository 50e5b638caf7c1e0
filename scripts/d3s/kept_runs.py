"""Finished trainings by all that determines them, so that a training whose samples did not change is not repeated.

Snakemake repeats every job whose input was made again, even to the same bytes; this is the early end of such a job.
"""

import json
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from d3s.filesystem import share_file
from d3s.identity import digest, file_sha256
from d3s.shards import whole_file, write_json

CHECKS = "files.json"
"""The digests of a run's files; written last, so that a run without them is unfinished."""


class KeptRun:
    """The files of one finished run.

    Args:
        folder: of the store.
        kind: what runs these are, in a word.
        determined_by: all that determines the files.
    """

    def __init__(self, folder: str | Path, kind: str, *determined_by: object) -> None:
        self.folder = Path(folder) / f"{kind}-{digest(*determined_by)}"

    def restore(self, output: Path) -> bool:
        """Put the files into a folder, if the run was kept whole; tells whether it was."""
        try:
            checks = json.loads((self.folder / CHECKS).read_text(encoding="utf-8"))
            if any(file_sha256(self.folder / name) != check for name, check in checks.items()):
                return False
        except (OSError, ValueError, AttributeError):
            return False
        for name in sorted(checks):
            with whole_file(output / name) as temporary:
                share_file(self.folder / name, temporary)
        return True

    def keep(self, output: Path, names: Sequence[str]) -> None:
        """Keep files of a finished run, sharing their blocks on disk where the file system can."""
        for name in names:
            with whole_file(self.folder / name) as temporary:
                share_file(output / name, temporary)
        write_json(self.folder / CHECKS, {name: file_sha256(self.folder / name) for name in names})


def collect(
    folder: Path, kind: str, marker: str, wanted: Collection[str], dry_run: bool = False
) -> Iterator[tuple[str, int, int]]:
    """Drop the kept runs of a kind that none of the results came from.

    Args:
        folder: of the store.
        kind: of runs.
        marker: the file that tells runs apart.
        wanted: the SHA-256 of that file in each of the results.
        dry_run: only tell.

    Yields:
        Run, how many files go, and the bytes that are freed.
    """
    for run in sorted(folder.glob(f"{kind}-*")):
        if (run / marker).is_file() and file_sha256(run / marker) in wanted:
            continue
        files = [path for path in run.iterdir() if path.is_file()]
        size = sum(path.stat().st_size for path in files if path.stat().st_nlink == 1)
        if not dry_run:
            shutil.rmtree(run)
        yield run.name, len(files), size
