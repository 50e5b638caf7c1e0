"""Super-classes: groups of ImageNet's classes that the classes of a data set stand for."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from d3s.errors import D3SError
from d3s.tables import Row, check_slice, parse_indices, read_table

JUDGING_COLUMNS = ("class_id", "name", "imagenet_indices")
"""The columns of the table of classes that judgements depend on."""


@dataclass(frozen=True)
class SuperClasses:
    """The classes of the data set that ImageNet has, each a group of its indices.

    Attributes:
        ids: class ids, ascending.
        names: of the same classes.
        indices: of the same classes, their ImageNet-1k indices.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    indices: tuple[tuple[int, ...], ...]

    @classmethod
    def from_rows(cls, rows: list[Row], table: str | Path = "the table of classes") -> "SuperClasses":
        """From rows of the table of classes; one without indices can't be judged and is left out.

        Raises:
            D3SError: two classes share an index, or no class has any.
        """
        found = sorted((int(row["class_id"]), row["name"], row["imagenet_indices"]) for row in rows)
        ids, names, indices = [], [], []
        owner: dict[int, str] = {}
        for class_id, name, text in found:
            if not text:
                continue
            numbers = sorted(set(parse_indices(text)))
            for number in numbers:
                if number in owner:
                    raise D3SError(
                        f"{table}: {owner[number]} and {name} both have the ImageNet index {number}",
                        "give each index to one class: their probabilities are compared",
                    )
                owner[number] = name
            ids.append(class_id)
            names.append(name)
            indices.append(tuple(numbers))
        if not ids:
            raise D3SError(
                f"{table} gives no class any imagenet_indices", "fill that column in, or leave classifiers out"
            )
        return cls(tuple(ids), tuple(names), tuple(indices))

    def sums(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities of the super-classes.

        Args:
            probabilities: over ImageNet's classes in the last axis.

        Returns:
            The sums over each super-class's indices, in the order of ``ids`` in the last axis; they add up to less
            than 1, because the super-classes are only a part of ImageNet.

        Raises:
            D3SError: the classifier has fewer classes than the table's indices need.
        """
        highest = max(max(group) for group in self.indices)
        if highest >= probabilities.shape[-1]:
            raise D3SError(
                f"the ImageNet index {highest} is beyond the classifier's {probabilities.shape[-1]} classes",
                "correct imagenet_indices in the table of classes (they run from 0 to 999)",
            )
        parts = [probabilities[..., list(group)].astype(np.float64).sum(axis=-1) for group in self.indices]
        return np.stack(parts, axis=-1)


def read_super_classes(path: str | Path, expected: str | None = None) -> SuperClasses:
    """The super-classes of a table of classes.

    Args:
        path: the table.
        expected: what ``tables.slice_digest`` gave for its ``JUDGING_COLUMNS`` when the job was planned.

    Raises:
        D3SError: the table isn't valid, changed since, or gives no class any index.
    """
    rows = read_table(path, "classes")
    check_slice(rows, JUDGING_COLUMNS, expected, path)
    return SuperClasses.from_rows(rows, path)
