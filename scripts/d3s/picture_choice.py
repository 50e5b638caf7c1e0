"""Which pictures of many become templates: their splits, a choice that others don't upset, and safe names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from d3s.identity import digest, uniform
from d3s.tables import Row
from d3s.template_source import TemplateSettings

ENDINGS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".jp2", ".avif")
)
"""Endings of file names that are taken for pictures; other files are passed over."""
LONGEST = 40
"""Letters of a picture's own name that its template's name keeps."""


@dataclass(frozen=True)
class Chosen:
    """A picture of a folder or an archive, by its path there, with its template's name and split."""

    path: str
    name: str
    split: str


def is_picture(path: str) -> bool:
    """Whether a path inside a folder or an archive looks like a picture's; hidden ones and macOS's shadows don't."""
    parts = _parts(path)
    hidden = any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in parts)
    return bool(parts) and not hidden and PurePosixPath(parts[-1]).suffix.lower() in ENDINGS


def choose_pictures(row: Row, paths: Iterable[str], settings: TemplateSettings) -> list[Chosen]:
    """The pictures of a source that become templates, by path.

    A picture's split is that of the folder ``train`` or ``val`` that it lies in, else the row's, else hashed from its
    path. If a split has more than ``settings.most``, those with the lowest hashes stay: which ones does not depend on
    the others, so a picture that comes or goes moves at most one.

    Args:
        row: of the source.
        paths: inside the source; a single folder around all of them is passed over.
        settings: seed, share of val and how many at most.
    """
    source, paths = row["template_source"], sorted(paths)
    around = _folder_around(paths)
    by_split: dict[str, list[Chosen]] = {"train": [], "val": []}
    for path in paths:
        parts = _parts(path)[around:]
        split = parts[0] if len(parts) > 1 and parts[0] in by_split else row["split"]
        if not split:
            in_val = uniform(settings.seed, "template.split", source, path) < settings.val_fraction
            split = "val" if in_val else "train"
        by_split[split].append(Chosen(path, safe_name(source, path), split))

    def weight(one: Chosen) -> float:
        return uniform(settings.seed, "template.choice", source, one.path)

    kept = [one for own in by_split.values() for one in sorted(own, key=weight)[: settings.most]]
    return sorted(kept, key=lambda one: one.path)


def _parts(path: str) -> tuple[str, ...]:
    return PurePosixPath(path.replace("\\", "/")).parts


def _folder_around(paths: list[str]) -> int:
    """1 if all paths lie in one folder that is not a split's, as in an archive of a folder; else 0."""
    tops = {parts[0] if len(parts := _parts(path)) > 1 else "" for path in paths}
    return int(len(tops) == 1 and not tops & {"", "train", "val"})


def safe_name(source: str, path: str) -> str:
    """A template's name: the source's, what can be kept of the picture's own, and a digest of its path."""
    stem = _parts(path)[-1].rpartition(".")[0]
    words = re.sub(r"[^A-Za-z0-9]+", "-", stem)[:LONGEST].strip("-")
    return "-".join(part for part in (source, words, digest(path)[:12]) if part)


def printable(text: str) -> str:
    """Text that tables and terminals can hold: a file's name may have line ends, or bytes that are no text."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
