"""An equirectangular panorama: views of its train sector and of its val sector."""

from collections.abc import Iterator, Sequence
from functools import partial

from d3s.backgrounds import View, ViewSettings, plan_views
from d3s.panorama import perspective_view, read_display
from d3s.tables import Row
from d3s.template_source import Template, TemplateSettings

BLOCK = 30.0
"""Degrees of yaw; views of one panorama whose centres fall into one block count as one group when folds are made."""


def find(row: Row, rows: Sequence[Row], settings: TemplateSettings) -> Iterator[Template]:
    """A panorama's share of its background's views.

    Raises:
        BadInput: what ``read_display`` raises.
    """
    display = read_display(row["file"], float(row["exposure"] or 0.18))
    cut = settings.views
    for view in _views_of(row, rows, cut):
        make = partial(perspective_view, display, view.yaw, view.pitch, cut.field_of_view, cut.size)
        yield Template(view.name, view.split, _group(row, view), make, yaw=view.yaw, pitch=view.pitch)


def _views_of(row: Row, rows: Sequence[Row], settings: ViewSettings) -> list[View]:
    """Views are shared evenly by a background's panoramas: the first ones take what does not divide evenly."""
    panoramas = sorted(other["template_source"] for other in rows if other["kind"] == "panorama")
    place = panoramas.index(row["template_source"])

    def share(total: int) -> int:
        return total // len(panoramas) + (place < total % len(panoramas))

    start = float(row["yaw_start"] or 0)
    return plan_views(row["template_source"], start, share(settings.train), share(settings.val), settings.pitches)


def _group(row: Row, view: View) -> str:
    offset = (view.yaw - float(row["yaw_start"] or 0)) % 360
    return f"{row['template_source']}:{view.split}:{int(offset // BLOCK)}"
