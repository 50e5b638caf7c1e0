"""Where templates come from: one module per kind of row, found by its name, in ``d3s/template_sources/``."""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from d3s.backgrounds import ViewSettings
from d3s.tables import Row


@dataclass(frozen=True)
class TemplateSettings:
    """How templates are made of what the table names.

    Attributes:
        views: of panoramas; their ``size`` is that of every template.
        train_frames, val_frames: frames of a video that has no interval.
        val_fraction: share of pictures that go to val where nothing says their split.
        most: templates of each split that one row gives at most.
        duplicate_distance: bits of 64 in which a val template may differ from one of train and still be its copy.
        seed: root seed.
    """

    views: ViewSettings
    train_frames: int
    val_frames: int
    val_fraction: float
    most: int
    duplicate_distance: int
    seed: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "TemplateSettings":
        """From a checked config."""
        own = config["backgrounds"]
        pitches = tuple(float(pitch) for pitch in own["pitches"])
        views = (own["train_views"], own["val_views"], own["field_of_view"], pitches, own["size"])
        names = ("train_frames", "val_frames", "val_fraction", "duplicate_distance")
        settings = {name: own[name] for name in names}
        return cls(views=ViewSettings(*views), most=own["most_per_source"], seed=config["seed"], **settings)


@dataclass(frozen=True)
class Template:
    """One template of a source, yet to be made.

    Attributes:
        name: unique in its background, and fit for the name of a file.
        split: ``train`` or ``val``.
        group: templates that lie near each other share one; it is the source's name, or begins with it and a colon.
        make: gives the picture, ``RGB`` and square, or raises ``BadInput``; called before the next one is asked for.
        picture: which one of its source it is, where that holds many: a path, or a time.
        yaw, pitch: degrees, of a view.
    """

    name: str
    split: str
    group: str
    make: Callable[[], Image.Image]
    picture: str = ""
    yaw: float = 0.0
    pitch: float = 0.0


def find_templates(row: Row, rows: Sequence[Row], settings: TemplateSettings) -> Iterator[Template]:
    """The templates of one row of the table.

    Args:
        row: its ``kind`` is a module of ``d3s.template_sources``, which has a function ``find`` like this one.
        rows: all rows of its background.
        settings: how templates are made.

    Raises:
        BadInput: nothing of it can be used, or nothing more than was given.
    """
    found: Iterator[Template] = importlib.import_module(f"d3s.template_sources.{row['kind']}").find(row, rows, settings)
    return found
