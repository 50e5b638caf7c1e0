"""Where exemplars come from: one class per kind of source, found by its name, in ``d3s/sources/``.

A source tells which files a plan has to watch, which candidates a class has, and opens one of them. The Snakefile uses
it each time it is parsed, so that nothing here and at the top of a source's module imports more than the standard
library: what opens pictures is imported where it is called.
"""

import importlib
import os
import pkgutil
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import d3s.sources
from d3s.errors import BadInput, D3SError
from d3s.folders import PICTURES
from d3s.identity import digest
from d3s.tables import Row, slice_digest

if TYPE_CHECKING:
    from PIL import Image

LONGEST_NAME = 80
"""Characters of an exemplar's name, which becomes the name of a member of a tar."""


@dataclass(frozen=True)
class Candidate:
    """A picture, or an object in one, that may become an exemplar.

    Attributes:
        exemplar: the name that it would have, its own within the whole data set.
        image: the picture's path.
        mask: what its mask is, in words that lead a person there; empty if it has none of its own.
        split_group: candidates of one group never come into different splits; such as the picture's name.
        split: ``train`` or ``val`` where the source says so; else it is hashed from ``identity``.
        identity: the group, by what makes it one among all classes.
        detail: what its source needs to open it.
        fault: why it can't be used, where that is known without opening it.
    """

    exemplar: str
    image: str
    mask: str
    split_group: str
    split: str
    identity: tuple[str, ...]
    detail: Any = None
    fault: BadInput | None = None


class Source(ABC):
    """One kind of source.

    Attributes:
        settings: the keys of ``foregrounds: source:`` that it has, beside ``kind`` and ``licence_source``.
        required: those of them that must be given.
        columns: the cells of the class table that its candidates depend on.
        chooses: whether its candidates are chosen among; else all of them become exemplars.
        memory: megabytes that a job needs.

    Args:
        given: the section ``foregrounds: source:``, complete.
        table: rows of the exemplar table, for the kind that has one.
    """

    settings: ClassVar[tuple[str, ...]] = ()
    required: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[tuple[str, ...]] = ("class_id", "name")
    chooses: ClassVar[bool] = True
    memory: ClassVar[int] = 2000

    def __init__(self, given: Mapping[str, Any], table: Sequence[Row] = ()) -> None:
        self.given, self.table = given, table

    @property
    def own(self) -> dict[str, Any]:
        """What of the section concerns this kind: a key that another kind gets some day changes nothing here."""
        names = ("kind", *(("licence_source",) if self.chooses else ()), *self.settings)
        return {name: self.given[name] for name in names}

    @property
    def without_mask(self) -> str:
        """What becomes of pictures without a mask."""
        return self.given["without_mask"] if "without_mask" in self.settings else "pass_over"

    def slice(self, classes: Sequence[Row]) -> str:
        """The digest of the tables' cells that the candidates of some classes depend on."""
        return slice_digest(classes, self.columns)

    @abstractmethod
    def check(self, classes: Sequence[Row]) -> None:
        """Look for what would spoil every class, at the cost of a few looks at the disk.

        Raises:
            D3SError: a folder or a file of the source is not there, is not of its layout, or doesn't fit the classes.
        """

    @abstractmethod
    def watched(self, classes: Sequence[Row]) -> list[str]:
        """The files and folders whose times tell that the candidates of some classes changed; some may be missing."""

    def pictures(self, classes: Sequence[Row]) -> list[str]:
        """The files whose contents tell it too, where they are known one by one; some may be missing."""
        return []

    @abstractmethod
    def candidates(self, row: Row) -> list[Candidate]:
        """The candidates of a class, from its row of the class table, in any order.

        Raises:
            BadInput: there are none, and why.
        """

    @abstractmethod
    def open(self, candidate: Candidate) -> "Image.Image":
        """The picture: ``RGBA``, or ``RGB`` if it has neither a mask nor transparency.

        Raises:
            BadInput: it can't be used.
        """


def build_source(given: Mapping[str, Any], table: Sequence[Row] = ()) -> Source:
    """Make the source that the section ``foregrounds: source:`` names.

    Args:
        given: the section, complete; ``kind`` is a module of ``d3s.sources``, whose ``SOURCE`` it is.
        table: rows of the exemplar table.

    Raises:
        D3SError: there is no such kind.
    """
    return _kind(given["kind"])(given, table)


def _kind(name: str) -> type[Source]:
    known = sorted(module.name for module in pkgutil.iter_modules(d3s.sources.__path__))
    if name not in known:
        raise D3SError(
            f"foregrounds: source: kind: there is no kind {name!r}",
            f"take one of {', '.join(known)}, or add d3s/sources/{name}.py",
        )
    kind: type[Source] = importlib.import_module(f"d3s.sources.{name}").SOURCE
    return kind


def check_settings(
    foregrounds: Mapping[str, Any], usual: Mapping[str, Any], exemplars: str, table_needed: bool = True
) -> None:
    """Check that a source has its settings and no other's, and that they fit the rest of ``foregrounds``.

    Args:
        foregrounds: the section, complete.
        usual: the section with nothing but defaults.
        exemplars: the path of the exemplar table; empty if the config has none.
        table_needed: whether exemplars are needed at all; a released data set comes without.

    Raises:
        D3SError: naming the key.
    """
    given, defaults = foregrounds["source"], usual["source"]
    kind, where = _kind(given["kind"]), "config, foregrounds: source"
    own = kind(given).own
    for name, value in given.items():
        if name not in own and value != defaults[name]:
            raise D3SError(
                f"{where}: the kind {given['kind']} has no setting {name!r}",
                f"remove it; its settings are: {', '.join(own)}",
            )
    for name in kind.required:
        if not given[name]:
            raise D3SError(f"{where}: the kind {given['kind']} needs {name!r}", "add it to the config")
    if kind.chooses and exemplars:
        raise D3SError(
            f"config, tables: exemplars: {exemplars} would not be read: the exemplars are chosen by the kind "
            f"{given['kind']} of foregrounds: source:",
            "remove one of the two",
        )
    if not kind.chooses and not exemplars and table_needed:
        raise D3SError(
            "config, tables: there is no table of exemplars",
            "add exemplars: to it, or name another foregrounds: source:",
        )
    if not kind.chooses and foregrounds["exemplars_per_class"] != usual["exemplars_per_class"]:
        raise D3SError(
            f"config, foregrounds: exemplars_per_class: the kind {given['kind']} takes all exemplars that it names",
            "remove it, or remove rows from the table",
        )
    segmentation = foregrounds["segmentation"]
    if given["without_mask"] == "segment":
        for name in ("model", "sha256"):
            if not segmentation[name]:
                raise D3SError(
                    f"{where}: without_mask: segment needs foregrounds: segmentation: {name}:", "add it to the config"
                )
    elif segmentation != usual["segmentation"]:
        raise D3SError(
            "config, foregrounds: segmentation: nothing is segmented",
            "set foregrounds: source: without_mask: segment, or remove the section",
        )


def exemplar_name(*parts: str) -> str:
    """A name made of parts that may hold anything: what a file's name can't have is replaced, and a digest added."""
    text = "-".join(parts)
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", text)[:LONGEST_NAME]
    return plain if plain == text else f"{plain}-{digest(text)[:8]}"


def list_pictures(folder: Path) -> list[Path]:
    """The pictures that lie in a folder, by name.

    Raises:
        BadInput: ``no_folder``: it is not there, or can't be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if os.path.splitext(entry.name)[1].lower() in PICTURES]
    except OSError as error:
        raise BadInput("no_folder", f"the folder {folder} can't be read ({error.strerror})") from None
    return [folder / name for name in sorted(names) if not name.startswith(".")]


def unique_stems(files: Iterable[Path]) -> dict[Path, str]:
    """What to call each file of a folder: its name without the ending, or with it where another one has that name."""
    files = list(files)
    stems = Counter(file.stem for file in files)
    return {file: file.stem if stems[file.stem] == 1 else file.name for file in files}
