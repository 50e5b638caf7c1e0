"""Locked splits: which images a classifier trains, validates and is tested on, for a pairing and a correlation rho.

Three things hold for the splits of one pairing. *Size*: a class has the same number of training images at every rho,
or an effect of size would pass for one of correlation. *Nesting*: from one rho to a larger one, some images on other
backgrounds are exchanged for images on the class's own; all others stay. *Independence*: images are ordered by hashes
of their names inside their cell, so images of other classes change nothing.
"""

import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from d3s.correlation.pairing import Pairing
from d3s.errors import D3SError
from d3s.held_out import held_groups
from d3s.identity import digest
from d3s.shards import write_json, write_table

log = logging.getLogger("d3s")
COLUMNS = ("sample", "use", "class", "background", "group", "paired")
"""Of a split table.

``use`` is ``train``, ``validation``, ``test``, or ``test_guide`` where the screen rejected an image of val, whose guide
is tested on all the same; ``group`` is class and background; ``paired`` tells whether the two go together.
"""
PRESETS = ("d3s_cor", "d3s_anticorr")
"""Of the paper: each class on its own background alone, and each on others alone, in all three parts."""


@dataclass(frozen=True)
class SplitSettings:
    """How splits are drawn.

    Attributes:
        seed: root of all choices.
        validation_fraction: of each class's split groups of train, held out of training.
        min_images: a class with fewer training images is left out.
    """

    seed: int = 0
    validation_fraction: float = 0.2
    min_images: int = 2


@dataclass(frozen=True)
class Split:
    """A split table and what it was made by.

    Attributes:
        name: of its files.
        pairing: of classes and backgrounds.
        rho: NaN where the data set came with its correlation.
        table: with ``COLUMNS``.
        about: numbers and choices for the JSON beside it.
    """

    name: str
    pairing: Pairing
    rho: float
    table: pd.DataFrame
    about: dict[str, object] = field(default_factory=dict)

    def rows(self, *uses: str) -> pd.DataFrame:
        return self.table[self.table["use"].isin(uses)].reset_index(drop=True)


def split_name(pairing: str, rho: float) -> str:
    """Such as ``k1-p0-rho0.5``: one background per class, pairing 0, rho 0.5."""
    return f"{pairing}-rho{rho:g}"


def hold_out(rows: pd.DataFrame, fraction: float, seed: int) -> set[str]:
    """Split groups of train that serve validation: those that encoders hold out too, with the same share and seed.

    Args:
        rows: group data; only accepted rows of ``split`` train are looked at, and all of these must be given.
        fraction, seed: as ``d3s.held_out.held_groups``.
    """
    train = rows[(rows["split"] == "train") & rows["accepted"]]
    groups, labels, backgrounds = (train[name].astype(str).tolist() for name in ("split_group", "class", "background"))
    return held_groups(groups, labels, backgrounds, fraction, seed)


@dataclass(frozen=True)
class _Supply:
    """What a class has to train on: images on its own backgrounds and on others, each in the order they are taken."""

    own: list[str]
    other: list[str]

    @property
    def size(self) -> int:
        return min(len(self.own), len(self.other))


def _deal(cells: Mapping[str, Sequence[str]], order: Sequence[str]) -> list[str]:
    """One image of each cell in turn, until a cell has none left on its turn: every prefix is balanced."""
    filled = [name for name in order if cells.get(name)]
    dealt: list[str] = []
    for turn in range(max((len(cells[name]) for name in filled), default=0)):
        for name in filled:
            if turn >= len(cells[name]):
                return dealt
            dealt.append(cells[name][turn])
    return dealt


def _supply(rows: pd.DataFrame, label: str, pairing: Pairing, seed: int) -> _Supply:
    """The images of one class, dealt out.

    Args:
        rows: of the class that may be trained on.
    """
    cells = {
        str(name): sorted(own["sample"], key=lambda sample: (digest(seed, "correlation.sample", sample), sample))
        for name, own in rows.groupby("background")
    }
    order = sorted(pairing.used(), key=lambda name: (digest(seed, "correlation.cell", label, name), name))
    mine = pairing.backgrounds[label]
    return _Supply(
        _deal(cells, [name for name in order if name in mine]),
        _deal(cells, [name for name in order if name not in mine]),
    )


def _rounding(pairing: Pairing, seed: int) -> dict[str, float]:
    """Where each class's number of paired images is rounded: spread evenly, so that over all classes it comes out."""
    order = sorted(pairing.backgrounds, key=lambda label: (digest(seed, "correlation.rounding", label), label))
    return {label: (place + 0.5) / len(order) for place, label in enumerate(order)}


def build_splits(rows: pd.DataFrame, pairing: Pairing, rhos: Iterable[float], settings: SplitSettings) -> list[Split]:
    """The splits of one pairing, one for each rho.

    A class has as many training images as its own backgrounds and the others can each give alone, with every cell on a
    side giving equally many; the size is the same for rho 0, 1 and all between, and for the pairing broken altogether.

    Args:
        rows: group data (``groups.COLUMNS``).
        pairing: of its classes.
        rhos: in [0, 1].
        settings: of the draws.

    Raises:
        D3SError: rho is out of range, or fewer than two classes can be trained on.
    """
    wanted = {split_name(pairing.name, rho): float(rho) for rho in rhos}
    for rho in wanted.values():
        if not 0 <= rho <= 1:
            raise D3SError(
                f"rho is {rho:g}", "give correlations from 0 (unbiased) to 1 (each class on its own background)"
            )
    design = _design(rows, pairing, settings)
    return [
        design.split(name, {c: pairing.probability(c, rho) for c in design.supplies}, rho)
        for name, rho in wanted.items()
    ]


def build_presets(rows: pd.DataFrame, pairing: Pairing, settings: SplitSettings) -> list[Split]:
    """``PRESETS`` of a pairing: data sets of their own, whose three parts all keep to it or all break it.

    Raises:
        D3SError: as ``build_splits``.
    """
    design = _design(rows, pairing, settings)
    made = []
    for name, share in zip(PRESETS, (1.0, 0.0), strict=True):
        split = design.split(name, dict.fromkeys(design.supplies, share), 1.0 if share else float("nan"))
        table = split.table[split.table["paired"] == bool(share)].reset_index(drop=True)
        made.append(Split(name, pairing, split.rho, table, split.about | _counted(table)))
    return made


@dataclass(frozen=True)
class _Design:
    """All that the splits of a pairing share."""

    pairing: Pairing
    settings: SplitSettings
    rows: pd.DataFrame
    held: set[str]
    supplies: dict[str, _Supply]
    left_out: list[dict[str, str]]

    def split(self, name: str, probabilities: Mapping[str, float], rho: float) -> Split:
        rounding = _rounding(self.pairing, self.settings.seed)
        chosen: set[str] = set()
        realised = {}
        for label, supply in self.supplies.items():
            # floor(n p + u) grows with p, which is what nests the splits
            paired = min(math.floor(supply.size * probabilities[label] + rounding[label]), supply.size)
            paired = 0 if probabilities[label] == 0 else paired
            chosen |= set(supply.own[:paired]) | set(supply.other[: supply.size - paired])
            realised[label] = paired / supply.size
        table = _table(self.rows, chosen, self.held, self.pairing)
        about = {
            "pairing": {label: list(own) for label, own in self.pairing.backgrounds.items()},
            "rho": None if math.isnan(rho) else rho,
            "seed": self.settings.seed,
            "validation_fraction": self.settings.validation_fraction,
            "images_per_class": {label: supply.size for label, supply in self.supplies.items()},
            "probability": dict(probabilities),
            "paired_share": realised,
            "left_out": self.left_out,
        }
        return Split(name, self.pairing, rho, table, about | _counted(table))


def _design(rows: pd.DataFrame, pairing: Pairing, settings: SplitSettings) -> _Design:
    used = rows[rows["background"].isin(pairing.used()) & rows["class"].isin(list(pairing.backgrounds))]
    given = (used["split"] == "validation").any()  # a data set may bring its own
    held = set() if given else hold_out(rows, settings.validation_fraction, settings.seed)
    trainable = used[(used["split"] == "train") & used["accepted"] & ~used["split_group"].isin(held)]
    supplies, left_out = {}, []
    for label, own in pairing.backgrounds.items():
        supply = _supply(trainable[trainable["class"] == label], label, pairing, settings.seed)
        supplies[label] = supply
        if supply.size >= settings.min_images:
            continue
        del supplies[label]
        side, number = (
            ("its own", len(supply.own)) if len(supply.own) <= len(supply.other) else ("other", len(supply.other))
        )
        reason = f"{number} images for training on {side} backgrounds ({', '.join(own)} are its own)"
        status = "too_few" if number else "empty_cell"
        left_out.append({"class": label, "background": " ".join(own), "status": status, "reason": reason})
        log.warning("%s: class %s is left out: %s", pairing.name, label, reason)
    if len(supplies) < 2:
        example = left_out[0]
        raise D3SError(
            f"pairing {pairing.name}: fewer than two classes have {settings.min_images} images on each side; "
            f"class {example['class']}: {example['reason']}",
            "make more images (images_per_cell:), loosen the screen, or lower correlation: min_images:",
        )
    kept = used[used["class"].isin(list(supplies))]
    return _Design(pairing, settings, kept, held, supplies, left_out)


def _table(rows: pd.DataFrame, chosen: set[str], held: set[str], pairing: Pairing) -> pd.DataFrame:
    train = rows["split"] == "train"
    use = pd.Series("", index=rows.index)
    use[(rows["split"] == "validation") | (train & rows["split_group"].isin(held) & rows["accepted"])] = "validation"
    use[train & rows["sample"].isin(chosen)] = "train"
    use[rows["split"] == "test"] = "test_guide"
    use[(rows["split"] == "test") & rows["accepted"]] = "test"
    made = rows.assign(use=use, group=rows["class"] + "|" + rows["background"], paired=pairing.paired(rows))
    return made.loc[use != "", list(COLUMNS)].sort_values(["use", "sample"], ignore_index=True)


def native_split(rows: pd.DataFrame, pairing: Pairing, settings: SplitSettings) -> Split:
    """A data set with the correlation that it came with, all of its images in use; it is named as the pairing is."""
    known = rows[rows["class"].isin(list(pairing.backgrounds))]
    held = (
        set() if (known["split"] == "validation").any() else hold_out(rows, settings.validation_fraction, settings.seed)
    )
    train = known[(known["split"] == "train") & ~known["split_group"].isin(held)]
    table = _table(known, set(train["sample"]), held, pairing)
    about: dict[str, object] = {
        "pairing": {label: list(own) for label, own in pairing.backgrounds.items()},
        "rho": None,
    }
    about |= {"seed": settings.seed, "validation_fraction": settings.validation_fraction, "left_out": []}
    return Split(pairing.name, pairing, float("nan"), table, about | _counted(table))


def _counted(table: pd.DataFrame) -> dict[str, object]:
    counts = {str(use): int(number) for use, number in table["use"].value_counts().sort_index().items()}
    return {"n": counts, "digest": table_digest(table)}


def table_digest(table: pd.DataFrame) -> str:
    """What locks a split: the digest of its rows."""
    return digest(table[list(COLUMNS)].astype(str).values.tolist())


def write_split(folder: str | Path, split: Split) -> None:
    """Write ``NAME.csv`` and ``NAME.json``."""
    write_table(Path(folder) / f"{split.name}.csv", split.table)
    write_json(
        Path(folder) / f"{split.name}.json", {"name": split.name, "pairing_name": split.pairing.name} | split.about
    )


def read_split(path: str | Path) -> Split:
    """Read a split by the path of its CSV, with the JSON beside it.

    Raises:
        D3SError: a file is missing or broken, or the table is not the one that was locked.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path, dtype={name: str for name in COLUMNS if name != "paired"}, keep_default_na=False)
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        pairing = Pairing(about["pairing_name"], {label: tuple(own) for label, own in about["pairing"].items()})
        rho = float("nan") if about["rho"] is None else float(about["rho"])
        if table_digest(table.astype({"paired": bool})) != about["digest"]:
            raise D3SError(
                f"{path} is not the table that was locked (its digest differs)", "make it again: snakemake probes"
            )
    except (OSError, ValueError, KeyError) as error:
        raise D3SError(f"the split {path} can't be read ({error})", "make it again: snakemake probes") from None
    return Split(path.stem, pairing, rho, table, about)
