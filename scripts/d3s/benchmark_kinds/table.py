"""Anything else: a CSV that names the pictures of a folder and what they show."""

from collections.abc import Iterator
from pathlib import Path

from d3s.benchmark_kind import BenchmarkKind, Entry
from d3s.errors import D3SError
from d3s.label_maps import LabelMap
from d3s.tables import read_table


class Table(BenchmarkKind):
    """A table with the columns ``file`` (below the folder) and ``label``, and as wanted ``background``, ``variant``,
    ``matched_set`` and ``split``; what it doesn't name is not looked at.
    """

    settings = ("table", "variants", "splits")
    required = ("table",)

    def check_layout(self, labels: LabelMap | None) -> None:
        if not Path(self.given["table"]).is_file():
            raise D3SError(
                f"{self.where}: the table {self.given['table']} is not there", "write it, or correct its path in table:"
            )

    def watched(self) -> list[str]:
        return [str(self.folder), self.given["table"]]

    def entries(self) -> Iterator[Entry]:
        for row in read_table(self.given["table"], "pictures"):
            chosen = [(self.given[f"{name}s"], row[name]) for name in ("variant", "split")]
            if all(not names or name in names for names, name in chosen):
                file, label, background = row["file"], row["label"], row["background"]
                yield Entry(file, label, background, row["variant"], row["matched_set"], row["split"])


KIND = Table
