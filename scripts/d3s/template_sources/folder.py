"""A folder of photographs, with all that lies below it."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from d3s.backgrounds import square_photo
from d3s.errors import BadInput
from d3s.picture_choice import choose_pictures, is_picture
from d3s.tables import Row
from d3s.template_source import Template, TemplateSettings


def find(row: Row, rows: Sequence[Row], settings: TemplateSettings) -> Iterator[Template]:
    """The central squares of its pictures; each is a group of its own.

    Raises:
        BadInput: ``missing`` or ``empty``.
    """
    folder = Path(row["file"])
    if not folder.is_dir():
        raise BadInput("missing", f"there is no folder {folder.name}")
    paths = list_pictures(folder)
    if not paths:
        raise BadInput("empty", f"the folder {folder.name} holds no pictures")
    for one in choose_pictures(row, paths, settings):
        make = partial(square_photo, folder / one.path, settings.views.size)
        yield Template(one.name, one.split, f"{row['template_source']}:{one.name}", make, one.path)


def list_pictures(folder: Path) -> list[str]:
    """The paths, relative to a folder, of the pictures in it and below it; links to other folders are not followed."""
    found = []
    for place, _, names in os.walk(folder):
        inside = Path(place).relative_to(folder)
        found += [path for name in names if is_picture(path := (inside / name).as_posix())]
    return sorted(found)
