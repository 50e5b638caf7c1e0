"""The list of classifiers: networks by name, their weights and what they are for, checked before any job starts."""

import difflib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from d3s.errors import D3SError
from d3s.schema_errors import explain
from d3s.tables import check_digest, slice_digest

Entry = dict[str, Any]
"""An entry with all its keys; see ``classifiers_schema.yaml``."""

LIBRARIES = ("keras", "open_clip", "timm", "torchvision", "transformers")
"""Modules of ``d3s.classifier_libraries``."""
DEFAULTS: Entry = {
    "role": "judge",
    "library": "timm",
    "input": {},
    "label_space": "imagenet-1k",
    "prompts": [],
    "note": "",
}
WEIGHTS = ("library", "architecture", "label_space", "weights")
"""The keys that converted weights depend on."""
PREDICTIONS = ("library", "architecture", "label_space", "input", "prompts")
"""The keys that a network's answers depend on, beside its weights."""
SOURCES = {
    "package": ({"package", "file", "sha256"}, {"package", "file", "sha256"}),
    "hub": ({"hub", "revision"}, {"hub", "revision", "file", "sha256"}),
    "published": ({"published"}, {"published", "sha256", "sha256_prefix"}),
    "file": ({"file"}, {"file", "sha256"}),
}
"""Kinds of weights: the keys that each needs, and those that it may have."""
_SCHEMA_FILE = Path(__file__).with_name("classifiers_schema.yaml")


@cache
def load_schema() -> dict[str, Any]:
    """The schema of an entry, as a mapping that nobody changes."""
    schema: dict[str, Any] = yaml.safe_load(_SCHEMA_FILE.read_text(encoding="utf-8"))
    return schema


def read_classifiers(path: str | Path) -> list[Entry]:
    """Read a list of classifiers and check all of it.

    Returns:
        Its entries in order, with the defaults of what they leave out.

    Raises:
        D3SError: naming the file, the entry, the key and the remedy.
    """
    path = Path(path)
    try:
        listed = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise D3SError(
            f"the list of classifiers {path} can't be read ({error.strerror})",
            "write it, or correct its path under tables: classifiers:",
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        hint = "; a table of earlier versions becomes a list as in docs/classifiers.md" if path.suffix == ".csv" else ""
        raise D3SError(f"{path} is not valid YAML ({error})", f"mend it there{hint}") from None
    if not isinstance(listed, list) or not listed or not all(isinstance(entry, dict) for entry in listed):
        raise D3SError(
            f"{path} is not a list of classifiers", "begin each with '- name: ...', as docs/classifiers.md shows"
        )
    entries = [_checked(entry, number, path) for number, entry in enumerate(listed, start=1)]
    seen: dict[str, int] = {}
    for number, entry in enumerate(entries, start=1):
        if entry["name"] in seen:
            raise D3SError(
                f"{path}: entries {seen[entry['name']]} and {number} are both named {entry['name']!r}",
                "give each classifier a name of its own",
            )
        seen[entry["name"]] = number
    _check_roles(entries, path)
    return entries


def _checked(given: Mapping[str, Any], number: int, path: Path) -> Entry:
    where = f"{path}, entry {number} ({given.get('name', 'without a name')})"
    schema = load_schema()
    errors = sorted(
        Draft202012Validator(schema).iter_errors(given), key=lambda error: list(map(str, error.absolute_path))
    )
    if errors:
        raise explain(errors[0], where, str(path), "scripts/d3s/classifiers_schema.yaml")
    entry = DEFAULTS | dict(given)
    if entry["library"] not in LIBRARIES:
        near = difflib.get_close_matches(entry["library"], LIBRARIES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it is one of: {', '.join(LIBRARIES)}"
        raise D3SError(f"{where}: library is {entry['library']!r}", hint)
    _check_weights(entry["weights"], where)
    return entry


def _check_weights(weights: Mapping[str, Any], where: str) -> None:
    """Exactly one source, with all that it needs and nothing that belongs to another."""
    named = [kind for kind in ("package", "hub", "published") if kind in weights] or ["file"] * ("file" in weights)
    if len(named) != 1:
        raise D3SError(
            f"{where}: weights name {' and '.join(named) or 'no source'}",
            "give exactly one of package:, hub:, published: true and file:",
        )
    needed, allowed = SOURCES[named[0]]
    for key in sorted(needed - set(weights)):
        raise D3SError(f"{where}: weights of the kind {named[0]} need {key}:", "add it beside them")
    for key in sorted(set(weights) - allowed):
        raise D3SError(f"{where}: weights of the kind {named[0]} have no {key}:", "remove it")
    file = PurePosixPath(weights.get("file", "x"))
    if file.is_absolute() or ".." in file.parts or "\\" in str(file):
        what = "the project" if named[0] == "file" else f"the {named[0]}"
        raise D3SError(f"{where}: the file {str(file)!r} leads out of {what}", "use a path inside it")
    if set(str(file)) & set("{}*?[]\n"):
        raise D3SError(f"{where}: the file {str(file)!r} has a character that stands for others", "rename the file")


def _check_roles(entries: Sequence[Entry], path: Path) -> None:
    count = {role: sum(entry["role"] == role for entry in entries) for role in ("backbone", "screen", "judge")}
    for role in ("backbone", "screen"):
        if count[role] != 1:
            raise D3SError(
                f"{path} names {count[role]} classifiers for the role {role!r}",
                "give it to exactly one; one network has one role: backbone, screen or judge",
            )
    if not count["judge"]:
        raise D3SError(f"{path} names no classifier for the role 'judge'", "add one; the first is the report's")
    for entry in entries:
        if entry["role"] == "backbone" and entry["library"] != "timm":
            raise D3SError(
                f"{path}: the backbone {entry['name']} is of {entry['library']}",
                "name one of timm: encoders are built on its networks",
            )
        if entry["role"] == "screen" and entry["label_space"] != "imagenet-1k":
            raise D3SError(
                f"{path}: the screen {entry['name']} has outputs of its own", "name one of ImageNet's thousand classes"
            )
        if entry["prompts"] and entry["library"] not in ("open_clip", "transformers"):
            raise D3SError(
                f"{path}: {entry['name']} has prompts, and {entry['library']} has no networks that read texts",
                "remove them, or correct library:",
            )


def pick(entries: Sequence[Entry], name: str, table: str | Path = "the list of classifiers") -> Entry:
    """The entry of a name.

    Raises:
        D3SError: there is none.
    """
    for entry in entries:
        if entry["name"] == name:
            return entry
    near = difflib.get_close_matches(name, [entry["name"] for entry in entries], n=1)
    hint = f"did you mean {near[0]!r}?" if near else "correct the name, or add an entry for it"
    raise D3SError(f"{table} has no classifier {name!r}", hint)


def entry_digest(entry: Entry, keys: Sequence[str]) -> str:
    """The digest of what a job depends on of an entry: given to its rule as a parameter."""
    return slice_digest([entry], keys)


def read_entry(table: str | Path, name: str, keys: Sequence[str] = (), expected: str | None = None) -> Entry:
    """One entry, which is still what a job was planned with.

    Args:
        table: the list.
        name: of the classifier.
        keys: those that the job depends on.
        expected: what ``entry_digest`` gave for them when it was planned; nothing is compared without it.

    Raises:
        D3SError: the list isn't valid, has no such entry, or was changed since.
    """
    entry = pick(read_classifiers(table), name, table)
    if expected is not None:
        check_digest(entry_digest(entry, keys), expected, table)
    return entry
