"""Benchmarks of others as they lie on disk: one class per kind, found by its name, in ``d3s/benchmark_kinds/``.

A kind tells which paths a plan has to watch, whether the folder is laid out as it must be, and which pictures there are
with what is known of them. The Snakefile uses it each time it is parsed: nothing here and at the top of a kind's module
imports more than the standard library, and a plan looks at a few folders, never at every file.
"""

import importlib
import os
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import d3s.benchmark_kinds
from d3s.errors import BadInput, D3SError
from d3s.folders import PICTURES, subfolders, suggest
from d3s.label_maps import LabelMap
from d3s.subject_names import TAKEN

ALWAYS = ("name", "kind", "folder", "labels", "limit_per_class")
"""Keys of a benchmark that every kind has."""
MOST_NAMED = 8
"""Things that a message lists."""
MOST_BRANCHES = 64
"""Folders of a level that a plan looks into; of more, it looks into the first alone."""


@dataclass(frozen=True)
class Entry:
    """A picture of a benchmark.

    Attributes:
        sample: its path below the benchmark's folder, with ``/``.
        label: as the benchmark calls its class; empty if nothing says.
        background, variant, matched_set, split: what is known of it; empty where there is no such thing.
        fault: why it can't be used, where that is known without opening it.
    """

    sample: str
    label: str = ""
    background: str = ""
    variant: str = ""
    matched_set: str = ""
    split: str = ""
    fault: BadInput | None = None


class BenchmarkKind(ABC):
    """One kind of benchmark.

    Attributes:
        settings: the keys that it has beside ``ALWAYS``.
        required: those of them that must be given.
        built_in: what its labels are if the config names no label map: ``synset``, ``index``, or empty where a map is
            needed.

    Args:
        given: an entry of ``benchmarks:``, complete.
    """

    settings: ClassVar[tuple[str, ...]] = ()
    required: ClassVar[tuple[str, ...]] = ()
    built_in: ClassVar[str] = ""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.folder = Path(given["folder"])
        self.where = f"benchmarks: {given['name']}"

    @property
    def own(self) -> dict[str, Any]:
        """What of the entry concerns this kind: a key that another kind gets some day changes nothing here."""
        return {name: self.given[name] for name in (*ALWAYS, *self.settings)}

    def check(self, labels: LabelMap | None) -> None:
        """Look for what would spoil all of it, at the cost of a few looks at the disk.

        Args:
            labels: its label map; none if the config names none.

        Raises:
            D3SError: the folder is not there, or not of the kind's layout, or doesn't fit the label map.
        """
        if not self.folder.is_dir():
            raise D3SError(
                f"{self.where}: the folder {self.folder} is not there", "correct folder:, or unpack the benchmark there"
            )
        self.check_layout(labels)

    @abstractmethod
    def check_layout(self, labels: LabelMap | None) -> None:
        """The part of ``check`` that knows the kind's layout; the folder is there."""

    def watched(self) -> list[str]:
        """The paths whose times tell that the benchmark changed."""
        return [str(self.folder)]

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """Its pictures, in a fixed order; what can't be used is an entry too, with its fault.

        Raises:
            D3SError: what lists them can't be read.
        """

    def box(self, width: int, height: int) -> tuple[int, int, int, int] | None:
        """Which part of a picture counts (left, upper, right, lower); none is the whole.

        Raises:
            BadInput: no picture of this kind has that size.
        """
        return None


def build_benchmark(given: Mapping[str, Any]) -> BenchmarkKind:
    """The benchmark that an entry of ``benchmarks:`` names; ``kind`` is a module, whose ``KIND`` it is."""
    kind: type[BenchmarkKind] = importlib.import_module(f"d3s.benchmark_kinds.{given['kind']}").KIND
    return kind(given)


def known_kinds() -> list[str]:
    """The names of all kinds."""
    return sorted(module.name for module in pkgutil.iter_modules(d3s.benchmark_kinds.__path__))


def check_benchmarks(benchmarks: Sequence[Mapping[str, Any]]) -> None:
    """Check that each benchmark has a name of its own and a kind that there is, and its kind's settings and no others.

    Raises:
        D3SError: naming the benchmark and the key.
    """
    seen: set[str] = set()
    for given in benchmarks:
        name, where = given["name"], f"config, benchmarks: {given['name']}"
        if name in TAKEN:
            raise D3SError(
                f"{where}: that is what a data set of this workflow is called",
                f"take another name than {', '.join(TAKEN)}",
            )
        if name in seen:
            raise D3SError(f"{where}: two benchmarks have this name", "give each a name of its own")
        seen.add(name)
        if given["kind"] not in known_kinds():
            raise D3SError(
                f"{where}: there is no kind {given['kind']!r}{suggest(given['kind'], known_kinds())}",
                f"take one of {', '.join(known_kinds())}, or add d3s/benchmark_kinds/{given['kind']}.py",
            )
        _check_settings(build_benchmark(given), where)


def _check_settings(benchmark: BenchmarkKind, where: str) -> None:
    given = benchmark.given
    usual = {"table": "", "levels": ["label"], "matched_by": "nothing", "variants": [], "splits": []}
    for name, value in given.items():
        if name not in benchmark.own and value != usual.get(name):
            raise D3SError(
                f"{where}: the kind {given['kind']} has no setting {name!r}",
                f"remove it; its settings are: {', '.join(benchmark.own)}",
            )
    needed = benchmark.required if benchmark.built_in else ("labels", *benchmark.required)
    for name in needed:
        if not given[name]:
            raise D3SError(f"{where}: the kind {given['kind']} needs {name!r}", "add it to the benchmark")


def walk_pictures(folder: Path) -> Iterator[tuple[str, BadInput | None]]:
    """The pictures below a folder, by path, and what can't be looked into; hidden and other files are passed over.

    Links to folders are not followed, since they could lead out, or round in a circle. No file is asked for its size or
    times: there may be a million.

    Yields:
        The path below the folder, with ``/``, and why it can't be used, if that is known.
    """
    yield from _walk(str(folder), "")


def _walk(folder: str, inside: str) -> Iterator[tuple[str, BadInput | None]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        yield inside or ".", BadInput("unreadable", f"the folder can't be read ({error.strerror})")
        return
    for entry in entries:
        path = f"{inside}/{entry.name}" if inside else entry.name
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, path)
        elif entry.is_symlink() and os.path.isdir(entry.path):
            yield path, BadInput("link", "it is a link to a folder, and those are not followed; name the folder itself")
        elif os.path.splitext(entry.name)[1].lower() in PICTURES:
            yield path, None


class FolderKind(BenchmarkKind):
    """A benchmark whose folders say all of it: each level of them has a meaning.

    Attributes:
        levels: what they mean, from the outermost: names of cells of an ``Entry``, or ``ignored``.
        settings: ``variants`` and ``splits`` choose among those that the levels tell.
    """

    levels: ClassVar[tuple[str, ...]] = ("label",)

    def meanings(self) -> tuple[str, ...]:
        """The levels, as this benchmark has them."""
        return self.levels

    def entries(self) -> Iterator[Entry]:
        for path, fault in walk_pictures(self.folder):
            if self.wanted(entry := self.place(path, fault)):
                yield entry

    def chosen(self, meaning: str) -> Sequence[str]:
        """The variants or splits that are looked at; none for all of them."""
        names: Sequence[str] = self.given.get(f"{meaning}s", ())
        return names

    def place(self, path: str, fault: BadInput | None = None) -> Entry:
        """What the folders of a picture say of it; folders below the last level say nothing."""
        parts, levels = path.split("/"), self.meanings()
        cells: dict[str, list[str]] = {}
        for meaning, part in zip(levels, parts[:-1], strict=False):
            if meaning != "ignored":
                cells.setdefault(meaning, []).append(part)
        told = {name: "-".join(words) for name, words in cells.items()}
        if fault is None and len(parts) <= len(levels):
            fault = BadInput("no_label", f"it lies in no folder of a label; those are {'/'.join(levels)}")
        return Entry(path, fault=fault, **told)

    def wanted(self, entry: Entry) -> bool:
        """Whether the config wants it; what has a fault is told of in any case."""
        chosen = [(self.chosen(name), getattr(entry, name)) for name in ("variant", "split")]
        return entry.fault is not None or all(not names or name in names for names, name in chosen)

    def check_layout(self, labels: LabelMap | None) -> None:
        """There are folders down to the labels, and some of those that are looked at are in the map."""
        levels, folders = self.meanings(), [self.folder]
        for meaning in levels:
            found = [folder / name for folder in folders for name in subfolders(folder) if not name.startswith(".")]
            if not found:
                raise D3SError(
                    f"{self.where}: {folders[0]} holds no folders; the kind {self.given['kind']} has "
                    f"FOLDER/{'/'.join(levels).upper()}/*",
                    f"correct folder:{self.hint()}",
                )
            if meaning == "label" and (labels or self.built_in):
                self._check_labels([folder.name for folder in found], labels)
            if meaning in ("variant", "split") and levels.count(meaning) == 1:
                self._check_chosen(meaning, [folder.name for folder in found])
                found = [one for one in found if one.name in self.chosen(meaning)] or found
            folders = found if len(found) <= MOST_BRANCHES else found[:1]

    def _check_labels(self, found: Sequence[str], labels: LabelMap | None) -> None:
        """Some folder must be a label that is known."""
        if labels is not None and not set(found) & set(labels.ids):
            raise D3SError(
                f"{self.where}: {labels.where} has none of the labels that are folders here, such as {found[0]!r}"
                f"{suggest(found[0], labels.ids)}",
                f"name the folders in its column label, or correct folder:{self.hint()}",
            )
        if labels is None and self.built_in == "synset" and not any(is_synset(name) for name in found):
            raise D3SError(
                f"{self.where}: its folders are no WordNet ids such as n01440764, but {listed(found)}",
                f"add labels:, a label map (label,name,imagenet_indices), or correct folder:{self.hint()}",
            )

    def _check_chosen(self, meaning: str, found: Sequence[str]) -> None:
        """What the config chooses must be there."""
        for name in self.chosen(meaning):
            if name not in found:
                raise D3SError(
                    f"{self.where}: {meaning}s: there is no {name!r}{suggest(name, found)}",
                    f"take some of {listed(sorted(set(found)))}",
                )

    def hint(self) -> str:
        """What may be meant instead of the folder, to end a remedy with."""
        return ""


def is_synset(text: str) -> bool:
    """Whether a text is a WordNet id of a noun, as ImageNet's folders are called."""
    return len(text) == 9 and text[0] == "n" and text[1:].isascii() and text[1:].isdigit()


def listed(names: Sequence[str]) -> str:
    """The first few of some names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
