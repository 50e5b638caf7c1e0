"""Exemplars that a table names, one by one: each row a picture, with a mask or with transparency of its own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from d3s.source import Candidate, Source
from d3s.tables import Row, slice_digest

if TYPE_CHECKING:
    from PIL import Image

COLUMNS = ("exemplar", "class_id", "split_group", "split", "image", "mask")
"""The cells of the exemplar table that a prepared exemplar depends on."""


class TableSource(Source):
    """The exemplar table. All of its rows are used; missing files are rows with a reason."""

    chooses = False

    def slice(self, classes: Sequence[Row]) -> str:
        return slice_digest(self._rows(classes), COLUMNS)

    def check(self, classes: Sequence[Row]) -> None:
        pass  # the tables are checked against each other

    def watched(self, classes: Sequence[Row]) -> list[str]:
        return []

    def pictures(self, classes: Sequence[Row]) -> list[str]:
        return [path for row in self._rows(classes) for path in (row["image"], row["mask"]) if path]

    def candidates(self, row: Row) -> list[Candidate]:
        found = []
        for own in self._rows([row]):
            group = own["split_group"] or own["exemplar"]
            identity = (own["class_id"], group)
            found.append(Candidate(own["exemplar"], own["image"], own["mask"], group, own["split"], identity))
        return found

    def open(self, candidate: Candidate) -> "Image.Image":
        from d3s.foregrounds import read_cutout

        return read_cutout(candidate.image, candidate.mask or None)

    def _rows(self, classes: Sequence[Row]) -> list[Row]:
        ids = {row["class_id"] for row in classes}
        return [row for row in self.table if row["class_id"] in ids]


SOURCE = TableSource
