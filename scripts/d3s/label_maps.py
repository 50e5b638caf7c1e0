"""Label maps: what the labels of a benchmark mean, as classes that are groups of ImageNet's indices.

A map is a CSV with the columns ``label``, ``name`` and ``imagenet_indices`` (``7-9 80``). Labels with the same name are
one class, which has the indices of all of them: so folders of single breeds are scored as dogs. A class without indices
can't be judged by classifiers of ImageNet.

The Snakefile reads maps each time it is parsed: what is not in the standard library is imported where it is called.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from d3s.errors import D3SError
from d3s.tables import Row, parse_indices, read_table

if TYPE_CHECKING:
    from d3s.superclasses import SuperClasses

COLUMNS = ("label", "name", "imagenet_indices")
CLASSES = 1000
"""Of ImageNet."""


@dataclass(frozen=True)
class LabelMap:
    """The classes of a benchmark; a class's id is its place among them, in the order of the map.

    Attributes:
        ids: class id by label.
        names: of the classes.
        indices: of the classes, their ImageNet-1k indices, ascending; none for a class that can't be judged.
        where: what messages call the map.
    """

    ids: Mapping[str, int]
    names: tuple[str, ...]
    indices: tuple[tuple[int, ...], ...]
    where: str

    @classmethod
    def from_rows(cls, rows: Iterable[Row], where: str = "the label map") -> "LabelMap":
        """From rows with the columns ``COLUMNS``.

        Raises:
            D3SError: two classes share an index, or an index is not one of ImageNet's.
        """
        places: dict[str, int] = {}
        groups: list[set[int]] = []
        ids: dict[str, int] = {}
        owner: dict[int, str] = {}
        for row in rows:
            place = ids[row["label"]] = places.setdefault(row["name"], len(places))
            if place == len(groups):
                groups.append(set())
            for index in parse_indices(row["imagenet_indices"]):
                if index >= CLASSES:
                    raise D3SError(f"{where}: {row['name']} has the ImageNet index {index}", "they run from 0 to 999")
                if owner.setdefault(index, row["name"]) != row["name"]:
                    raise D3SError(
                        f"{where}: {owner[index]} and {row['name']} both have the ImageNet index {index}",
                        "give each index to one class, or both labels the same name: their probabilities are compared",
                    )
                groups[place].add(index)
        return cls(ids, tuple(places), tuple(tuple(sorted(group)) for group in groups), where)

    def super_classes(self) -> "SuperClasses":
        """The classes that classifiers of ImageNet can be asked about.

        Raises:
            D3SError: no class has any index.
        """
        from d3s.superclasses import SuperClasses

        classes = zip(self.names, self.indices, strict=True)
        rows = [
            {"class_id": str(place), "name": name, "imagenet_indices": " ".join(map(str, group))}
            for place, (name, group) in enumerate(classes)
        ]
        return SuperClasses.from_rows(rows, self.where)

    def text(self) -> str:
        """The map as CSV, complete and in its order; a class's indices stand with each of its labels."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for label, place in self.ids.items():
            writer.writerow([label, self.names[place], write_indices(self.indices[place])])
        return text.getvalue()


def read_label_map(path: str | Path) -> LabelMap:
    """Read a label map.

    Raises:
        D3SError: it is not there, or not of this form; the message names line and column.
    """
    if not Path(path).is_file():
        raise D3SError(f"the label map {path} is not there", "write it, or correct its path under benchmarks: labels:")
    return LabelMap.from_rows(read_table(path, "labels"), str(path))


def write_indices(indices: Iterable[int]) -> str:
    """``[7, 8, 9, 80]`` as ``"7-9 80"``."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
