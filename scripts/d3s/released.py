"""The data set that the authors of D3S released, as it lies on disk: its records, and what they say of each picture.

A folder for each split holds ``metadata.json``, a list of records, and its pictures in a folder for each shift. Of a
record are read: ``image`` (a path, of which what follows the shift's folder counts: what stands before it is a place on
the computer that wrote it), ``classIdx`` (of ImageNet's 1000, as a number or a text), ``prompt``, and what the shift
varies: ``background`` (the last word of its phrase), or in ``args`` the whole phrase, the country or the time.

Standard library alone: the Snakefile checks the tables by this module each time it is parsed.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from d3s.errors import D3SError
from d3s.tables import Row, parse_indices

METADATA = "metadata.json"
MOST_BYTES = 2**30
"""The largest metadata that is read; that of 120,000 images with WordNet's definitions is a tenth of it."""
SHIFTS = {"background-shift": "background", "geography-shift": "geography", "time-shift": "time"}
"""The folders of the shifts, and what the shifts are called here."""
PATH = re.compile(rf"(?:.*/)?(({'|'.join(SHIFTS)})/.+)", re.DOTALL)
"""The path of a picture: what counts of it, and the folder of its shift."""
VARIED = {
    "background": ("background",),
    "geography": ("geography",),
    "time": ("time-past", "time-future", "time_past", "time_future"),
}
"""Where a record, or its ``args``, says what a shift varies."""
CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Record:
    """A picture of the data set.

    Attributes:
        file: its path below the folder of its split, as the record has it: it may lead anywhere.
        shift: the prompt family, by its name here.
        label: what the shift varies, in lower case.
        index: ImageNet's index of the class.
        prompt: what the text encoder was given; empty if the record does not say.
        contradicted: whether another record says otherwise of the same picture.
    """

    file: str
    shift: str
    label: str
    index: int
    prompt: str = ""
    contradicted: bool = False


@dataclass
class Records:
    """The records of a split: those that can be placed, and how many can't be, by the reason."""

    placed: list[Record]
    refused: Counter[str] = field(default_factory=Counter)


def find_metadata(folder: str | Path, split: str) -> Path:
    """The metadata of a split.

    Raises:
        D3SError: the folder does not have it.
    """
    path = Path(folder) / split / METADATA
    if not path.is_file():
        raise D3SError(
            f"the released data set lacks {path}", "let released: folder: be the folder that holds its train/ and val/"
        )
    return path


def read_records(metadata: str | Path) -> Records:
    """The records of a split, sorted by file; a record that stands twice counts once.

    Raises:
        D3SError: the metadata can't be read, or is not a list in JSON.
    """
    found: dict[str, Record] = {}
    refused: Counter[str] = Counter()
    contradicted = set()
    for entry in _read_json(Path(metadata)):
        record = read_record(entry)
        if isinstance(record, str):
            refused[record] += 1
        elif record.file not in found:
            found[record.file] = record
        elif _says(found[record.file]) == _says(record):
            refused["a record that stands twice"] += 1
        else:
            refused["a record that contradicts another one of the same picture"] += 1
            contradicted.add(record.file)
    for file in contradicted:
        found[file] = replace(found[file], contradicted=True)
    return Records([found[file] for file in sorted(found)], refused)


def _says(record: Record) -> tuple[str, int]:
    return record.label, record.index


def _read_json(path: Path) -> list[Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise D3SError(f"{path} is larger than {MOST_BYTES // 2**20} MiB", "is it the metadata of a data set?")
        entries = json.loads(path.read_bytes())
    except OSError as error:
        raise D3SError(f"{path} can't be read ({error.strerror})", "correct its path or its permissions") from None
    except (ValueError, RecursionError) as error:
        raise D3SError(f"{path} is not valid JSON ({error})", "fetch the data set again") from None
    if not isinstance(entries, list):
        raise D3SError(f"{path} is not a list of records", "it must be the metadata of the released data set")
    return entries


def read_record(entry: Any) -> Record | str:
    """A record of the metadata, or in words why it can't be placed."""
    if not isinstance(entry, dict):
        return "a record that is none"
    image, args, prompt = entry.get("image"), entry.get("args"), entry.get("prompt")
    if not isinstance(image, str):
        return "no image"
    path = PATH.fullmatch(_whole(image))
    if path is None:
        return "an image whose path names no shift"
    index = _read_index(entry.get("classIdx"))
    if index is None:
        return "no classIdx of ImageNet's 1000"
    shift = SHIFTS[path[2]]
    label = _read_label(VARIED[shift], entry, args if isinstance(args, dict) else {})
    if not label:
        return f"no {VARIED[shift][0]}"
    return Record(path[1], shift, label, index, _whole(prompt) if isinstance(prompt, str) else "")


def _read_index(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(CLASSES)):
        value = int(value)
    return value if type(value) is int and 0 <= value < CLASSES else None


def _read_label(names: Iterable[str], *places: Mapping[str, Any]) -> str:
    for name in names:
        for place in places:
            value = place.get(name)
            if type(value) in (int, str) and (label := _plain(str(value))):
                return label
    return ""


def _whole(text: str) -> str:
    """A text that can be written as UTF-8: JSON can hold halves of letters."""
    return text.encode("utf-8", "replace").decode()


def _plain(text: str) -> str:
    return " ".join(_whole(text).split()).casefold()


def labels_of(row: Row) -> set[str]:
    """The labels by which records may call a background: its name, its phrase, and the last words of its phrase.

    So ``on a road`` is called ``road``, and ``in Saudi Arabia`` is called ``saudi arabia``.
    """
    words = _plain(row["phrase"]).split()
    return {_plain(row["background"]), *(" ".join(words[start:]) for start in range(len(words)))}


def check_tables(classes: list[Row], backgrounds: list[Row]) -> None:
    """Make sure that every record can belong to one class and to one background at most.

    Args:
        classes: rows of the table of classes.
        backgrounds: rows of the table of backgrounds.

    Raises:
        D3SError: naming the rows that are in the way.
    """
    owners: dict[int, str] = {}
    for row in classes:
        indices = parse_indices(row["imagenet_indices"])
        if not indices:
            raise D3SError(
                f"the class {row['name']!r} has no imagenet_indices, by which records of the released data set know it",
                "fill that column in; scripts/write_class_table.py writes the table of all of ImageNet",
            )
        for index in indices:
            if owners.setdefault(index, row["name"]) != row["name"]:
                raise D3SError(
                    f"{owners[index]} and {row['name']} both have the ImageNet index {index}",
                    "give each index to one class: it decides where a record belongs",
                )
    called: dict[tuple[str, str], str] = {}
    for row in backgrounds:
        shift = row["shift"]
        if shift not in VARIED:
            raise D3SError(
                f"the background {row['background']!r} is of the shift {shift!r}, which the released data set lacks",
                f"its shifts are: {', '.join(VARIED)}",
            )
        for label in sorted(labels_of(row)):
            other = called.setdefault((shift, label), row["background"])
            if other != row["background"]:
                raise D3SError(
                    f"the backgrounds {other!r} and {row['background']!r} would both be what records call {label!r}",
                    "let the phrase of one of them end otherwise",
                )
