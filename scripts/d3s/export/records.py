"""What an export holds: which images, in which order, and the fields of each with their types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from d3s.errors import D3SError
from d3s.identity import digest
from d3s.tables import Row

SPLITS = ("train", "val")
"""The splits are called what the manifest, the samples and the paper call them. Hugging Face's own habit is
``validation``, but then one thing would have two names within one data set, and the column ``split`` would contradict
the split that it stands in."""
WHICH = ("accepted", "all")


@dataclass(frozen=True)
class Field:
    """A column of the export beside the image.

    Attributes:
        name: its name in Parquet, in the JSON of the tars and in Croissant.
        kind: ``text``, ``whole``, ``number`` or ``truth``; ``class`` and ``background`` are whole numbers with names.
        meaning: what it says, for the card.
    """

    name: str
    kind: str
    meaning: str


FIELDS = (
    Field("sample", "text", "name of the image"),
    Field("split", "text", "train or val"),
    Field("shift", "text", "prompt family"),
    Field("class", "class", "foreground class: its place in the order of class_id"),
    Field("class_id", "whole", "number of the class in the workflow's table"),
    Field("class_name", "text", "short name of the class"),
    Field("class_label", "text", "words for the class"),
    Field("background", "background", "background: its place in the order of names"),
    Field("background_name", "text", "name of the background"),
    Field("index", "whole", "number of the image within class, background and split"),
    Field("revision", "whole", "revision of the background; fresh samples have a higher one"),
    Field(
        "matched_set",
        "text",
        "images with equal values share exemplar, placement and noise; only the background differs",
    ),
    Field("set_complete", "truth", "every background of the matched set has an accepted image"),
    Field("exemplar", "text", "cut-out that was pasted"),
    Field("split_group", "text", "near-duplicates of the cut-out"),
    Field("template", "text", "picture of the background that it was pasted on"),
    Field("template_group", "text", "neighbouring views of one panorama, or the photograph"),
    Field("prompt", "text", "what the text encoder was given"),
    Field("seed", "whole", "seed of the noise"),
    Field("recipe", "text", "digest of all that determines the pixels"),
    Field("guide_digest", "text", "digest of the guide's decoded pixels"),
    Field("image_digest", "text", "digest of the image's decoded pixels"),
    Field("status", "text", "ok, or why the image was rejected"),
    Field("reason", "text", "the same as a sentence"),
    Field("accepted", "truth", "whether the status is ok"),
    Field("verified_by", "text", "who decided: human (people voted), model (a classifier) or none"),
    Field("votes", "whole", "people's votes that counted"),
    Field("rule", "text", "how votes decide; empty if nobody was asked"),
    Field("decision", "text", "what people decided; empty if nobody was asked, or too few"),
    Field("brightness", "number", "mean of the pixels, 0 to 1"),
    Field("contrast", "number", "standard deviation of the pixels, 0 to 1"),
    Field("dhash", "text", "64-bit difference hash"),
    Field("guide_distance", "number", "distance from the guide"),
    Field("classifier", "text", "network that screened the image"),
    Field("super_top1", "whole", "class_id that it took the image for"),
    Field("super_probability", "number", "probability that it gave the image's own class"),
)
MADE_HERE = {"class", "class_label", "background_name"}
"""Fields that the manifest has no column for."""
ARROW = {
    "text": pa.string(),
    "whole": pa.int64(),
    "number": pa.float64(),
    "truth": pa.bool_(),
    "class": pa.int64(),
    "background": pa.int64(),
}


@dataclass(frozen=True)
class Labels:
    """The classes and backgrounds of an export; a label's number is its place here.

    All rows of the tables count, those without an image too, so that numbers don't move when a class loses its last
    image.

    Attributes:
        classes: rows of the table of classes, by ``class_id``.
        backgrounds: rows of the table of backgrounds, by name.
    """

    classes: Sequence[Row]
    backgrounds: Sequence[Row]

    @classmethod
    def of(cls, classes: Sequence[Row], backgrounds: Sequence[Row]) -> "Labels":
        """The labels of tables in any order."""
        return cls(
            sorted(classes, key=lambda row: int(row["class_id"])),
            sorted(backgrounds, key=lambda row: row["background"]),
        )

    @property
    def class_names(self) -> list[str]:
        return [row["name"] for row in self.classes]

    @property
    def background_names(self) -> list[str]:
        return [row["background"] for row in self.backgrounds]

    def names(self, kind: str) -> list[str]:
        """The names behind the numbers of a field of the kind ``class`` or ``background``."""
        return self.class_names if kind == "class" else self.background_names


def read_manifest(path: Path) -> pd.DataFrame:
    """The manifest (Parquet).

    Raises:
        D3SError: it can't be read, or lacks a column.
    """
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise D3SError(f"{path} can't be read as Parquet ({error})", "delete it and run the workflow again") from None
    needed = [field.name for field in FIELDS if field.name not in MADE_HERE] + ["shard", "member"]
    lacking = [name for name in needed if name not in table]
    if lacking:
        raise D3SError(f"{path} lacks the column {lacking[0]!r}", "delete it and run the workflow again")
    return table


def choose_rows(manifest: pd.DataFrame, which: str) -> pd.DataFrame:
    """The rows to export, in the order of the export.

    Matched sets stay together, and stand in an order that is hashed from their names: readers that shuffle within a
    buffer, as those of tars do, would otherwise see one class at a time.

    Args:
        manifest: as ``read_manifest`` gives it.
        which: ``accepted``, or ``all`` that have an image.

    Raises:
        D3SError: there is nothing to export.
    """
    made = manifest["member"].fillna("") != ""
    rows = manifest[made & manifest["accepted"]] if which == "accepted" else manifest[made]
    if rows.empty:
        raise D3SError(
            f"the manifest has no image to export: {len(manifest)} were planned, {int(made.sum())} made and "
            f"{int(manifest['accepted'].sum())} accepted",
            "lower screens: min_probability: in the config, or set export: which: all",
        )
    places = {name: digest("export", name) for name in rows["matched_set"].unique()}
    keyed = rows.assign(_place=rows["matched_set"].map(places))
    order = ["split", "_place", "matched_set", "background", "sample"]
    return keyed.sort_values(order, ignore_index=True).drop(columns="_place")


def to_arrow(rows: pd.DataFrame, labels: Labels) -> pa.Table:
    """The fields of rows, typed; an empty text stands for a missing one, null for a missing number.

    Raises:
        D3SError: a row's class or background is in no table.
    """
    class_places = {int(row["class_id"]): place for place, row in enumerate(labels.classes)}
    background_places = {name: place for place, name in enumerate(labels.background_names)}
    for column, known, table in (
        ("class_id", class_places, "classes"),
        ("background", background_places, "backgrounds"),
    ):
        strange = sorted(set(rows[column]) - set(known))
        if strange:
            raise D3SError(
                f"the manifest has images of {column} {strange[0]!r}, which the table of {table} does not know",
                "run the workflow again, so that the manifest follows the table",
            )
    classes = rows["class_id"].map(class_places)
    made: Mapping[str, pd.Series] = {
        "class": classes,
        "class_name": classes.map(dict(enumerate(labels.class_names))),
        "class_label": classes.map({place: row["label"] for place, row in enumerate(labels.classes)}),
        "background": rows["background"].map(background_places),
        "background_name": rows["background"],
    }
    columns = []
    for field in FIELDS:
        values = made.get(field.name, rows.get(field.name))
        if field.kind == "text":
            values = values.fillna("").astype(str)
        columns.append(pa.array(values.array, ARROW[field.kind], from_pandas=True))
    return pa.table(columns, names=[field.name for field in FIELDS])
