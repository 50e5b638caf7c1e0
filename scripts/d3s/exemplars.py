"""The exemplars of a chunk: chosen, cut out, assigned to splits, and kept from leaking from one into the other."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from d3s import cli
from d3s.errors import BadInput
from d3s.fingerprint import alike, mirrored_dhashes
from d3s.foregrounds import trim_cutout
from d3s.identity import digest, uniform
from d3s.imageio import encode_png, image_digest
from d3s.masking import Masking, pass_over
from d3s.source import Candidate, Source
from d3s.tables import Row

log = logging.getLogger("d3s")

SPLITS = ("train", "val")
"""In the order in which they are filled: what train has, val must not have."""
MOST_REFUSED = 50
"""Candidates of a class and a split that are refused before the choice ends: more is a defect of them all."""
MOST_FAULTS = 10
"""Faults of a class's files, found without opening any, that are told one by one."""

REMEDIES = {
    "missing": "put it there",
    "not_an_image": "fetch it again, or remove it",
    "truncated": "fetch it again, or remove it",
    "too_large": "reduce it, or remove it",
    "empty_mask": "mend its mask, or remove it",
    "too_small": "leave it out, or lower foregrounds: min_side:",
}
"""What to do about a chosen picture that can't be used, by its status, where the reason doesn't say it."""


@dataclass(frozen=True)
class ExemplarSettings:
    """How exemplars are made (the section ``foregrounds`` of the config, and its root seed).

    Attributes:
        max_side: pixels that the longer side is reduced to.
        min_side: pixels that the longer side must have.
        duplicate_distance: bits of 64 that near-duplicates differ in at most.
        val_fraction: share of the split groups that go to val, where nobody says which.
        seed: root of all choices.
        per_class: how many are wanted of a class, by split; for sources that choose.
    """

    max_side: int
    min_side: int
    duplicate_distance: int
    val_fraction: float
    seed: int
    per_class: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "ExemplarSettings":
        """Those of a whole config."""
        given = config["foregrounds"]
        names = ("max_side", "min_side", "duplicate_distance", "val_fraction")
        return cls(**{name: given[name] for name in names}, seed=config["seed"], per_class=given["exemplars_per_class"])


def split_of(candidate: Candidate, val_fraction: float, seed: int) -> str:
    """The split of a candidate: as its source says, else by a hash of its split group."""
    if candidate.split:
        return candidate.split
    return "val" if uniform(seed, "split", *candidate.identity) < val_fraction else "train"


def prepare_exemplars(
    source: Source, classes: Sequence[Row], settings: ExemplarSettings, masking: Masking = pass_over
) -> tuple[pd.DataFrame, list[tuple[str, bytes]]]:
    """Prepare the exemplars of a chunk; what was tried and can't be used stays as a row with its reason.

    A source that chooses has its candidates ranked by a hash, and opens as few of them as it takes to fill the wanted
    numbers: the next one takes the place of each that is refused. Of another source, everything becomes an exemplar.

    A split group in both splits, and a val exemplar that looks like a train exemplar of its class (mirrored copies
    included), would let a model recognise what it should generalise to; both are refused. A source that chooses takes
    no copy within a split either.

    Args:
        source: where they come from.
        classes: rows of the class table.
        settings: how they are made.
        masking: what becomes of pictures without a mask.

    Returns:
        One row per exemplar, in the order of their names, and the members of the shard. With a source that chooses, the
        rows also tell the picture's path and its mask.
    """
    records, members = [], []
    choices = [_Choice(source, row, settings, masking) for row in classes]
    made = (pair for choice in choices for pair in choice.run())
    for record, picture in cli.progress(made, sum(choice.expected for choice in choices), "exemplars"):
        records.append(record)
        if picture is not None:
            members.append((record["member"], encode_png(picture)))
    return pd.DataFrame(sorted(records, key=lambda record: str(record["exemplar"]))), members


Made = tuple[dict[str, Any], Image.Image | None]
"""A row, and the picture that it has if it can be used."""


@dataclass(frozen=True)
class _Kept:
    """An exemplar that is used: its row and the fingerprints of its picture and of its mirror image."""

    record: Mapping[str, Any]
    hashes: tuple[int, int]


class _Choice:
    """The exemplars of one class."""

    def __init__(self, source: Source, row: Row, settings: ExemplarSettings, masking: Masking) -> None:
        self.source, self.row, self.settings, self.masking = source, row, settings, masking
        self.kept: list[_Kept] = []
        try:
            candidates = source.candidates(row)
        except BadInput as error:
            candidates = [Candidate(row["name"], "", "", "", "", (), fault=error)]
        self.faulty = [candidate for candidate in candidates if candidate.fault]
        self.candidates: dict[str, list[Candidate]] = {split: [] for split in SPLITS}
        for candidate in sorted((each for each in candidates if not each.fault), key=self._rank):
            self.candidates[split_of(candidate, settings.val_fraction, settings.seed)].append(candidate)

    @property
    def expected(self) -> int:
        """How many exemplars there will be if none is refused."""
        return sum(min(self._wanted(split), len(self.candidates[split])) for split in SPLITS)

    def run(self) -> Iterator[Made]:
        """Rows and pictures, of train first."""
        yield from self._faults()
        for split in SPLITS:
            yield from self._fill(split)

    def _rank(self, candidate: Candidate) -> tuple[str, str]:
        """What candidates are tried in the order of: a hash, so that a new one displaces few; else their names."""
        name = candidate.exemplar
        if not self.source.chooses:
            return "", name
        return digest(self.settings.seed, "exemplar", self.row["class_id"], name), name

    def _wanted(self, split: str) -> int:
        return self.settings.per_class[split] if self.source.chooses else len(self.candidates[split])

    def _faults(self) -> Iterator[Made]:
        faulty = sorted(self.faulty, key=lambda candidate: candidate.exemplar)
        for number, candidate in enumerate(faulty[:MOST_FAULTS], start=1):
            assert candidate.fault is not None
            more = len(faulty) - MOST_FAULTS if number == MOST_FAULTS else 0
            reason = candidate.fault.reason + (f" (and {more} more of this class)" if more > 0 else "")
            yield self._record(candidate, candidate.split) | {"status": candidate.fault.status, "reason": reason}, None

    def _fill(self, split: str) -> Iterator[Made]:
        candidates, wanted = self.candidates[split], self._wanted(split)
        used = refused = 0
        for candidate in candidates:
            if used == wanted or (self.source.chooses and refused == MOST_REFUSED):
                break
            record, picture = self._make(candidate, split)
            used, refused = used + (picture is not None), refused + (picture is None)
            yield record, picture
        if self.source.chooses and used < wanted:
            log.warning(
                "%s: %d of %d %s exemplars; there are %d candidates and %d were refused",
                self.row["name"],
                used,
                wanted,
                split,
                len(candidates),
                refused,
            )

    def _make(self, candidate: Candidate, split: str) -> Made:
        record = self._record(candidate, split)
        try:
            picture = self.source.open(candidate)
            if picture.mode != "RGBA":
                picture = self.masking(candidate, picture)
            name = candidate.image if self.source.chooses else Path(candidate.image).name
            picture = trim_cutout(picture, name, self.settings.max_side, self.settings.min_side)
        except BadInput as error:
            remedy = REMEDIES.get(error.status) if self.source.chooses else None
            return record | {"status": error.status, "reason": "; ".join(filter(None, (error.reason, remedy)))}, None
        record |= {"width": picture.width, "height": picture.height, "digest": image_digest(picture)}
        kept = _Kept(record, mirrored_dhashes(_on_grey(picture)))
        refusal = self._refusal(kept)
        if refusal is not None:
            return record | {"status": refusal.status, "reason": refusal.reason}, None
        self.kept.append(kept)
        record["member"] = f"{candidate.exemplar}.png"
        return record, picture

    def _record(self, candidate: Candidate, split: str) -> dict[str, Any]:
        record = {
            "exemplar": candidate.exemplar,
            "class_id": int(self.row["class_id"]),
            "split_group": candidate.split_group,
            "split": split,
            "status": "ok",
            "reason": "",
            "width": 0,
            "height": 0,
            "member": "",
            "digest": "",
        }
        if self.source.chooses:
            source = self.source.given["licence_source"]
            record |= {"image": candidate.image, "mask": candidate.mask, "source": source}
        return record

    def _refusal(self, made: _Kept) -> BadInput | None:
        """Why an exemplar can't stand beside those that are used already, if it can't."""
        name, split = made.record["exemplar"], made.record["split"]
        for other in self.kept:
            twin = other.record["exemplar"]
            copy = alike(made.hashes, other.hashes, self.settings.duplicate_distance)
            if other.record["split"] != split and (copy or other.record["split_group"] == made.record["split_group"]):
                return BadInput(
                    "leaks_across_splits", f"{name} is in val, and {twin} of train is its copy or of its split group"
                )
            if self.source.chooses and other.record["split"] == split and copy:
                return BadInput("duplicate", f"{name} looks like {twin}, which is used already")
        return None


def _on_grey(picture: Image.Image) -> Image.Image:
    ground = Image.new("RGB", picture.size, (127, 127, 127))
    ground.paste(picture, (0, 0), picture)
    return ground
