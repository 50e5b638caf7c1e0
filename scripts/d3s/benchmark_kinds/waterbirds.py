"""Waterbirds: birds of CUB pasted on places of land and of water (arXiv 1911.08731)."""

import csv
from collections.abc import Iterator

from d3s.benchmark_kind import BenchmarkKind, Entry, walk_pictures
from d3s.errors import BadInput, D3SError
from d3s.folders import suggest
from d3s.label_maps import LabelMap

METADATA = "metadata.csv"
COLUMNS = ("img_filename", "y", "split", "place")
MEANINGS = {
    "y": {"0": "landbird", "1": "waterbird"},
    "split": {"0": "train", "1": "val", "2": "test"},
    "place": {"0": "land", "1": "water"},
}
"""What the numbers of the metadata stand for."""


class Waterbirds(BenchmarkKind):
    """``FOLDER/metadata.csv``, with a row for each picture; the background is its ``place``.

    Labels are ``landbird`` and ``waterbird``. Pictures that no row names are told of, and so are rows whose picture is
    not there.
    """

    settings = ("splits",)

    def check_layout(self, labels: LabelMap | None) -> None:
        for name in self.given["splits"]:
            known = MEANINGS["split"].values()
            if name not in known:
                raise D3SError(
                    f"{self.where}: splits: there is no {name!r}{suggest(name, known)}",
                    f"take some of {', '.join(known)}",
                )
        self._columns(next(self._lines(), []))
        if labels is not None and not set(labels.ids) & set(MEANINGS["y"].values()):
            raise D3SError(
                f"{self.where}: {labels.where} has neither of the labels landbird and waterbird",
                "name them in its column label",
            )

    def watched(self) -> list[str]:
        return [str(self.folder), str(self.folder / METADATA)]

    def entries(self) -> Iterator[Entry]:
        lines = self._lines()
        columns = self._columns(next(lines, []))
        named = set()
        for number, cells in enumerate(lines, start=2):
            if not any(cells):
                continue
            row = {name: cells[place].strip() if place < len(cells) else "" for name, place in columns.items()}
            told = {name: known.get(row[name], "") for name, known in MEANINGS.items()}
            named.add(row["img_filename"])
            if self.given["splits"] and told["split"] and told["split"] not in self.given["splits"]:
                continue
            strange = [f"{name} {row[name]!r}" for name in MEANINGS if not told[name]]
            reason = f"line {number} of {METADATA} has {' and '.join(strange)}"
            sample = row["img_filename"] or f"{METADATA}:{number}"
            if not row["img_filename"]:
                reason = f"line {number} of {METADATA} names no picture"
            fault = BadInput("bad_row", reason) if strange or not row["img_filename"] else None
            yield Entry(sample, told["y"], told["place"], split=told["split"], fault=fault)
        for path, fault in walk_pictures(self.folder):
            if path not in named:
                yield Entry(path, fault=fault or BadInput("not_listed", f"{METADATA} has no row for it"))

    def _lines(self) -> Iterator[list[str]]:
        path = self.folder / METADATA
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                yield from csv.reader(file)
        except OSError as error:
            raise D3SError(
                f"{self.where}: {path} can't be read ({error.strerror})",
                "name the folder that holds the metadata.csv of Waterbirds, such as waterbird_complete95_forest2water2",
            ) from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise D3SError(f"{self.where}: {path} is not a table ({error})", "fetch the benchmark again") from None

    def _columns(self, header: list[str]) -> dict[str, int]:
        """Where the columns stand."""
        places = {name.strip(): place for place, name in enumerate(header)}
        for name in COLUMNS:
            if name not in places:
                raise D3SError(
                    f"{self.where}: {self.folder / METADATA} has no column {name!r}{suggest(name, places)}",
                    f"it needs the columns {', '.join(COLUMNS)}",
                )
        return {name: places[name] for name in COLUMNS}


KIND = Waterbirds
