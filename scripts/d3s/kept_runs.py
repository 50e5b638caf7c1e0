"""Finished trainings by all that determines them, so that a training whose samples did not change is not repeated.

Snakemake repeats every job whose input was made again, even to the same bytes; this is the early end of such a job.
"""

import json
from collections.abc import Sequence
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
