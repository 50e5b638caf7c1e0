"""Folders of pictures as users lay them out: which files count, what there is, what may have been meant.

Standard library alone: the Snakefile looks into folders each time it is parsed.
"""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Endings, in small letters, of the files that are taken for pictures; others in their folders are passed over."""


def suggest(name: str, known: Iterable[str]) -> str:
    """A question after the name that was meant, to end a sentence with; empty if none is near."""
    near = difflib.get_close_matches(name, sorted(known), n=1) or [
        other for other in sorted(known) if other.lower() == name.lower()
    ]
    return f"; did you mean {near[0]!r}?" if near else ""


def subfolders(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted; none if it can't be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []
