"""The tables of the config: read as text, checked against closed schemas, sliced for the jobs that need a part of them.

Standard library alone: the Snakefile reads them each time it is parsed.
"""

import csv
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from d3s.errors import D3SError
from d3s.identity import digest

Row = dict[str, str]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What may name a thing: it becomes part of file names, so no blanks, no slashes, no leading dot."""
NAMES = re.compile(rf"{NAME.pattern}( {NAME.pattern})*")
INTEGER = re.compile(r"\d+")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
POSITIVE = re.compile(r"(?=.*[1-9])\d+(\.\d+)?")
SHA256 = re.compile(r"[0-9a-f]{64}")
INDICES = re.compile(r"\d+(-\d+)?( \d+(-\d+)?)*")
SYNSET = re.compile(r"[nvasr]\d{8}")
TEXT = re.compile(r".*\S.*")
ANY = re.compile(r".*")

FETCHED_KINDS = ("debian", "npm", "pypi")
"""Kinds of sources that the workflow fetches; a ``local`` one is data that the user has, there for its licence."""


@dataclass(frozen=True)
class Schema:
    """A closed schema of a table.

    Attributes:
        columns: what each column's values must look like; a column is required unless it is optional.
        optional: columns that may be left out or be empty.
        key: columns whose values must be unique together.
        choices: columns with a closed set of values.
        defaults: what an empty cell of a column means; it may name other columns, as in ``{background}``.
    """

    columns: Mapping[str, re.Pattern[str]]
    key: tuple[str, ...]
    optional: frozenset[str] = frozenset()
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)


SCHEMAS = {
    "classes": Schema(
        {
            "class_id": INTEGER,
            "name": NAME,
            "label": TEXT,
            "definition": ANY,
            "imagenet_indices": INDICES,
            "synset": SYNSET,
            "usual_backgrounds": NAMES,
        },
        key=("class_id",),
        optional=frozenset({"definition", "imagenet_indices", "synset", "usual_backgrounds"}),
    ),
    "exemplars": Schema(
        {
            "exemplar": NAME,
            "class_id": INTEGER,
            "split_group": NAME,
            "split": NAME,
            "source": NAME,
            "image": TEXT,
            "mask": ANY,
        },
        key=("exemplar",),
        optional=frozenset({"mask", "source", "split_group", "split"}),
        choices={"split": ("train", "val")},
    ),
    "backgrounds": Schema(
        {"background": NAME, "phrase": TEXT, "revision": INTEGER, "shift": NAME, "templates": NAME, "note": ANY},
        key=("background",),
        optional=frozenset({"phrase", "shift", "templates", "note"}),
        defaults={"shift": "background", "templates": "{background}"},
    ),
    "templates": Schema(
        {
            "template_source": NAME,
            "background": NAME,
            "kind": NAME,
            "split": NAME,
            "source": NAME,
            "file": TEXT,
            "yaw_start": NUMBER,
            "exposure": NUMBER,
            "interval": POSITIVE,
        },
        key=("template_source",),
        optional=frozenset({"split", "source", "yaw_start", "exposure", "interval"}),
        choices={"kind": ("archive", "folder", "panorama", "photo", "video"), "split": ("train", "val")},
    ),
    "sources": Schema(
        {
            "source": NAME,
            "kind": NAME,
            "package": TEXT,
            "version": TEXT,
            "licence": TEXT,
            "attribution": TEXT,
            "sha256": SHA256,
        },
        key=("source",),
        optional=frozenset({"sha256"}),
        choices={"kind": (*FETCHED_KINDS, "local")},
    ),
    "labels": Schema(
        {"label": TEXT, "name": TEXT, "imagenet_indices": INDICES},
        key=("label",),
        optional=frozenset({"name", "imagenet_indices"}),
        defaults={"name": "{label}"},
    ),
    "pictures": Schema(
        {"file": TEXT, "label": TEXT, "background": ANY, "variant": ANY, "matched_set": ANY, "split": ANY},
        key=("file", "label"),
        optional=frozenset({"background", "variant", "matched_set", "split"}),
    ),
    "assets": Schema({"source": NAME, "member": TEXT, "sha256": SHA256, "file": TEXT}, key=("file",)),
}


def read_table(path: str | Path, kind: str) -> list[Row]:
    """Read a CSV table and check every cell of it.

    Args:
        path: the table.
        kind: which schema of ``SCHEMAS`` it has.

    Returns:
        Its rows as text, with every column of the schema present.

    Raises:
        D3SError: naming the file, the line, the column and the remedy.
    """
    schema = SCHEMAS[kind]
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise D3SError(
            f"the table {path} does not exist", f"write it, or correct its path under tables: {kind}:"
        ) from None
    except UnicodeDecodeError:
        raise D3SError(f"the table {path} is not UTF-8 text", "save it as CSV with UTF-8 encoding") from None
    lines = csv.reader(text.splitlines())
    header = [name.strip() for name in next(lines, [])]
    _check_header(path, header, schema)
    rows: list[Row] = []
    seen: dict[tuple[str, ...], int] = {}
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise D3SError(
                f"{path}, line {number}: {len(cells)} cells where the header has {len(header)}",
                "quote cells that hold commas, and give every column a cell",
            )
        row = dict.fromkeys(schema.columns, "") | dict(zip(header, (cell.strip() for cell in cells), strict=True))
        _check_row(path, number, row, schema)
        row |= {name: meant.format(**row) for name, meant in schema.defaults.items() if not row[name]}
        key = tuple(row[name] for name in schema.key)
        if key in seen:
            raise D3SError(
                f"{path}, line {number}: {', '.join(schema.key)} {'/'.join(key)!r} stands in line {seen[key]} already",
                "give each row a name of its own",
            )
        seen[key] = number
        rows.append(row)
    if not rows:
        raise D3SError(f"the table {path} has no rows", "add at least one row below its header")
    return rows


def _check_header(path: Path, header: list[str], schema: Schema) -> None:
    for name in header:
        if name not in schema.columns:
            near = difflib.get_close_matches(name, schema.columns, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the columns are: {', '.join(schema.columns)}"
            raise D3SError(f"{path}: unknown column {name!r}", hint)
        if header.count(name) > 1:
            raise D3SError(f"{path}: the column {name!r} stands twice", "remove one of them")
    for name in schema.columns:
        if name not in header and name not in schema.optional:
            raise D3SError(
                f"{path}: the column {name!r} is missing", f"add it; the columns are: {', '.join(schema.columns)}"
            )


def _check_row(path: Path, number: int, row: Row, schema: Schema) -> None:
    for name, pattern in schema.columns.items():
        value = row[name]
        if value == "" and name in schema.optional:
            continue
        if not pattern.fullmatch(value):
            expected = "a value" if value == "" else f"something of the form {pattern.pattern}"
            raise D3SError(f"{path}, line {number}: {name} is {value!r}", f"it needs {expected}")
        if name in schema.choices and value not in schema.choices[name]:
            near = difflib.get_close_matches(value, schema.choices[name], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it is one of: {', '.join(schema.choices[name])}"
            raise D3SError(f"{path}, line {number}: {name} is {value!r}", hint)


def parse_indices(text: str) -> list[int]:
    """``"7-9 80"`` as ``[7, 8, 9, 80]``.

    Raises:
        D3SError: a range runs backwards; it would silently be empty.
    """
    indices: list[int] = []
    for part in text.split():
        first, _, last = part.partition("-")
        if int(last or first) < int(first):
            raise D3SError(f"the range {part!r} of imagenet_indices runs backwards", "write its lower end first")
        indices.extend(range(int(first), int(last or first) + 1))
    return indices


def slice_digest(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> str:
    """The digest of the cells that a job depends on: given to its rule as a parameter, so that it alone triggers it."""
    columns = tuple(columns)
    return digest([[row[name] for name in columns] for row in rows])


def check_slice(rows: list[Row], columns: Iterable[str], expected: str | None, table: str | Path) -> None:
    """Make sure that a job sees the rows that it was planned with.

    Raises:
        D3SError: the table was edited after the run was planned.
    """
    if expected is not None:
        check_digest(slice_digest(rows, columns), expected, table)


def check_digest(found: str, expected: str, table: str | Path) -> None:
    """As ``check_slice``, for who has digested the rows already."""
    if found != expected:
        raise D3SError(
            f"{table} changed while the workflow was running", "start the workflow again; it plans with the new table"
        )
