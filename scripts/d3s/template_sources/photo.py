"""A single photograph, whose split the table gives."""

from collections.abc import Iterator, Sequence
from functools import partial

from d3s.backgrounds import square_photo
from d3s.errors import BadInput
from d3s.tables import Row
from d3s.template_source import Template, TemplateSettings


def find(row: Row, rows: Sequence[Row], settings: TemplateSettings) -> Iterator[Template]:
    """Its central square.

    Raises:
        BadInput: ``no_split``.
    """
    name = row["template_source"]
    if not row["split"]:
        raise BadInput("no_split", f"the photograph {name} has no split in the table")
    yield Template(name, row["split"], name, partial(square_photo, row["file"], settings.views.size))
