"""What can be said of an export from its rows and tables alone, as numbers and sentences for card and Croissant."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from d3s.export.records import SPLITS, Labels
from d3s.tables import Row

FEW = 10
"""Classes on backgrounds that have fewer images are counted among the limits."""
MOST_NAMED = 10
"""Names that a sentence lists before it only counts the rest."""
COLLECTIONS = ("folder", "archive")
"""Kinds of template sources that hold many pictures."""

MODES = {
    "image2image": "A diffusion model painted this guide anew, from an image of it in noise and a prompt.",
    "inpainting": (
        "A diffusion model painted the background of this guide anew, from an image of it in noise and a prompt; the "
        "cut-out kept its pixels."
    ),
    "text2image": (
        "A diffusion model painted the image from a prompt alone: the guide, and with it the cut-out and the template "
        "that the fields name, had no part in it."
    ),
    "released": (
        "The image was taken over from the data set that the authors of the method released, which does not record its "
        "cut-out, its template, or how the model was set."
    ),
}
"""What the model was given, by mode."""


@dataclass(frozen=True)
class About:
    """What the config and the tables say.

    Attributes:
        labels: classes and backgrounds.
        exemplars, templates, sources: rows of these tables.
        settings: a slice of the config: ``export``, ``prompts``, ``seed``, ``guides``, ``screens``, ``annotations``,
            ``foregrounds``.
        model_licence: what the card of the generator states in its head, if it has one.
    """

    labels: Labels
    exemplars: Sequence[Row]
    templates: Sequence[Row]
    sources: Sequence[Row]
    settings: Mapping[str, Any]
    model_licence: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of an export.

    Attributes:
        images: how many it has.
        shifts: the prompt families.
        splits: a row per split that has images: split, and how many images, classes, backgrounds, exemplars, templates,
            matched sets and complete ones it has.
        outcomes: a row per status of the manifest: status, one number per split.
        verified: a row per kind of judge: verified_by, one number per split.
        judges: classifiers that judged any of the images.
        votes, voted: people's votes that counted, and images that have any.
        cells: images by class and background, one table per split.
        sizes: width and height in pixels, with their images.
        shared: what the splits must not have in common, and how many of it they have.
        panoramas: how many of them show in both splits, in different directions.
        generators: a row per way of making images, with its images.
        modes: a sentence for each mode among them: what the model was given.
        imported: whether the images are those of the released data set.
        sources: a row per source of pictures that went into the images.
        limits: sentences.
    """

    images: int
    shifts: list[str]
    splits: list[dict[str, Any]]
    outcomes: list[dict[str, Any]]
    verified: list[dict[str, Any]]
    judges: list[str]
    votes: int
    voted: int
    cells: dict[str, pd.DataFrame]
    sizes: dict[tuple[int, int], int]
    shared: dict[str, int]
    panoramas: int
    generators: list[dict[str, Any]]
    modes: list[str]
    imported: bool
    sources: list[dict[str, Any]]
    limits: list[str]


def gather_facts(
    manifest: pd.DataFrame, rows: pd.DataFrame, made_with: pd.DataFrame, sizes: Counter[tuple[int, int]], about: About
) -> Facts:
    """Count everything.

    Args:
        manifest: of all planned images.
        rows: those that are exported.
        made_with: for each of these, how it was made.
        sizes: width and height of the images.
        about: what config and tables say.
    """
    splits = [split for split in SPLITS if (rows["split"] == split).any()]
    cells = {split: _cells(rows[rows["split"] == split], about.labels) for split in splits}
    shared = _shared(rows)
    sources = _sources(rows, about)
    return Facts(
        images=len(rows),
        shifts=sorted(set(rows["shift"])),
        splits=[_describe_split(split, rows[rows["split"] == split]) for split in splits],
        outcomes=_by_split(manifest, "status"),
        verified=_by_split(rows, "verified_by"),
        judges=_judges(rows),
        votes=int(rows["votes"].sum()),
        voted=int((rows["votes"] > 0).sum()),
        cells=cells,
        sizes=dict(sorted(sizes.items())),
        shared=shared,
        panoramas=_shared_panoramas(rows, about),
        generators=_generators(made_with),
        modes=[MODES[mode] for mode in MODES if mode in set(made_with["mode"])],
        imported="released" in set(made_with["mode"]),
        sources=sources,
        limits=_limits(manifest, rows, cells, shared, sources, sizes, about),
    )


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(part: float, of: float) -> str:
    """A share as text."""
    return f"{100 * part / of:.1f} %"


def _describe_split(split: str, rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "split": split,
        "images": len(rows),
        "classes": rows["class_id"].nunique(),
        "backgrounds": rows["background"].nunique(),
        "exemplars": _known(rows, "exemplar")["exemplar"].nunique(),
        "templates": _known(rows, "template")["template"].nunique(),
        "sets": rows["matched_set"].nunique(),
        "complete": rows.loc[rows["set_complete"], "matched_set"].nunique(),
    }


def _known(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows that have a value in a column; imported images lack some."""
    return rows[rows[column].fillna("") != ""]


def _by_split(rows: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    """How often each value of a column stands in each split, the most frequent first."""
    counts = rows.groupby([column, "split"]).size().unstack(fill_value=0)
    splits = [split for split in SPLITS if split in counts]
    found = [{column: name, **{split: int(row[split]) for split in splits}} for name, row in counts.iterrows()]
    return sorted(found, key=lambda row: (-sum(row[split] for split in splits), row[column]))


def _cells(rows: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Images by class name and background; zeros where there are none."""
    counts = pd.crosstab(rows["class_id"], rows["background"])
    ids = [int(row["class_id"]) for row in labels.classes]
    counts = counts.reindex(index=ids, columns=labels.background_names, fill_value=0)
    return counts.set_axis(pd.Index(labels.class_names), axis=0)


def _shared(rows: pd.DataFrame) -> dict[str, int]:
    """What both splits have, though splits are made so that they have it not: zeros, unless something went wrong.

    What no image has on record is left out.
    """
    own = {split: rows[rows["split"] == split] for split in SPLITS}
    columns = {
        "exemplars": ["class_id", "exemplar"],
        "groups of near-duplicate exemplars": ["class_id", "split_group"],
        "templates": ["template"],
        "groups of neighbouring templates": ["template_group"],
        "images": ["image_digest"],
    }
    keys = {
        name: [set(_known(own[split], key[-1])[key].itertuples(index=False)) for split in SPLITS]
        for name, key in columns.items()
        if len(_known(rows, key[-1]))
    }
    return {name: len({*map(tuple, train)} & {*map(tuple, val)}) for name, (train, val) in keys.items()}


def _template_sources(rows: pd.DataFrame) -> pd.Series:
    """The name of the photograph or panorama that each row's template comes from."""
    return rows["template_group"].fillna("").str.split(":").str[0]


def _shared_panoramas(rows: pd.DataFrame, about: About) -> int:
    panoramas = {row["template_source"] for row in about.templates if row["kind"] == "panorama"}
    seen = [set(_template_sources(rows[rows["split"] == split])) for split in SPLITS]
    return len(panoramas.intersection(*seen))


def _generators(made_with: pd.DataFrame) -> list[dict[str, Any]]:
    """Each way of making images, with how many it made; a model is known by its folder's name, not by its place."""
    made = made_with.assign(model=[Path(model).name for model in made_with["model"]])
    counts = made.groupby(list(made.columns), dropna=False).size().rename("images").reset_index()
    return [{str(name): value for name, value in row.items()} for row in counts.to_dict("records")]


def _sources(rows: pd.DataFrame, about: About) -> list[dict[str, Any]]:
    """Where the pictures behind the images come from; a source that no registry knows has no licence here."""
    registry = {row["source"]: row for row in about.sources}
    chosen = about.settings["foregrounds"]["licence_source"]  # of exemplars that no table lists
    exemplars = {row["exemplar"]: row["source"] for row in about.exemplars}
    templates = {row["template_source"]: row["source"] for row in about.templates}
    cutouts = _known(rows, "exemplar")["exemplar"]
    composed = _known(rows, "template_group")
    behind = {
        "foregrounds": (cutouts, cutouts.map(exemplars).fillna(chosen)),
        "backgrounds": (_template_pictures(composed, about), _template_sources(composed).map(templates).fillna("")),
    }
    found = []
    for what, (pictures, sources) in behind.items():
        for source, own in pictures.groupby(sources):
            known = registry.get(str(source), {})
            package = f"{known['package']} {known['version']}" if known else ""
            found.append(
                {
                    "source": str(source),
                    "what": what,
                    "pictures": own.nunique(),
                    "images": len(own),
                    "package": package,
                    "licence": known.get("licence", ""),
                    "attribution": known.get("attribution", ""),
                }
            )
    return found


def _template_pictures(rows: pd.DataFrame, about: About) -> pd.Series:
    """The picture that each row's template comes from: a panorama and a video are one, a folder has one per group."""
    collections = {row["template_source"] for row in about.templates if row["kind"] in COLLECTIONS}
    names = _template_sources(rows)
    return rows["template_group"].where(names.isin(collections), names)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_NAMED])
    return shown if len(names) <= MOST_NAMED else f"{shown} and {len(names) - MOST_NAMED:,} more"


def _limits(
    manifest: pd.DataFrame,
    rows: pd.DataFrame,
    cells: Mapping[str, pd.DataFrame],
    shared: Mapping[str, int],
    sources: Sequence[Mapping[str, Any]],
    sizes: Mapping[tuple[int, int], int],
    about: About,
) -> list[str]:
    """What a user has to know before relying on the images; each sentence is there only if the counts say so."""
    return [
        *_limits_of_verification(manifest, rows),
        *_limits_of_composition(rows, cells),
        *_limits_of_splits(shared),
        *_limits_of_origin(rows, sources, sizes, about),
    ]


def _limits_of_verification(manifest: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    by = rows["verified_by"].value_counts()
    found = []
    if alone := int(by.get("model", 0)):
        found.append(
            f"No person decided about {count(alone, 'image')} ({percent(alone, len(rows))}): a classifier alone did "
            f"({_listed(_judges(rows))}). An image that it accepted may show the wrong thing, or what no person "
            "would recognise."
        )
    if unseen := int(by.get("none", 0)):
        found.append(
            f"Neither a person nor a classifier judged {count(unseen, 'image')} ({percent(unseen, len(rows))})."
        )
    made = manifest[manifest["member"].fillna("") != ""]
    rejected = len(made) - int(made["accepted"].sum())
    if not rows["accepted"].all():
        number = int((~rows["accepted"]).sum())
        found.append(
            f"{count(number, 'image')} of the export were rejected: they are in it because the config asked for all. "
            "The field accepted tells them apart."
        )
    elif rejected:
        found.append(
            f"Of {count(len(made), 'generated image')}, {rejected:,} ({percent(rejected, len(made))}) were rejected "
            "and left out. What is hard for the network that screened is rarer here than was planned, so classifiers "
            "are likely to look better on these images than on all."
        )
    return found


def _limits_of_composition(rows: pd.DataFrame, cells: Mapping[str, pd.DataFrame]) -> list[str]:
    found = []
    composed = _known(rows, "exemplar")
    if unknown := len(rows) - len(composed):
        found.append(
            f"Which cut-outs and templates went into {count(unknown, 'image')} was not recorded: images of both splits "
            "may share them, and none is matched with others."
        )
    sets = composed.drop_duplicates("matched_set")
    broken = int((~sets["set_complete"]).sum())
    if broken:
        found.append(
            f"{broken:,} of {count(len(sets), 'matched set')} ({percent(broken, len(sets))}) are not complete. "
            "Comparisons between backgrounds should use those whose set_complete is true."
        )
    for split, table in cells.items():
        few = [
            f"{class_name} on {background} ({number})"
            for (class_name, background), number in table.stack().sort_values(kind="stable").items()
            if number < FEW
        ]
        if few:
            found.append(
                f"In {split}, {len(few):,} of {count(table.size, 'pair')} of class and background have fewer than "
                f"{FEW} images: {_listed(few)}."
            )
        empty = [str(name) for name, number in table.sum(axis=1).items() if number == 0]
        if empty:
            found.append(
                f"{split} has no image of {_listed(empty)}. ImageFolder numbers the folders that it finds, so there "
                "its class numbers may differ between the splits."
            )
    if composed.empty:
        return found
    cutouts = composed.groupby(["split", "class_name"])["exemplar"].nunique().groupby("split").agg(["min", "max"])
    shown = [f"{_between(low, high, 'cut-out')} in {split}" for split, low, high in cutouts.itertuples()]
    found.append(
        f"The images of a class show {' and '.join(shown)}: they are variations of few objects, so confidence "
        "intervals have to be clustered by exemplar or matched set."
    )
    return found


def _judges(rows: pd.DataFrame) -> list[str]:
    return sorted(set(rows["classifier"].dropna()) - {""})


def _between(low: int, high: int, noun: str) -> str:
    return count(high, noun) if low == high else f"{low:,} to {count(high, noun)}"


def _limits_of_splits(shared: Mapping[str, int]) -> list[str]:
    return [f"Train and val have {number:,} {what} in common." for what, number in shared.items() if number]


def _limits_of_origin(
    rows: pd.DataFrame, sources: Sequence[Mapping[str, Any]], sizes: Mapping[tuple[int, int], int], about: About
) -> list[str]:
    found = []
    largest = max(max(size) for size in sizes)
    found.append(
        f"The images are synthetic and at most {largest} pixels wide: their textures, and the ways in which they fail, "
        "are those of the generator named above. Results on them don't carry over to photographs by themselves."
    )
    unknown = [row for row in sources if not row["licence"]]
    if unknown:
        pictures = sum(row["pictures"] for row in unknown)
        found.append(f"No licence is recorded for {count(pictures, 'picture')} that went into the images.")
    if not about.settings["export"]["licence"]:
        found.append("No licence is stated for the data set as a whole.")
    return found
