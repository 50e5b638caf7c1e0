"""What a run would do, in images: which are there, which the store has, which must be made and why, which go.

Snakemake knows which jobs it would run; the recipes of their images are worked out here from manifests and tables,
without making any guide: a guide of the same exemplar, template, placement and size as an earlier one has its pixels.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from d3s.config import Tables
from d3s.generation import plan_recipes
from d3s.subject_names import CROSSED

SIGNATURE = ["shift", "exemplar_digest", "template_digest", "scale", "flip", "x", "y", "size"]
"""What the pixels of a guide depend on."""

REASONS = (
    ("generation_version", "the generation code"),
    ("model_digest", "the model's files"),
    ("mode", "the mode: {old} before and {new} now"),
    ("scheduler", "the scheduler: {old} before and {new} now"),
    ("options", "the scheduler's settings: {old} before and {new} now"),
    ("steps", "the steps: {old} before and {new} now"),
    ("strength", "the strength: {old} before and {new} now"),
    ("guidance", "the guidance: {old} before and {new} now"),
    ("dtype", "the precision: {old} before and {new} now"),
    ("size", "the size: {old} before and {new} now"),
    ("revision", "the background's revision: {old} before and {new} now"),
    ("seed", "the root seed"),
    ("prompt", "the prompt (its template, or the tables' phrases, labels or definitions)"),
    ("negative_prompt", "the negative prompt"),
    ("exemplar", "the choice of exemplar"),
    ("exemplar_digest", "the picture of the exemplar {exemplar}"),
    ("template", "the choice of template"),
    ("template_digest", "the picture of the template {template}"),
    ("scale", "the placement"),
    ("flip", "the placement"),
    ("x", "the placement"),
    ("y", "the placement"),
)
"""Columns in which a sample can differ from the image that there is, the most sweeping first, and how that is told."""


@dataclass(frozen=True)
class Job:
    """A job that Snakemake would run: its rule, its wildcards and Snakemake's reason."""

    rule: str
    wildcards: Mapping[str, str]
    reason: str


def shard_grid(config: Mapping[str, Any], tables: Tables) -> list[tuple[str, str, str, int]]:
    """The (split, shift, background, chunk) of all shards that a config asks for."""
    chunks = sorted({int(row["class_id"]) // config["classes_per_chunk"] for row in tables.classes})
    return [
        (split, row["shift"], row["background"], chunk)
        for split in ("train", "val", *((CROSSED,) if config["crossed"]["exemplars"] else ()))
        for row in tables.backgrounds
        for chunk in chunks
    ]


def parse_dry_run(text: str) -> list[Job]:
    """The jobs that ``snakemake --dry-run`` names."""
    jobs: list[Job] = []
    for block in re.split(r"^(?=(?:local)?(?:rule|checkpoint) \w+:$)", text, flags=re.MULTILINE)[1:]:
        name = re.match(r"\w+ (\w+):", block)
        fields = dict(re.findall(r"^    (\w+): (.*)$", block, flags=re.MULTILINE))
        pairs = [pair.partition("=") for pair in fields.get("wildcards", "").split(", ") if pair]
        if name:
            jobs.append(Job(name[1], {key: value for key, _, value in pairs}, fields.get("reason", "").strip()))
    return jobs


def picture_reason(reason: str, changed: Sequence[str], gone: Sequence[str]) -> str:
    """Snakemake's reason for a job, with pictures by their names in place of the parameter that has their digest.

    Args:
        reason: of Snakemake.
        changed, gone: what ``picture_digests`` noticed of the job's pictures since it last ran.

    Returns:
        The reason as it was if no pictures are among its parameters.
    """
    if not re.search(_PICTURES, reason):
        return reason
    told = [f"{how}: {_some(names)}" for how, names in (("changed or new", changed), ("gone", gone)) if names]
    others = re.sub(
        rf"Params have changed since last execution: [^;]*before: {_PICTURES} now: {_PICTURES} *", "", reason
    )
    return "; ".join(filter(None, [f"pictures {', '.join(told) or 'changed'}", others.strip("; ")]))


_PICTURES = r"'\d+ pictures \w{32}'"
"""The parameter that has the digest of pictures."""


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def find_guides(planned: pd.DataFrame, known: pd.DataFrame, masks: bool = False) -> pd.DataFrame:
    """Fill in the digests of those planned guides that were made before, under whatever name.

    Args:
        planned: rows of ``guides.plan_shard`` with their ``size``.
        known: manifests of guide shards.
        masks: whether the masks of their exemplars are wanted too.

    Returns:
        The planned rows; ``guide_digest`` stays empty where no such guide is known.
    """
    if not {*SIGNATURE, "guide_digest"} <= set(known.columns):
        return planned
    digests = ["guide_digest", "mask_digest"]
    made = known[known["status"] == "ok"].reindex(columns=[*SIGNATURE, *digests])
    made = made.fillna({"mask_digest": ""}).sort_values("mask_digest", ascending=False).drop_duplicates(SIGNATURE)
    found = planned.drop(columns=digests).merge(made, on=SIGNATURE, how="left")
    found = found.fillna(dict.fromkeys(digests, ""))
    if masks:  # a guide without its mask is not known
        found.loc[found["mask_digest"] == "", "guide_digest"] = ""
    return found


def judge_samples(
    planned: pd.DataFrame,
    images: pd.DataFrame,
    stored: Collection[str],
    model_digest: str,
    settings: Mapping[str, Any],
) -> pd.DataFrame:
    """What becomes of each sample: ``reuse`` or ``make``, with the reason, or ``none`` if it can't be made.

    Args:
        planned: from ``find_guides``.
        images: manifests of image shards as they are.
        stored: recipe keys of the store.
        model_digest, settings: as ``generation.plan_recipes`` wants them.

    Returns:
        sample, split, background, recipe (empty if its guide is unknown), action, reason.
    """
    table = plan_recipes(planned.assign(shard=""), model_digest, settings)
    unknown = (table["guide_digest"] == "") & (table["status"] == "ok")
    table.loc[unknown, "recipe"] = ""
    before = images.set_index("sample") if len(images) else pd.DataFrame()
    table["action"] = np.select(
        [table["status"] != "ok", table["recipe"].isin(stored) & ~unknown], ["none", "reuse"], "make"
    )
    reason = pd.Series(
        np.where(unknown, "a guide that is not composed yet", "their absence from the store"), index=table.index
    )
    old = before.reindex(table["sample"]).reset_index(drop=True).set_axis(table.index)
    for column, told in reversed(REASONS):
        if column in old and column in table:
            other = (old[column] != table[column]) & old[column].notna()
            named = table.loc[other].reindex(columns=["exemplar", "template"]).to_dict("records")
            pairs = zip(map(_shown, old.loc[other, column]), map(_shown, table.loc[other, column]), named, strict=True)
            reason[other] = [told.format(old=was, new=now, **row) for was, now, row in pairs]
    reason[~table["sample"].isin(before.index)] = "a new sample"
    table["reason"] = np.where(table["action"] == "make", reason, table["reason"])
    return table[["sample", "split", "background", "recipe", "action", "reason"]]


def _shown(value: object) -> str:
    """A value for people; where samples are new, pandas made floats of integers."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def seconds_per_image(logs: Path, benchmarks: Path) -> float | None:
    """How long an image took in earlier runs, from the jobs that made any; nothing if there were none."""
    seconds = images = 0.0
    for log in sorted(logs.rglob("*.log")):
        made = re.search(r"(\d+) images to make", log.read_text(encoding="utf-8", errors="replace"))
        record = benchmarks / log.relative_to(logs).with_suffix(".tsv")
        if made and int(made[1]) and record.exists():
            try:
                seconds += float(pd.read_csv(record, sep="\t")["s"].sum())
            except (ValueError, KeyError):
                continue  # an unfinished record
            images += int(made[1])
    return seconds / images if images else None
