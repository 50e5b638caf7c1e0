"""The samples of a shard and their guides: every choice from the sample's identity, one row for each planned image."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from PIL import Image

from d3s import cli
from d3s.composition import Placement, PlacementRanges, draw_placement, paste, paste_mask
from d3s.errors import BadInput
from d3s.identity import choose
from d3s.identity import seed as hashed_seed
from d3s.imageio import decode_png, encode_png, image_digest
from d3s.prompts import write_prompt
from d3s.shards import TarReader
from d3s.subject_names import CROSSED
from d3s.tables import Row

MOST_HELD = 512
"""Decoded pictures that are held while a shard is composed."""


@dataclass(frozen=True)
class ShardPlan:
    """What a shard holds: ``count`` images of each class of a chunk, in one split, shift and background.

    ``templates`` names the set of pictures that the background's guides are pasted on.
    """

    split: str
    shift: str
    background: str
    phrase: str
    templates: str
    revision: int
    count: int
    seed: int

    @property
    def material_split(self) -> str:
        """The split that its exemplars and templates belong to."""
        return "val" if self.split == CROSSED else self.split

    @classmethod
    def of(cls, background: Row, split: str, count: int, seed: int) -> "ShardPlan":
        """The plan of a background's row."""
        return cls(
            split=split,
            shift=background["shift"],
            background=background["background"],
            phrase=background["phrase"],
            templates=background["templates"],
            revision=int(background["revision"]),
            count=count,
            seed=seed,
        )


@dataclass(frozen=True)
class PromptSettings:
    """How prompts are written: which templates there are to choose from, and how many tokens (``count``) are kept."""

    templates: tuple[str, ...]
    negative: str
    count: Callable[[str], int]
    limit: int


@dataclass(frozen=True)
class Material:
    """Prepared exemplars and templates: their manifests and the tars that hold them."""

    exemplars: pd.DataFrame
    exemplar_tar: TarReader
    templates: pd.DataFrame
    template_tar: TarReader


@dataclass(frozen=True)
class Choice:
    """What one sample is: its names, its exemplar, and the identities that the rest of its choices are hashed from.

    Attributes:
        sample, matched_set, index: cells of its row; none of them may depend on what else there is.
        exemplar: its name; empty if there is none.
        fault: the reason, where there is none.
        placement: of the placement, and with the background of the template.
        noise: of the noise seed.
        wording: of the way that the prompt is worded.
        columns: further cells of its row.
    """

    sample: str
    matched_set: str
    index: int
    exemplar: str
    fault: str
    placement: tuple[object, ...]
    noise: tuple[object, ...]
    wording: tuple[object, ...]
    columns: Mapping[str, Any] = field(default_factory=dict)


Chooser = Callable[[ShardPlan, Row, Mapping[str, Mapping[str, Any]]], Iterable[Choice]]
"""Gives the samples of a class, from its row and its usable exemplars by name."""


def sample_name(plan: ShardPlan, class_id: int, index: int) -> str:
    """The name of a sample, unique in the data set and stable when anything else is added to it."""
    return f"{plan.split}-{plan.shift}-{plan.background}-{class_id:05d}-{index:05d}"


def choose_by_index(plan: ShardPlan, row: Row, exemplars: Mapping[str, Mapping[str, Any]]) -> Iterator[Choice]:
    """The samples of train and val: ``plan.count`` of each class, every choice from (class, split, index, revision)."""
    class_id = int(row["class_id"])
    for index in range(plan.count):
        identity = (class_id, plan.split, index, plan.revision)
        yield Choice(
            sample=sample_name(plan, class_id, index),
            matched_set=f"{plan.split}-{plan.shift}-{class_id:05d}-{index:05d}-r{plan.revision}",
            index=index,
            exemplar=choose(list(exemplars), plan.seed, "exemplar", *identity) if exemplars else "",
            fault=f"class {row['name']} has no usable exemplar in {plan.split}",
            placement=identity,
            noise=identity,
            wording=identity,
        )


def plan_shard(
    plan: ShardPlan,
    classes: list[Row],
    exemplars: pd.DataFrame,
    templates: pd.DataFrame,
    ranges: PlacementRanges,
    prompts: PromptSettings,
    choices: Chooser = choose_by_index,
) -> pd.DataFrame:
    """Choose exemplar, template, placement, prompt and noise seed for every sample; no pixel is touched.

    Exemplar, placement and noise depend on (class, split, index, revision) and not on the background, so samples of
    equal index form a matched set across backgrounds, and so does the way that the prompt is worded. The template
    depends on the background as well, or on the set of templates that backgrounds share.

    Args:
        exemplars, templates: manifests of the chunk's exemplars and the background's templates.
        choices: what the samples of a class are; ``d3s.crossed`` has others than those of train and val.

    Returns:
        One row per planned sample, usable or not, still without ``guide_digest`` and ``member``.
    """
    exemplars = exemplars[(exemplars["status"] == "ok") & (exemplars["split"] == plan.material_split)]
    templates = templates[(templates["status"] == "ok") & (templates["split"] == plan.material_split)]
    by_class = {int(class_id): _by_name(rows, "exemplar") for class_id, rows in exemplars.groupby("class_id")}
    places = _by_name(templates, "template")
    records = []
    for row in classes:
        own = by_class.get(int(row["class_id"]), {})
        for choice in choices(plan, row, own):
            record = {
                "sample": choice.sample,
                "split": plan.split,
                "shift": plan.shift,
                "class_id": int(row["class_id"]),
                "class_name": row["name"],
                "background": plan.background,
                "index": choice.index,
                **choice.columns,
                "matched_set": choice.matched_set,
                "exemplar": "",
                "exemplar_digest": "",
                "split_group": "",
                "template": "",
                "template_digest": "",
                "template_group": "",
                "prompt": "",
                "negative_prompt": prompts.negative,
                "prompt_tokens": 0,
                "prompt_trimmed": False,
                "seed": hashed_seed(plan.seed, "noise", *choice.noise),
                **draw_placement(ranges, plan.seed, *choice.placement).as_dict(),
                "revision": plan.revision,
                "guide_digest": "",
                "mask_digest": "",
                "member": "",
                "status": "ok",
                "reason": "",
            }
            records.append(record)
            try:
                if not choice.exemplar:
                    raise BadInput("no_exemplar", choice.fault)
                if not places:
                    reason = f"background {plan.background} has no usable template in {plan.material_split}"
                    raise BadInput("no_template", reason)
                wording = choose(prompts.templates, plan.seed, "prompt", *choice.wording)
                prompt = write_prompt(
                    wording, row["label"], row["definition"], plan.phrase, prompts.count, prompts.limit
                )
            except BadInput as error:
                record |= {"status": error.status, "reason": error.reason}
                continue
            exemplar = own[choice.exemplar]
            template = places[choose(list(places), plan.seed, "template", plan.templates, *choice.placement)]
            record |= {
                "exemplar": exemplar["exemplar"],
                "exemplar_digest": exemplar["digest"],
                "split_group": exemplar["split_group"],
                "template": template["template"],
                "template_digest": template["digest"],
                "template_group": template["template_group"],
                "prompt": prompt.text,
                "prompt_tokens": prompt.tokens,
                "prompt_trimmed": prompt.trimmed,
            }
    return pd.DataFrame(records)


def _by_name(rows: pd.DataFrame, name: str) -> dict[str, dict[str, Any]]:
    return {row[name]: row for row in rows.sort_values(name).to_dict("records")}


def compose_shard(
    plan: ShardPlan,
    classes: list[Row],
    material: Material,
    ranges: PlacementRanges,
    prompts: PromptSettings,
    size: int,
    masks: bool = False,
    choices: Chooser = choose_by_index,
) -> tuple[pd.DataFrame, list[tuple[str, bytes]]]:
    """Plan a shard and paste its guides.

    Args:
        masks: whether each guide comes with the mask of its exemplar, which inpainting needs.
        choices: as ``plan_shard`` has them.

    Returns:
        One row per planned sample, usable or not, and the guides (and masks) as members of the shard.
    """
    table = plan_shard(plan, classes, material.exemplars, material.templates, ranges, prompts, choices)
    members = []
    for position, guide, mask in paste_guides(table, material, size, f"{plan.split}/{plan.background}", masks):
        sample = table.at[position, "sample"]
        table.at[position, "guide_digest"] = image_digest(guide)
        table.at[position, "member"] = f"{sample}.png"
        members.append((f"{sample}.png", encode_png(guide)))
        if mask:
            table.at[position, "mask_digest"] = image_digest(mask)
            members.append((mask_member(sample), encode_png(mask)))
    return table.assign(size=size), members


def mask_member(sample: str) -> str:
    """What the mask of a sample's exemplar is called in a shard of guides."""
    return f"{sample}.mask.png"


def paste_guides(
    planned: pd.DataFrame, material: Material, size: int, label: str, masks: bool = False
) -> Iterator[tuple[Any, Image.Image, Image.Image | None]]:
    """Paste the guides of planned samples, of those that are usable.

    Args:
        planned: rows of ``plan_shard``.
        material: where their exemplars and templates lie.
        size: side of a guide in pixels.
        label: of the progress bar.
        masks: whether masks are wanted too.

    Yields:
        The position of a row in the table's index, its guide, and the mask of its exemplar if wanted.
    """
    exemplar_member = dict(zip(material.exemplars["exemplar"], material.exemplars["member"], strict=True))
    template_member = dict(zip(material.templates["template"], material.templates["member"], strict=True))
    usable = planned[planned["status"] == "ok"]
    pictures: dict[tuple[str, str], Image.Image] = {}

    def picture(kind: str, tar: TarReader, member: str) -> Image.Image:
        if (kind, member) not in pictures:
            if len(pictures) == MOST_HELD:
                pictures.pop(next(iter(pictures)))
            pictures[kind, member] = decode_png(tar.read(member))
        return pictures[kind, member]

    rows = zip(usable.index, usable.to_dict("records"), strict=True)
    for position, row in cli.progress(rows, len(usable), "guides", label):
        exemplar = picture("exemplar", material.exemplar_tar, exemplar_member[row["exemplar"]])
        template = picture("template", material.template_tar, template_member[row["template"]])
        placement = Placement(row["scale"], row["flip"], row["x"], row["y"])
        mask = paste_mask(exemplar, placement, size) if masks else None
        yield position, paste(exemplar, template, placement, size), mask
