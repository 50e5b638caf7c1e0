"""The data set that the authors of D3S released, as a benchmark beside images of one's own."""

import logging
from collections.abc import Iterator

from d3s.benchmark_kind import BenchmarkKind, Entry, listed
from d3s.errors import BadInput, D3SError
from d3s.label_maps import LabelMap
from d3s.released import METADATA, read_records

log = logging.getLogger("d3s")
SPLITS = ("train", "val")
MARGIN = 2
"""Pixels around and between guide and image in one picture; some copies have none."""


class Released(BenchmarkKind):
    """``FOLDER/{train,val}/metadata.json`` with the pictures below it.

    Labels are ImageNet's indices as text, so that no label map is needed; one may sum them up. The background is what
    the shift varies (a place, a country, a time), and the variant is the shift. Of a picture that shows guide and image
    side by side, the image counts.
    """

    settings = ("splits", "variants")
    built_in = "index"

    def check_layout(self, labels: LabelMap | None) -> None:
        there = [split for split in SPLITS if (self.folder / split / METADATA).is_file()]
        for split in self.given["splits"] or there or SPLITS:
            if split not in there:
                raise D3SError(
                    f"{self.where}: {self.folder} has no {split}/{METADATA}",
                    f"name the folder that holds train/ and val/ of the released data set; splits here: "
                    f"{listed(there) or 'none'}",
                )

    def watched(self) -> list[str]:
        return [str(path) for split in SPLITS if (path := self.folder / split / METADATA).is_file()]

    def entries(self) -> Iterator[Entry]:
        for split in SPLITS:
            metadata = self.folder / split / METADATA
            if (self.given["splits"] and split not in self.given["splits"]) or not metadata.is_file():
                continue
            records = read_records(metadata)
            for reason, number in records.refused.most_common():
                log.warning("%s: %d records left out: %s", metadata, number, reason)
            for record in records.placed:
                if self.given["variants"] and record.shift not in self.given["variants"]:
                    continue
                fault = BadInput("contradicted", "records of it say different things") if record.contradicted else None
                place = f"{split}/{record.file}"
                yield Entry(place, str(record.index), record.label, record.shift, split=split, fault=fault)

    def box(self, width: int, height: int) -> tuple[int, int, int, int] | None:
        for margin in (0, MARGIN):
            side = height - 2 * margin
            if side > 0 and width == 2 * side + 3 * margin:
                return side + 2 * margin, margin, 2 * side + 2 * margin, margin + side
        if width != height:
            raise BadInput(
                "wrong_size", f"it is {width} x {height}: neither an image nor an image to the right of its guide"
            )
        return None


KIND = Released
